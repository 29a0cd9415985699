"""Buzzers on gpiozero's mock pins: which levels the line takes, and for how long."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin

from edge_agent.config import BuzzerSettings, Pattern
from edge_agent.outputs.buzzer.drivers import DriverError
from edge_agent.outputs.buzzer.gpio import GpiozeroBuzzer, open_gpio, open_simulated

PATTERN = Pattern(on=0.1, off=0.05, repeats=3)
LATE = 1.0
"""Seconds that a loaded machine may keep a level too long."""


class BrokenPin(MockPWMPin):
    """A pin whose chip goes away after it was set up."""

    broken = False

    def _set_state(self, value: float) -> None:
        if self.broken:
            raise OSError(19, "No such device")
        super()._set_state(value)


@pytest.fixture
def factory():
    factory = MockFactory(pin_class=MockPWMPin)
    yield factory
    factory.close()


def pin_of(factory: MockFactory, number: int = 17) -> MockPin:
    return factory.pin(f"GPIO{number}")


def levels(pin: MockPin) -> list[float]:
    return [change.state for change in pin.states]


@pytest.mark.parametrize(("active_high", "silent", "loud"), [(True, 0, 1), (False, 1, 0)])
def test_active_buzzer_takes_the_levels_and_times_of_its_pattern(factory, active_high, silent, loud):
    buzzer = GpiozeroBuzzer("test", BuzzerSettings(active_high=active_high), factory, ())
    pin = pin_of(factory)
    assert pin.function == "output"
    assert pin.state == silent
    pin.clear_states()

    buzzer.play(PATTERN, threading.Event())

    assert levels(pin) == [silent, loud, silent, loud, silent, loud, silent]
    for index, change in list(enumerate(pin.states))[2:]:
        # A change carries the seconds since the one before: how long the level before it lasted.
        wanted = PATTERN.on if index % 2 == 0 else PATTERN.off
        assert wanted * 0.95 <= change.timestamp < wanted + LATE
    buzzer.close()


def test_passive_buzzer_gets_its_tone(factory):
    buzzer = GpiozeroBuzzer("test", BuzzerSettings(kind="passive", frequency=523.25), factory, ())
    pin = pin_of(factory)
    assert pin.state == 0
    buzzer.on()
    assert pin.frequency == pytest.approx(523.25)
    assert pin.state == 0.5
    buzzer.off()
    assert pin.frequency is None
    assert pin.state == 0
    buzzer.close()


def test_low_triggered_passive_buzzer_rests_high(factory):
    buzzer = GpiozeroBuzzer("test", BuzzerSettings(kind="passive", active_high=False), factory, ())
    pin = pin_of(factory)
    assert pin.state == 1
    buzzer.play(Pattern(on=0.05, off=0, repeats=1), threading.Event())
    assert pin.frequency == pytest.approx(660)
    assert levels(pin)[-2:] == [0.5, 1]
    buzzer.close()


@pytest.mark.parametrize("frequency", [220, 880])
def test_ends_of_the_allowed_range_can_be_played(factory, frequency):
    buzzer = GpiozeroBuzzer("test", BuzzerSettings(kind="passive", frequency=frequency), factory, ())
    buzzer.on()
    assert pin_of(factory).frequency == pytest.approx(frequency)
    buzzer.close()


def test_halt_cuts_a_pattern_off_and_leaves_the_line_silent(factory):
    buzzer = GpiozeroBuzzer("test", BuzzerSettings(), factory, ())
    pin, halt = pin_of(factory), threading.Event()
    player = threading.Thread(target=buzzer.play, args=(Pattern(on=10, off=10, repeats=50), halt))
    player.start()
    deadline = time.monotonic() + 10
    while pin.state != 1 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert pin.state == 1
    halt.set()
    player.join(10)
    assert not player.is_alive()
    assert pin.state == 0
    buzzer.close()


def test_closing_switches_off_before_it_lets_go(factory):
    buzzer = GpiozeroBuzzer("test", BuzzerSettings(), factory, ())
    pin = pin_of(factory)
    buzzer.on()
    pin.clear_states()
    buzzer.close()
    assert levels(pin)[:2] == [1, 0]
    assert pin.function == "input"
    buzzer.close()  # again: no harm


def test_a_pin_in_use_says_what_to_do(factory):
    with gpiozero.LED(17, pin_factory=factory), pytest.raises(DriverError, match="GPIO 17") as caught:
        GpiozeroBuzzer("test", BuzzerSettings(), factory, ())
    assert "buzzer.pin" in caught.value.hint


def test_a_pin_that_no_board_has():
    with pytest.raises(DriverError, match="GPIO 60"):
        open_simulated(BuzzerSettings(pin=60))


def test_a_chip_that_goes_away_is_a_driver_error():
    factory = MockFactory(pin_class=BrokenPin)
    buzzer = GpiozeroBuzzer("test", BuzzerSettings(), factory, ())
    pin_of(factory).broken = True
    with pytest.raises(DriverError, match="No such device"):
        buzzer.play(PATTERN, threading.Event())
    buzzer.close()


def test_lgpio_is_the_only_attempt_and_warns_of_nothing():
    pytest.importorskip("lgpio")
    if list(Path("/dev").glob("gpiochip*")):
        pytest.skip("this machine has GPIO pins, and something may hang on them")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DriverError) as caught:
            open_gpio(BuzzerSettings())
    assert "GPIO chip" in str(caught.value)


@pytest.mark.parametrize("lg_wd", [False, True])
def test_lgpio_leaves_no_pipe_and_the_working_directory_as_it_was(tmp_path, lg_wd):
    pytest.importorskip("lgpio")
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    if lg_wd:
        environment["LG_WD"] = str(there)
    code = (
        "import os, sys\n"
        "from edge_agent.config import BuzzerSettings\n"
        "from edge_agent.outputs.buzzer import probe\n"
        "probe(BuzzerSettings(driver='gpio'))\n"
        "assert 'lgpio' in sys.modules\n"
        "print(os.getcwd())\n"
        "print(os.environ.get('LG_WD'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(here), str(there) if lg_wd else "None"]
    assert list(here.iterdir()) == []
    assert list(there.iterdir()) == []

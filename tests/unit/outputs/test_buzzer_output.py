"""What the buzzer does with violations: one pattern at a time, silence when muted, stopped or broken."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from unittest.mock import Mock

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from edge_agent.config import BuzzerSettings, Pattern
from edge_agent.outputs import buzzer as buzzer_room
from edge_agent.outputs.buzzer import BeepEvent, BuzzerOutput, DriverError, output
from edge_agent.outputs.buzzer.gpio import GpiozeroBuzzer
from edge_agent.types import Verdict, Violation, ViolationNotice, ViolationType

SHORT = Pattern(on=0.02, off=0.02, repeats=2)
LONG = Pattern(on=10, off=0, repeats=1)


def notice(kind=Verdict.NO_MASK, *, alarm=True, type=ViolationType.STARTED, event_id="e1") -> ViolationNotice:
    violation = Violation(
        event_id=event_id,
        type=type,
        kind=kind,
        person=1,
        confidence=0.9,
        votes=3,
        gender=None,
        box=(0.1, 0.1, 0.2, 0.2),
        occurred_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        monotonic=1.0,
    )
    return ViolationNotice(violation, alarm)


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class Rig:
    """A buzzer on a mock pin, with everything that it told."""

    def __init__(self, **settings) -> None:
        self.settings = BuzzerSettings(**settings)
        self.pins: list[MockPWMPin] = []
        self.beeps: list[BeepEvent] = []
        self.opened = 0
        self.error: DriverError | None = None
        self.buzzer = BuzzerOutput(self.settings, self.open, on_beep=self.beeps.append)

    def open(self) -> GpiozeroBuzzer:
        self.opened += 1
        if self.error is not None:
            raise self.error
        factory = MockFactory(pin_class=MockPWMPin)
        driver = GpiozeroBuzzer("test", self.settings, factory, ())
        self.pins.append(factory.pin("GPIO17"))
        return driver

    @property
    def pin(self) -> MockPWMPin:
        return self.pins[-1]

    def kinds(self) -> list[Verdict | None]:
        return [beep.kind for beep in self.beeps]


@pytest.fixture
def rig(monkeypatch) -> Iterator[Callable[..., Rig]]:
    monkeypatch.setattr(output, "GAP_SECONDS", 0.05)
    rigs = []

    def build(**settings) -> Rig:
        rigs.append(Rig(**{"no_mask": SHORT, "incorrect": SHORT, **settings}))
        return rigs[-1]

    yield build
    for each in rigs:
        each.buzzer.stop()


def test_each_kind_has_its_own_pattern(rig):
    r = rig(no_mask=Pattern(on=0.02, off=0.01, repeats=3), incorrect=Pattern(on=0.02, off=0.01, repeats=1))
    r.buzzer.start()
    r.pin.clear_states()
    r.buzzer.handle(notice(Verdict.INCORRECT, event_id="a"))
    wait_for(lambda: r.buzzer.stats().beeps == 1 and len(r.pin.states) == 3)
    r.buzzer.handle(notice(Verdict.NO_MASK, event_id="b"))
    wait_for(lambda: len(r.pin.states) == 3 + 6)
    assert [(beep.kind, beep.event_id, beep.pattern.repeats) for beep in r.beeps] == [
        (Verdict.INCORRECT, "a", 1),
        (Verdict.NO_MASK, "b", 3),
    ]
    assert r.pin.state == 0


def test_line_is_off_at_start(rig):
    r = rig(active_high=False)
    r.buzzer.start()
    assert r.pin.function == "output"
    assert r.pin.state == 1


def test_without_alarm_and_at_the_end_of_a_violation_it_is_silent(rig):
    r = rig()
    r.buzzer.start()
    r.buzzer.handle(notice(alarm=False, event_id="quiet"))
    r.buzzer.handle(notice(alarm=True, type=ViolationType.ENDED, event_id="over"))
    r.buzzer.handle(notice(event_id="heard"))
    wait_for(lambda: r.buzzer.stats().beeps == 1)
    r.buzzer.stop()
    assert [beep.event_id for beep in r.beeps] == ["heard"]


def test_a_crowd_makes_one_pattern_and_one_more_not_a_howl(rig):
    r = rig(no_mask=Pattern(on=0.2, off=0.05, repeats=1))
    r.buzzer.start()
    r.pin.clear_states()
    r.buzzer.handle(notice())
    wait_for(lambda: r.pin.state == 1)
    for _ in range(20):
        r.buzzer.handle(notice())
    wait_for(lambda: len(r.pin.states) == 5)
    r.buzzer.stop()
    # off; on, off; then, after a gap, one that waited: on, off. The other 19 gave way.
    assert [change.state for change in r.pin.states][:5] == [0, 1, 0, 1, 0]
    assert r.pin.states[3].timestamp >= output.GAP_SECONDS * 0.95
    assert r.buzzer.stats().beeps == 2
    assert r.buzzer.stats().skipped == 19


def test_a_stronger_kind_takes_the_place_of_a_waiting_one(rig):
    r = rig(no_mask=SHORT, incorrect=Pattern(on=0.2, off=0, repeats=1))
    r.buzzer.start()
    r.buzzer.handle(notice(Verdict.INCORRECT, event_id="plays"))
    wait_for(lambda: r.pin.state == 1)
    r.buzzer.beep_test()
    r.buzzer.handle(notice(Verdict.INCORRECT, event_id="replaced"))
    r.buzzer.handle(notice(Verdict.NO_MASK, event_id="stronger"))
    r.buzzer.handle(notice(Verdict.INCORRECT, event_id="too weak"))
    wait_for(lambda: len(r.beeps) == 2)
    r.buzzer.stop()
    assert [beep.event_id for beep in r.beeps] == ["plays", "stronger"]
    assert r.buzzer.stats().skipped == 3


def test_nobody_waits_for_a_pattern(rig):
    r = rig(no_mask=LONG)
    r.buzzer.start()
    done = threading.Event()

    def hand_over() -> None:
        for _ in range(100):
            r.buzzer.handle(notice())
        done.set()

    threading.Thread(target=hand_over, daemon=True).start()
    wait_for(lambda: r.pin.state == 1)
    assert done.wait(5)  # half of the time that the first pattern takes
    assert r.pin.state == 1


def test_mute_cuts_off_what_sounds_and_what_waits(rig):
    r = rig(no_mask=LONG)
    r.buzzer.start()
    r.buzzer.handle(notice(event_id="sounds"))
    wait_for(lambda: r.pin.state == 1)
    r.buzzer.handle(notice(event_id="waits"))
    r.buzzer.muted = True
    wait_for(lambda: r.pin.state == 0)
    assert r.buzzer.stats().muted
    r.buzzer.handle(notice(event_id="while muted"))
    r.buzzer.muted = False
    assert not r.buzzer.muted
    r.buzzer.handle(notice(event_id="after"))
    wait_for(lambda: len(r.beeps) == 2)
    assert [beep.event_id for beep in r.beeps] == ["sounds", "after"]


def test_a_test_beep_sounds_even_while_muted(rig, caplog):
    caplog.set_level(logging.INFO)
    r = rig()
    r.buzzer.muted = True
    r.buzzer.start()
    r.pin.clear_states()
    r.buzzer.beep_test()
    wait_for(lambda: len(r.pin.states) == 3)
    assert r.kinds() == [None]
    assert [change.state for change in r.pin.states] == [0, 1, 0]
    assert "buzzer: test, 1 times" in caplog.text


def test_stop_cuts_off_and_lets_go_of_the_line(rig):
    r = rig(no_mask=LONG)
    r.buzzer.start()
    r.buzzer.handle(notice())
    wait_for(lambda: r.pin.state == 1)
    r.buzzer.stop(5)
    assert [change.state for change in r.pin.states][-2:] == [1, 0]
    assert r.pin.function == "input"
    assert not r.buzzer.stats().available
    r.buzzer.handle(notice())  # too late: neither a sound nor an error
    r.buzzer.stop()
    assert len(r.beeps) == 1


def test_switched_off_it_touches_nothing(rig):
    r = rig(enabled=False)
    r.buzzer.start()
    r.buzzer.handle(notice())
    r.buzzer.beep_test()
    r.buzzer.stop()
    assert r.opened == 0
    assert r.beeps == []
    assert r.buzzer.stats().reason == "switched off in the configuration"


def test_no_device_is_one_warning_and_no_error(rig, caplog):
    caplog.set_level(logging.DEBUG, logger="edge_agent.outputs.buzzer")
    r = rig()
    r.error = DriverError("no pins", "buy some", lasting=True)
    r.buzzer.start()
    for expected in (1, 2, 3):
        r.buzzer.handle(notice())
        wait_for(lambda expected=expected: r.buzzer.stats().skipped == expected)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        "No buzzer: no pins; violations are still reported. To mend it: buy some"
    ]
    stats = r.buzzer.stats()
    assert (stats.driver, stats.available, stats.reason, stats.beeps) == ("none", False, "no pins", 0)
    assert r.opened == 1  # what lasts is not tried again
    assert r.beeps == []


def test_a_busy_line_is_tried_again_but_not_at_every_alarm(rig, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="edge_agent.outputs.buzzer")
    r = rig()
    r.error = DriverError("GPIO busy", "stop the other program")
    r.buzzer.start()
    r.buzzer.handle(notice())
    wait_for(lambda: r.buzzer.stats().skipped == 1)
    assert r.opened == 1  # too early
    r.buzzer._retry_at = time.monotonic()
    monkeypatch.setattr(output, "RETRY_SECONDS", 0.0)
    r.buzzer.handle(notice())
    wait_for(lambda: r.buzzer.stats().skipped == 2)
    assert r.opened == 2
    r.error = None
    r.buzzer.handle(notice())
    wait_for(lambda: r.buzzer.stats().beeps == 1)
    stats = r.buzzer.stats()
    assert (stats.available, stats.reason, stats.failures) == (True, None, 2)
    assert sum(record.levelno == logging.WARNING for record in caplog.records) == 1


def test_a_device_that_fails_while_it_sounds_is_closed_and_opened_again(rig, monkeypatch):
    monkeypatch.setattr(output, "RETRY_SECONDS", 0.0)
    r = rig()
    r.buzzer.start()
    first = r.buzzer._driver
    monkeypatch.setattr(first._device, "on", broken)
    r.buzzer.handle(notice())
    wait_for(lambda: r.buzzer.stats().failures == 1)
    assert "No such device" in r.buzzer.stats().reason
    assert r.pins[0].function == "input"
    r.buzzer.handle(notice())
    wait_for(lambda: r.opened == 2 and r.buzzer.stats().available)


def test_a_fault_of_ours_while_it_sounds_is_told_and_tried_again(rig, monkeypatch):
    monkeypatch.setattr(output, "RETRY_SECONDS", 0.0)
    r = rig()
    r.buzzer.start()
    monkeypatch.setattr(r.buzzer._driver, "play", Mock(side_effect=MemoryError("no room")))
    r.buzzer.handle(notice())
    wait_for(lambda: r.buzzer.stats().failures == 1)
    assert "no room" in r.buzzer.stats().reason
    r.buzzer.handle(notice())
    wait_for(lambda: r.opened == 2 and r.buzzer.stats().available)


def broken() -> None:
    raise OSError(19, "No such device")


def test_a_device_that_hangs_is_reported_and_does_not_stop_the_service(monkeypatch):
    release = threading.Event()

    class Hanging:
        name = "hanging"
        closed = False

        def play(self, pattern: Pattern, halt: threading.Event) -> None:
            release.wait(60)

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(output, "HANG_SECONDS", 0.0)
    driver = Hanging()
    hanging = BuzzerOutput(BuzzerSettings(no_mask=SHORT), lambda: driver)
    hanging.start()
    hanging.handle(notice())
    wait_for(lambda: hanging.stats().reason == "the device hangs")
    assert not hanging.stats().available
    hanging.stop(0.05)
    assert driver.closed
    release.set()


def test_a_listener_that_fails_does_not_silence_the_alarm(rig):
    r = rig()

    def fail(_beep: BeepEvent) -> None:
        raise RuntimeError("listener")

    deaf = BuzzerOutput(r.settings, r.open, on_beep=fail)
    deaf.start()
    r.pin.clear_states()
    deaf.handle(notice())
    wait_for(lambda: len(r.pin.states) == 5)
    deaf.stop()


def test_created_from_settings_it_is_simulated_on_request():
    beeps: list[BeepEvent] = []
    made = buzzer_room.create(BuzzerSettings(driver="simulated", no_mask=SHORT), on_beep=beeps.append)
    before = time.monotonic()
    made.start()
    made.handle(notice(event_id="x"))
    wait_for(lambda: bool(beeps))
    assert made.stats().driver == "simulated"
    made.stop()
    assert beeps[0].event_id == "x"
    assert before <= beeps[0].monotonic <= time.monotonic()


@pytest.mark.parametrize("ending", ["raise RuntimeError('bug')", "sys.exit(3)", "os.kill(os.getpid(), 2)"])
def test_line_goes_off_however_the_program_ends(ending):
    """Not stopped properly: an unhandled error, an exit and Ctrl-C each still switch the line off."""
    code = f"""
import os, sys, threading, time
from edge_agent.config import BuzzerSettings, Pattern
from edge_agent.outputs.buzzer import BuzzerOutput
from edge_agent.outputs.buzzer import output

class Loud:
    name = "loud"
    def play(self, pattern, halt):
        print("ON", flush=True)
        sounds.set()
        halt.wait(60)
    def close(self):
        print("OFF", flush=True)

sounds = threading.Event()
output.TEST_PATTERN = Pattern(on=10, off=0, repeats=1)
buzzer = BuzzerOutput(BuzzerSettings(), Loud)
buzzer.start()
buzzer.beep_test()
assert sounds.wait(30)
{ending}
time.sleep(60)
"""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.returncode != 0
    assert done.stdout.split() == ["ON", "OFF"]

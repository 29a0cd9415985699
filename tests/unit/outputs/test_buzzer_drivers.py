"""Which driver a board gets, and what `check` says of it."""

from __future__ import annotations

import types

import pytest

from edge_agent.config import BuzzerSettings, Pattern
from edge_agent.outputs.buzzer import DriverError, choice, open_driver, probe
from edge_agent.outputs.buzzer.jetson import JetsonBuzzer


class Board:
    """The part of the API of Jetson.GPIO 2.1 that is used, noting every level.

    The module itself can't be imported off a Jetson: it looks for the board's device tree and its chips.
    """

    BOARD, OUT, HIGH, LOW = "BOARD", "OUT", 1, 0

    def __init__(self, *, refuse: str | None = None) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.refuse = refuse

    def setwarnings(self, flag: bool) -> None:
        self.calls.append(("setwarnings", flag))

    def setmode(self, mode: str) -> None:
        self.calls.append(("setmode", mode))

    def setup(self, channel: int, direction: str, initial: int) -> None:
        if self.refuse:
            raise ValueError(self.refuse)
        self.calls.append(("setup", channel, direction, initial))

    def output(self, channel: int, level: int) -> None:
        self.calls.append(("output", channel, level))

    def cleanup(self, channel: int) -> None:
        self.calls.append(("cleanup", channel))

    def PWM(self, channel: int, frequency: float) -> types.SimpleNamespace:  # noqa: N802 - its name there
        self.calls.append(("pwm", channel, frequency))
        return types.SimpleNamespace(
            start=lambda duty: self.calls.append(("start", duty)), stop=lambda: self.calls.append(("stop",))
        )


class Unhalted:
    """Stands for an event that nobody sets; pauses take no time."""

    def wait(self, _seconds: float) -> bool:
        return False


def board_files(tmp_path, *, model: str | None = None, cpuinfo: str = "", tegra: bool = False):
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    if model is not None:
        (tmp_path / "proc/device-tree/model").write_bytes(model.encode() + b"\0")
    (tmp_path / "proc/cpuinfo").write_text(cpuinfo, encoding="utf-8")
    if tegra:
        (tmp_path / "etc/nv_tegra_release").write_text("# R36", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("files", "driver"),
    [
        ({"model": "Raspberry Pi 4 Model B Rev 1.4"}, "gpio"),
        ({"model": "Raspberry Pi 5 Model B Rev 1.0"}, "gpio"),
        ({"cpuinfo": "processor\t: 0\nRevision\t: c03111\n"}, "gpio"),
        ({"model": "NVIDIA Jetson Orin Nano Developer Kit"}, "jetson"),
        ({"model": "jetson-nano"}, "jetson"),
        ({"tegra": True}, "jetson"),
    ],
)
def test_board_is_recognised(tmp_path, files, driver):
    assert choice.detect(board_files(tmp_path, **files)) == driver


@pytest.mark.parametrize(
    "files",
    [{}, {"model": "Radxa ROCK 5B"}, {"cpuinfo": "model name\t: Some PC\n"}, {"cpuinfo": "Revision\t: 0000\n"}],
)
def test_other_boards_get_advice(tmp_path, files):
    with pytest.raises(DriverError) as caught:
        choice.detect(board_files(tmp_path, **files))
    assert caught.value.lasting
    assert "sound" in caught.value.hint


def test_jetson_switches_the_board_pin():
    board = Board()
    buzzer = JetsonBuzzer(BuzzerSettings(pin=12), board)
    assert board.calls == [("setwarnings", False), ("setmode", "BOARD"), ("setup", 12, "OUT", 0)]
    board.calls.clear()
    buzzer.play(Pattern(on=0.1, off=0.1, repeats=2), Unhalted())
    assert board.calls == [("output", 12, 1), ("output", 12, 0)] * 2
    board.calls.clear()
    buzzer.close()
    buzzer.close()
    assert board.calls == [("output", 12, 0), ("cleanup", 12)]


def test_jetson_low_triggered_rests_high():
    board = Board()
    buzzer = JetsonBuzzer(BuzzerSettings(pin=12, active_high=False), board)
    assert board.calls[-1] == ("setup", 12, "OUT", 1)
    buzzer.on()
    assert board.calls[-1] == ("output", 12, 0)


def test_jetson_passive_gets_a_tone():
    board = Board()
    buzzer = JetsonBuzzer(BuzzerSettings(pin=32, kind="passive", frequency=440), board)
    assert board.calls[-1] == ("pwm", 32, 440)
    buzzer.play(Pattern(on=0.1, off=0, repeats=1), Unhalted())
    assert board.calls[-2:] == [("start", 50), ("stop",)]


def test_jetson_pin_that_is_refused():
    with pytest.raises(DriverError, match="Channel 1 is invalid") as caught:
        JetsonBuzzer(BuzzerSettings(pin=1, kind="passive"), Board(refuse="Channel 1 is invalid"))
    assert "jetson-io" in caught.value.hint
    assert "PWM" in caught.value.hint


def test_the_named_driver_alone_is_tried():
    with pytest.raises(DriverError):
        open_driver(BuzzerSettings(driver="jetson"))
    driver = open_driver(BuzzerSettings(driver="simulated"))
    assert driver.name == "simulated"
    driver.close()


def test_check_of_a_working_buzzer():
    found = probe(BuzzerSettings(driver="simulated", pin=22, active_high=False))
    assert (found.ok, found.driver, found.hint) == (True, "simulated", None)
    assert "GPIO 22" in found.detail
    assert "low level" in found.detail


def test_check_of_a_pin_that_is_not_there():
    found = probe(BuzzerSettings(driver="simulated", pin=60))
    assert not found.ok
    assert "GPIO 60" in found.detail
    assert found.hint


def test_check_of_a_buzzer_that_is_switched_off():
    found = probe(BuzzerSettings(enabled=False, driver="gpio"))
    assert (found.ok, found.driver, found.detail) == (True, "none", "switched off in the configuration")

"""A hot board is given fewer frames, and is not asked more often than it can bear."""

from __future__ import annotations

import pytest

from edge_agent import board
from edge_agent.service import board_watch
from edge_agent.service.board_watch import BoardState, BoardWatch


class Rig:
    """A board and a clock of which a test says how they are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.celsius, self.looks = 100.0, 50.0, 0
        monkeypatch.setattr(board_watch.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(board, "temperature", self._temperature)
        monkeypatch.setattr(board, "throttling", lambda: board.Throttling(("throttled",), ()))
        self.watch = BoardWatch(10.0, temperature_limit=80.0, max_age=1.0, clock_synced=lambda: True)

    def _temperature(self) -> float:
        self.looks += 1
        return self.celsius


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(monkeypatch)


def test_before_the_first_look_nothing_is_known(rig: Rig) -> None:
    assert rig.watch.state == BoardState(None, (), None)
    assert rig.watch.max_fps == 10.0
    assert rig.watch.slowed is None


def test_it_looks_at_once_and_then_every_five_seconds(rig: Rig) -> None:
    for second in range(11):
        rig.now = 100.0 + second
        rig.watch.tick(None)
    assert rig.looks == 3
    assert rig.watch.state == BoardState(50.0, ("throttled",), True)


def test_heat_lowers_the_rate_and_coolness_gives_it_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(board, "throttling", lambda: None)  # no Raspberry Pi
    rig.celsius = 85.0
    rig.watch.tick(None)
    assert rig.watch.max_fps == pytest.approx(7.0)
    assert rig.watch.slowed == "85 °C hot"
    assert "7.0 frames a second at most: 85 °C hot" in caplog.text
    rig.celsius = 60.0
    for _ in range(10):
        rig.now += 6
        rig.watch.tick(None)
    assert rig.watch.max_fps == 10.0
    assert rig.watch.slowed is None
    assert "all is well again" in caplog.text


def test_frames_that_get_old_lower_it_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "throttling", lambda: None)
    rig.watch.tick(0.9)
    assert rig.watch.max_fps == pytest.approx(7.0)

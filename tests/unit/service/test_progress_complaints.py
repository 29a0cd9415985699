"""The journal says why a restart comes before it does, and a service that still works gets none."""

from __future__ import annotations

import pytest

from edge_agent.service.notify import Notifier
from edge_agent.service.progress import ProgressWatchdog


class Silent(Notifier):
    """Counts pings and sends none; due every 15 s."""

    def __init__(self) -> None:
        super().__init__("/nowhere", watchdog_timeout=30.0)
        self.pings = 0

    def watchdog(self) -> None:
        self.pings += 1


class Rig:
    """A watchdog with a clock of the test's own."""

    def __init__(self, stuck_grace: float = 0.0) -> None:
        self.now = 100.0
        self.notifier = Silent()
        self.watchdog = ProgressWatchdog(self.notifier, stuck_grace=stuck_grace, clock=lambda: self.now)
        self.watchdog.camera_state("ok")

    def progress(self) -> bool:
        self.watchdog.captured()
        self.watchdog.processed()
        return self.watchdog.tick()

    def idle(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.watchdog.tick()


def test_a_pause_shorter_than_the_interval_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    assert rig.progress()
    rig.idle(14)
    assert not caplog.records
    rig.idle(1)
    assert len(caplog.records) == 1
    assert "no progress for 15 s (camera ok; missing: a new frame, a processed frame, the worker's round)" in (
        caplog.text
    )


def test_each_time_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    for times in (1, 2, 3):
        assert rig.progress()
        rig.idle(29)
        assert len(caplog.records) == times


def test_without_a_watchdog_nobody_is_warned_of_a_restart(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.watchdog = ProgressWatchdog(Notifier(), clock=lambda: rig.now)
    rig.idle(3600)
    assert not caplog.records


def test_a_ping_that_is_spared_is_none() -> None:
    rig, told = Rig(), 0
    for _ in range(100):
        told += rig.progress()
        rig.now += 0.25
    assert told == rig.notifier.pings > 0


@pytest.mark.parametrize("state", ["frozen", "ended"])
def test_a_worker_that_looks_at_what_a_bad_camera_gives_is_alive(state: str) -> None:
    rig = Rig()
    rig.watchdog.camera_state(state)
    rig.watchdog.processed(0)
    assert not rig.watchdog.tick()
    rig.watchdog.processed(3)
    assert rig.watchdog.tick()


def test_no_frame_processed_is_no_progress() -> None:
    rig = Rig()
    rig.watchdog.captured()
    rig.watchdog.processed(0)
    assert not rig.watchdog.tick()


def test_progress_once_made_is_not_unsaid_by_a_round_without() -> None:
    rig = Rig()
    rig.watchdog.captured()
    rig.watchdog.processed()
    rig.watchdog.captured(0)
    rig.watchdog.processed(0)
    assert rig.watchdog.tick()


def test_a_driver_that_hangs_after_hours_has_its_whole_grace() -> None:
    rig = Rig(stuck_grace=60.0)
    rig.now += 7200
    rig.watchdog.camera_state("stuck")
    rig.now += 59
    rig.watchdog.worker_alive()
    assert rig.watchdog.tick()


def test_a_driver_that_hangs_again_has_its_grace_anew() -> None:
    rig = Rig(stuck_grace=60.0)
    rig.watchdog.camera_state("stuck")
    rig.now += 50
    rig.watchdog.camera_state("ok")
    rig.now += 50
    rig.watchdog.camera_state("stuck")
    rig.now += 50
    rig.watchdog.worker_alive()
    assert rig.watchdog.tick()

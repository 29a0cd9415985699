"""The watchdog is fed by progress, not by life."""

from __future__ import annotations

import pytest

from edge_agent.service.notify import Notifier
from edge_agent.service.progress import Patience, ProgressWatchdog


class Recorder(Notifier):
    """A notifier with a watchdog of 30 s that counts pings."""

    def __init__(self) -> None:
        super().__init__("/nowhere", watchdog_timeout=30.0)
        self.pings = 0

    def watchdog(self) -> None:
        self.pings += 1


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def notifier() -> Recorder:
    return Recorder()


def build(notifier: Recorder, clock: Clock, **options: float) -> ProgressWatchdog:
    watchdog = ProgressWatchdog(notifier, clock=clock, **options)
    watchdog.camera_state("ok")
    return watchdog


def test_a_frame_captured_and_one_processed_make_one_ping(notifier: Recorder, clock: Clock) -> None:
    watchdog = build(notifier, clock)
    watchdog.captured()
    watchdog.processed()
    assert watchdog.tick()
    clock.now += 10
    assert not watchdog.tick(), "old progress must not be counted twice"
    assert notifier.pings == 1


@pytest.mark.parametrize("told", ["captured", "processed", "worker_alive"])
def test_half_of_it_is_not_enough(notifier: Recorder, clock: Clock, told: str) -> None:
    watchdog = build(notifier, clock)
    getattr(watchdog, told)()
    assert not watchdog.tick()


def test_zero_frames_are_no_progress(notifier: Recorder, clock: Clock) -> None:
    watchdog = build(notifier, clock)
    watchdog.captured(0)
    watchdog.processed()
    assert not watchdog.tick()


def test_halves_from_different_rounds_add_up(notifier: Recorder, clock: Clock) -> None:
    watchdog = build(notifier, clock)
    watchdog.captured()
    assert not watchdog.tick()
    clock.now += 7
    watchdog.processed()
    assert watchdog.tick()


@pytest.mark.parametrize("state", ["opening", "lost", "frozen", "ended"])
def test_a_camera_that_is_honestly_away_is_excused_while_the_worker_lives(
    notifier: Recorder, clock: Clock, state: str
) -> None:
    watchdog = build(notifier, clock)
    watchdog.camera_state(state)
    assert not watchdog.tick(), "the worker is not known to live"
    watchdog.worker_alive()
    assert watchdog.tick()
    clock.now += 10
    assert not watchdog.tick()


@pytest.mark.parametrize("state", ["ok", "dark", "whatever"])
def test_other_states_are_no_excuse(notifier: Recorder, clock: Clock, state: str) -> None:
    watchdog = build(notifier, clock)
    watchdog.camera_state(state)
    watchdog.worker_alive()
    assert not watchdog.tick()


def test_a_stuck_camera_is_borne_for_its_grace_and_no_longer(notifier: Recorder, clock: Clock) -> None:
    watchdog = build(notifier, clock, stuck_grace=60)
    watchdog.camera_state("stuck")
    watchdog.worker_alive()
    assert watchdog.tick()
    clock.now += 59
    watchdog.camera_state("stuck")  # said again: the grace does not begin anew
    watchdog.worker_alive()
    assert watchdog.tick()
    clock.now += 7
    watchdog.worker_alive()
    assert not watchdog.tick()


def test_without_grace_a_stuck_camera_never_pings(notifier: Recorder, clock: Clock) -> None:
    watchdog = build(notifier, clock)
    watchdog.camera_state("stuck")
    watchdog.captured()
    watchdog.processed()
    assert not watchdog.tick()


def test_pings_are_paced(notifier: Recorder, clock: Clock) -> None:
    watchdog = build(notifier, clock)
    for _ in range(120):  # 30 s of rounds of 0.25 s, each with progress
        watchdog.captured()
        watchdog.processed()
        watchdog.tick()
        clock.now += 0.25
    assert 8 <= notifier.pings <= 12


def test_what_is_missing_is_said_once_before_the_watchdog_bites(
    notifier: Recorder, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog = build(notifier, clock)
    for _ in range(28):
        watchdog.captured()
        watchdog.worker_alive()
        watchdog.tick()
        clock.now += 1
    (record,) = caplog.records
    assert "a processed frame" in record.getMessage()
    assert "a new frame" not in record.getMessage()


def test_patience_ends_with_a_camera_that_gives_nothing() -> None:
    clock = Clock()
    patience = Patience(60.0, clock=clock)
    for state in ("opening", "lost", "frozen", "stuck", "lost"):
        assert not patience.lost(captured=0, state=state)
        clock.now += 11.9
    clock.now += 1
    assert patience.lost(captured=0, state="lost")


@pytest.mark.parametrize(("captured", "state"), [(1, "lost"), (0, "ok"), (0, "dark"), (0, "ended")])
def test_patience_begins_anew_with_any_sign_of_life(captured: int, state: str) -> None:
    clock = Clock()
    patience = Patience(60.0, clock=clock)
    for _ in range(10):
        clock.now += 50
        assert not patience.lost(captured=captured, state=state)


def test_patience_may_be_endless() -> None:
    clock = Clock()
    patience = Patience(0.0, clock=clock)
    clock.now += 1e9
    assert not patience.lost(captured=0, state="lost")

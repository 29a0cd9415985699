"""Rates, medians and the day's counts, on a clock of the test's own."""

from __future__ import annotations

import threading
from datetime import date, datetime

import pytest

from edge_agent.service.statistics import STAGE_SAMPLES, WINDOW, Statistics


class Time:
    def __init__(self) -> None:
        self.monotonic = 1000.25
        self.local = datetime(2026, 3, 1, 23, 59, 0)

    def __call__(self) -> float:
        return self.monotonic


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def statistics(time: Time) -> Statistics:
    return Statistics(clock=time, local_now=lambda: time.local)


def test_a_steady_rate_is_measured(statistics: Statistics, time: Time) -> None:
    for _ in range(15 * 60):
        statistics.frames_captured()
        time.monotonic += 1 / 15
    figures = statistics.snapshot()
    assert figures.fps_captured == pytest.approx(15, rel=0.1)
    assert figures.captured == 900
    assert figures.fps_processed == 0


def test_a_rate_falls_to_zero_when_frames_stop(statistics: Statistics, time: Time) -> None:
    statistics.frames_captured(100)
    statistics.frames_dropped(50)
    time.monotonic += WINDOW + 2
    figures = statistics.snapshot()
    assert (figures.fps_captured, figures.fps_dropped) == (0, 0)
    assert (figures.captured, figures.dropped) == (100, 50)
    assert figures.frame_age == pytest.approx(WINDOW + 2)


def test_the_first_seconds_do_not_look_slow(statistics: Statistics, time: Time) -> None:
    for _ in range(20):
        statistics.frames_captured()
        time.monotonic += 0.1
    assert statistics.snapshot().fps_captured == pytest.approx(10, rel=0.2)


def test_no_frame_has_no_age(statistics: Statistics) -> None:
    statistics.frames_captured(0, captured_at=5.0)
    assert statistics.snapshot().frame_age is None


def test_stages_are_medians(statistics: Statistics, time: Time) -> None:
    for value in (10.0, 11.0, 500.0):
        statistics.frame_processed({"faces": value}, captured_at=time.monotonic - 0.05)
    figures = statistics.snapshot()
    assert figures.stage_ms == {"faces": 11.0}
    assert figures.latency_ms == pytest.approx(50)
    assert figures.processed == 3


def test_what_took_long_an_hour_ago_does_not_make_the_board_slow_now(statistics: Statistics, time: Time) -> None:
    for _ in range(100):
        time.monotonic += 0.1
        statistics.frame_processed(captured_at=time.monotonic - 0.7)
    assert statistics.snapshot().latency_ms == pytest.approx(700)
    time.monotonic += 3600  # detection off, or the camera away
    assert statistics.snapshot().latency_ms is None
    for _ in range(20):
        time.monotonic += 0.1
        statistics.frame_processed(captured_at=time.monotonic - 0.05)
    assert statistics.snapshot().latency_ms == pytest.approx(50)


def test_memory_is_bounded(statistics: Statistics, time: Time) -> None:
    for _ in range(5000):
        statistics.frames_captured()
        statistics.frame_processed({"faces": 1.0}, captured_at=time.monotonic)
        time.monotonic += 0.3
    assert len(statistics._stages["faces"]) == STAGE_SAMPLES
    assert len(statistics._latency) == STAGE_SAMPLES
    assert len(statistics._captured._buckets) <= WINDOW + 1


def test_the_day_begins_anew_at_local_midnight(statistics: Statistics, time: Time) -> None:
    statistics.violation("no_mask")
    statistics.violation("no_mask")
    assert statistics.snapshot().today == {"no_mask": 2}
    time.local = datetime(2026, 3, 2, 0, 0, 1)
    assert statistics.snapshot().today == {}
    statistics.violation("incorrect")
    assert statistics.snapshot().today == {"incorrect": 1}
    assert statistics.snapshot().day == date(2026, 3, 2)


def test_counts_of_an_earlier_run_are_taken_up_on_the_same_day_only(statistics: Statistics) -> None:
    statistics.violation("no_mask")
    statistics.restore_today(date(2026, 2, 28), {"no_mask": 100})
    statistics.restore_today(date(2026, 3, 1), {"no_mask": 4, "incorrect": 1})
    assert statistics.snapshot().today == {"no_mask": 5, "incorrect": 1}


def test_counts_wait_for_a_board_that_boots_with_yesterdays_date(statistics: Statistics, time: Time) -> None:
    statistics.restore_today(date(2026, 3, 2), {"no_mask": 4})
    statistics.violation("incorrect")
    assert statistics.snapshot().today == {"incorrect": 1}
    time.local = datetime(2026, 3, 2, 0, 20)
    statistics.violation("no_mask")
    assert statistics.snapshot().today == {"no_mask": 5}
    for day in (3, 2):  # what was counted is not taken up twice
        time.local = datetime(2026, 3, day, 1, 0)
        assert statistics.snapshot().today == {}


def test_a_snapshot_does_not_change_later(statistics: Statistics) -> None:
    before = statistics.snapshot()
    statistics.violation("no_mask")
    assert before.today == {}


def test_threads_lose_no_count() -> None:
    statistics = Statistics()

    def work() -> None:
        for _ in range(2000):
            statistics.frames_captured()
            statistics.violation("no_mask")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = statistics.snapshot()
    assert (figures.captured, figures.today) == (8000, {"no_mask": 8000})


def test_frames_that_are_all_too_old_are_told(statistics: Statistics, time: Time) -> None:
    for _ in range(100):  # what was in time before does not make them younger
        statistics.frame_processed(captured_at=time.monotonic - 0.1)
    assert statistics.snapshot().late is None
    time.monotonic += WINDOW + 2
    for _ in range(20):
        statistics.frame_too_old(time.monotonic - 1.5)
        time.monotonic += 0.1
    assert statistics.snapshot().late == pytest.approx(1.5)
    statistics.frame_processed(captured_at=time.monotonic - 0.1)  # one in time, and somebody is watched again
    assert statistics.snapshot().late is None
    time.monotonic += WINDOW + 2
    assert statistics.snapshot().late is None  # none comes at all: that is for the camera to say

"""The figures tell of the last ten seconds: neither of the last hour nor of one lucky moment."""

from __future__ import annotations

from datetime import datetime

import pytest

from edge_agent.service.statistics import Statistics


class Rig:
    def __init__(self) -> None:
        self.now = 1000.0
        self.statistics = Statistics(clock=lambda: self.now, local_now=lambda: datetime(2026, 3, 1, 12, 0))

    def run(self, seconds: float, fps: float, latency: float = 0.1) -> None:
        for _ in range(round(seconds * fps)):
            self.now += 1 / fps
            self.statistics.frames_captured()
            self.statistics.frame_processed(captured_at=self.now - latency)


@pytest.mark.parametrize("fps", [0.5, 2.0, 15.0])
def test_a_rate_is_that_of_the_last_seconds(fps: float) -> None:
    rig = Rig()
    rig.run(60, 30)
    rig.run(12, fps)
    figures = rig.statistics.snapshot()
    assert figures.fps_captured == pytest.approx(fps, rel=0.15)
    assert figures.fps_processed == pytest.approx(fps, rel=0.15)


def test_a_short_pause_does_not_look_like_the_end() -> None:
    rig = Rig()
    rig.run(60, 10)
    rig.now += 5
    figures = rig.statistics.snapshot()
    assert 3 < figures.fps_captured < 8
    assert figures.latency_ms == pytest.approx(100)
    rig.now += 6
    figures = rig.statistics.snapshot()
    assert (figures.fps_captured, figures.latency_ms) == (0, None)


def test_each_frame_counts_once() -> None:
    rig = Rig()
    for _ in range(3):
        rig.statistics.frames_captured()
        rig.statistics.frames_dropped()
    rig.statistics.frames_captured(4)
    rig.statistics.frames_dropped(2)
    rig.statistics.frame_processed()
    figures = rig.statistics.snapshot()
    assert (figures.captured, figures.dropped, figures.processed) == (7, 5, 1)


def test_the_latest_frame_too_old_is_told_and_counts_as_delay() -> None:
    rig = Rig()
    for late in (5.0, 1.5):
        rig.now += 0.5
        rig.statistics.frame_too_old(rig.now - late)
    figures = rig.statistics.snapshot()
    assert figures.late == pytest.approx(1.5)
    assert figures.latency_ms == pytest.approx(3250), "so that a slow board is given fewer frames"


def test_of_a_slow_camera_too_it_is_told_that_all_its_frames_are_too_old() -> None:
    rig = Rig()
    for _ in range(10):
        rig.now += 2
        rig.statistics.frame_too_old(rig.now - 1.5)
    assert rig.statistics.snapshot().late == pytest.approx(1.5)


def test_how_long_it_runs_and_how_old_the_picture_is() -> None:
    rig = Rig()
    rig.now += 90
    rig.statistics.frames_captured(captured_at=rig.now - 0.3)
    rig.now += 2
    figures = rig.statistics.snapshot()
    assert figures.uptime == pytest.approx(92)
    assert figures.frame_age == pytest.approx(2.3)


def test_a_frame_from_a_clock_ahead_is_new_and_not_younger_than_that() -> None:
    rig = Rig()
    rig.statistics.frames_captured(captured_at=rig.now + 5)
    assert rig.statistics.snapshot().frame_age == 0.0

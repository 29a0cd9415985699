"""Where well ends: a service that does its work is not called failed."""

from __future__ import annotations

import pytest

from edge_agent.service.health import State, assess


@pytest.mark.parametrize(("age", "state"), [(0.1, "ok"), (9.9, "ok"), (10.0, "ok"), (10.1, "failed")])
def test_a_camera_that_is_slow_is_no_failure_until_its_newest_frame_is_old(age: float, state: State) -> None:
    assert assess(camera="ok", frame_age=age).state == state


@pytest.mark.parametrize(("age", "state"), [(14.0, "ok"), (16.0, "failed")])
def test_a_slower_cameras_frames_may_be_older(age: float, state: State) -> None:
    assert assess(camera="ok", frame_age=age, frame_age_limit=15.0).state == state


def test_a_camera_with_troubles_of_its_own_is_told_once() -> None:
    for camera in ("lost", "dark", "paused"):
        assert len(assess(camera=camera, frame_age=100.0, late=5.0).reasons) == 1

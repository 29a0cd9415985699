"""The face net runs as often as what is in view asks for."""

from __future__ import annotations

import pytest

from edge_agent.vision.schedule import DetectionSchedule, Power


def runs(power: Power, seconds: float, *, moved: bool, present: bool, unsure: bool, start: float = 0.0) -> int:
    schedule = DetectionSchedule(power)
    frames = int(seconds * 10)
    return sum(
        schedule.due(start + i / 10, moved=moved, present=present, unsure=unsure) for i in range(frames)
    )


def test_an_empty_entrance_costs_almost_nothing() -> None:
    # And yet it is looked at: whoever stood still from the beginning is never seen to move.
    assert 25 <= runs("balanced", 60, moved=False, present=False, unsure=False) <= 31


def test_somebody_without_a_verdict_is_looked_at_in_every_frame() -> None:
    assert runs("balanced", 10, moved=True, present=True, unsure=True) == 100


def test_settled_people_are_looked_at_a_few_times_a_second() -> None:
    assert 25 <= runs("balanced", 10, moved=True, present=True, unsure=False) <= 40


def test_who_moves_is_looked_for_within_two_frames() -> None:
    schedule = DetectionSchedule("balanced")
    schedule.due(0.0, moved=False, present=False, unsure=False)
    frames = [schedule.due(0.1 * i, moved=True, present=False, unsure=False) for i in range(1, 4)]
    assert any(frames[:2])


def test_motion_is_remembered_for_a_moment() -> None:
    schedule = DetectionSchedule("balanced")
    schedule.due(0.0, moved=True, present=False, unsure=False)
    assert schedule.due(0.5, moved=False, present=False, unsure=False)


def test_who_went_by_long_ago_costs_nothing_any_more() -> None:
    schedule = DetectionSchedule("balanced")
    schedule.due(0.0, moved=True, present=False, unsure=False)
    looks = [schedule.due(i / 10, moved=False, present=False, unsure=False) for i in range(1, 601)]
    assert sum(looks) <= 40, "a minute of stillness"


def test_full_power_looks_always_and_low_power_less() -> None:
    quiet = {"moved": False, "present": False, "unsure": False}
    assert runs("full", 10, **quiet) == 100
    busy = {"moved": True, "present": True, "unsure": True}
    assert runs("low", 10, **busy) <= 50


@pytest.mark.parametrize(
    ("power", "unsure", "settled", "moving", "still"),
    [("full", 20, 20, 20, 20), ("balanced", 20, 4, 6, 0.5), ("low", 6, 2, 3, 0.25)],
)
def test_each_power_has_its_looks_in_a_second(
    power: Power, unsure: float, settled: float, moving: float, still: float
) -> None:
    """What a board is chosen for: at 20 frames a second, for half a minute of each case."""

    def rate(*, moved: bool, present: bool, unsure: bool) -> float:
        schedule = DetectionSchedule(power)
        return sum(schedule.due(i / 20, moved=moved, present=present, unsure=unsure) for i in range(600)) / 30

    assert rate(moved=True, present=True, unsure=True) == pytest.approx(unsure, rel=0.3)
    assert rate(moved=True, present=True, unsure=False) == pytest.approx(settled, rel=0.3)
    assert rate(moved=True, present=False, unsure=False) == pytest.approx(moving, rel=0.3)
    assert rate(moved=False, present=False, unsure=False) == pytest.approx(still, rel=0.3)

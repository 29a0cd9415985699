"""One violation, one id: from the verdict to the end of it."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone

import numpy as np
import pytest

from edge_agent.config import QuietHours, ViolationSettings
from edge_agent.types import Box, Frame, Person, Verdict, ViolationType
from edge_agent.violations import Violations, _Open, is_quiet

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=timezone.utc)
IMAGE = np.zeros((480, 640, 3), np.uint8)


def frame(at: float) -> Frame:
    return Frame(int(at * 10), IMAGE, at, NOON + timedelta(seconds=at))


def person(number: int, verdict: Verdict, gender: str = "female") -> Person:
    return Person(number, Box(-10, 48, 320, 240), verdict, 0.9, 5, gender, 0.95, 0.0, 0.0)


def test_a_violation_starts_once_and_ends_when_the_person_complies() -> None:
    room = Violations(ViolationSettings())
    (started,) = room.update([person(1, Verdict.NO_MASK)], frame(1))
    assert room.update([person(1, Verdict.NO_MASK)], frame(2)) == []
    assert room.update([person(1, Verdict.UNDECIDED)], frame(3)) == []
    (ended,) = room.update([person(1, Verdict.MASK)], frame(4))
    assert started.violation.type is ViolationType.STARTED
    assert started.violation.event_id == ended.violation.event_id
    assert ended.violation.type is ViolationType.ENDED
    assert ended.violation.ended_at == NOON + timedelta(seconds=4)
    assert started.alarm and not ended.alarm
    assert room.active == []


def test_it_ends_when_the_person_leaves_even_without_frames() -> None:
    room = Violations(ViolationSettings())
    room.update([person(1, Verdict.INCORRECT)], frame(1))
    (ended,) = room.update_without_frame([], 9.0)
    assert ended.violation.type is ViolationType.ENDED
    assert ended.violation.kind is Verdict.INCORRECT
    assert ended.violation.ended_at == NOON + timedelta(seconds=9)


def test_without_a_frame_nothing_starts() -> None:
    assert Violations(ViolationSettings()).update_without_frame([person(1, Verdict.NO_MASK)], 1.0) == []


def test_the_box_is_in_fractions_inside_the_frame() -> None:
    (started,) = Violations(ViolationSettings()).update([person(1, Verdict.NO_MASK)], frame(1))
    assert started.violation.box == (0.0, 0.1, 0.5, 0.5)


def test_a_face_that_reaches_over_the_far_edges_is_told_as_ending_at_them() -> None:
    (started,) = Violations(ViolationSettings()).update([at(Box(480, 360, 700, 500))], frame(1))
    assert started.violation.box == (0.75, 0.75, 1.0, 1.0)


def test_where_a_face_is_is_told_to_less_than_a_pixel() -> None:
    (started,) = Violations(ViolationSettings()).update([at(Box(101, 103, 163, 181))], frame(1))
    assert started.violation.box == pytest.approx((101 / 640, 103 / 480, 163 / 640, 181 / 480), abs=0.5 / 640)


def test_it_lasts_no_less_than_nothing() -> None:
    """A frame that the camera dates back must not let a violation end before it began."""
    room = Violations(ViolationSettings())
    room.update([person(1, Verdict.NO_MASK)], frame(5))
    (ended,) = room.end_all(4.0)
    assert ended.violation.ended_at == NOON + timedelta(seconds=5)


def test_the_alarm_sounds_again_when_the_cooldown_is_over_to_the_second() -> None:
    room = Violations(ViolationSettings(cooldown=10))
    room.update([person(1, Verdict.NO_MASK)], frame(1))
    (notice,) = room.update([person(1, Verdict.NO_MASK), person(2, Verdict.NO_MASK)], frame(11))
    assert notice.alarm


def test_kinds_that_do_not_count_make_no_event() -> None:
    room = Violations(ViolationSettings(kinds=("no_mask",)))
    assert room.update([person(1, Verdict.INCORRECT)], frame(1)) == []
    assert len(room.update([person(2, Verdict.NO_MASK)], frame(2))) == 1


def test_the_cooldown_silences_the_buzzer_and_not_the_report() -> None:
    room = Violations(ViolationSettings(cooldown=10))
    (first,) = room.update([person(1, Verdict.NO_MASK)], frame(1))
    (second,) = room.update([person(1, Verdict.NO_MASK), person(2, Verdict.NO_MASK)], frame(5))
    everybody = [person(n, Verdict.NO_MASK) for n in (1, 2, 3)]
    (third,) = room.update(everybody, frame(11.5))
    assert (first.alarm, second.alarm, third.alarm) == (True, False, True)


def test_others_in_the_picture_are_named_for_blurring() -> None:
    room = Violations(ViolationSettings())
    (notice,) = room.update([person(1, Verdict.NO_MASK), person(2, Verdict.MASK)], frame(1))
    assert notice.others == (Box(-10, 48, 320, 240),)
    assert notice.frame is not None


def test_every_other_face_of_the_frame_is_blurred_though_nobody_follows_it() -> None:
    own, passer_by = Box(0, 50, 318, 238), Box(500, 50, 540, 90)
    room = Violations(ViolationSettings())
    (notice,) = room.update([person(1, Verdict.NO_MASK)], frame(1), [own, passer_by])
    assert notice.others == (passer_by,)


def at(box: Box) -> Person:
    return person(1, Verdict.NO_MASK)._replace(box=box)


@pytest.mark.parametrize(
    "bystander",
    [
        pytest.param(Box(253, 100, 333, 200), id="right"),
        pytest.param(Box(147, 100, 227, 200), id="left"),
        pytest.param(Box(200, 167, 280, 267), id="below"),
        pytest.param(Box(200, 33, 280, 133), id="above"),
        pytest.param(Box(220, 120, 256, 165), id="a child before him"),
        pytest.param(Box(150, 0, 330, 220), id="somebody nearer the camera"),
        pytest.param(Box(500, 300, 580, 400), id="far right and below"),
        pytest.param(Box(20, 0, 60, 50), id="far left and above"),
        pytest.param(Box(290, 100, 370, 200), id="beside him"),
        pytest.param(Box(200, 210, 280, 310), id="under him"),
    ],
)
def test_a_bystander_whose_face_touches_the_violators_is_blurred(bystander: Box) -> None:
    (notice,) = Violations(ViolationSettings()).update([at(Box(200, 100, 280, 200))], frame(1), [bystander])
    assert notice.others == (bystander,)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (12, 0), (-12, 0), (0, 15), (0, -15), (8, 8), (-8, -8)])
def test_the_violators_own_face_stays_visible_though_the_box_trembles(right: int, down: int) -> None:
    own = Box(200 + right, 100 + down, 280 + right, 200 + down)
    (notice,) = Violations(ViolationSettings()).update([at(Box(200, 100, 280, 200))], frame(1), [own])
    assert notice.others == ()


def test_with_gender_switched_off_events_carry_none() -> None:
    (notice,) = Violations(ViolationSettings(), gender=False).update([person(1, Verdict.NO_MASK)], frame(1))
    assert notice.violation.gender is None


def test_everything_open_ends_when_the_watch_does() -> None:
    room = Violations(ViolationSettings())
    room.update([person(1, Verdict.NO_MASK), person(2, Verdict.INCORRECT)], frame(1))
    assert len(room.active) == 2
    assert [notice.violation.person for notice in room.end_all(3.0)] == [1, 2]
    assert room.end_all(4.0) == []


def test_quiet_hours_over_midnight() -> None:
    hours = (QuietHours(start=time(22, 0), end=time(7, 0)),)

    def at(hour: int, minute: int = 0) -> datetime:
        return datetime(2026, 5, 4, hour, minute).astimezone()  # summer time, where that day has it

    assert is_quiet(hours, at(23)) and is_quiet(hours, at(6, 59))
    assert not is_quiet(hours, at(7)) and not is_quiet(hours, at(21, 59))
    day = (QuietHours(start=time(12, 0), end=time(13, 0)),)
    assert is_quiet(day, at(12, 30)) and not is_quiet(day, at(13))
    assert is_quiet(hours, at(22)) and is_quiet(day, at(12)), "from the very minute on"


def test_in_quiet_hours_events_are_reported_without_alarm() -> None:
    local = NOON.astimezone()
    quiet = QuietHours(
        start=(local - timedelta(hours=1)).time().replace(tzinfo=None),
        end=(local + timedelta(hours=1)).time().replace(tzinfo=None),
    )
    (notice,) = Violations(ViolationSettings(quiet_hours=(quiet,))).update([person(1, Verdict.NO_MASK)], frame(0))
    assert not notice.alarm


def test_a_fault_in_the_alarm_leaves_no_violation_that_only_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object) -> bool:
        raise TypeError("a loose wire")

    room = Violations(ViolationSettings())
    monkeypatch.setattr("edge_agent.violations.is_quiet", fault)
    with pytest.raises(TypeError):
        room.update([person(1, Verdict.NO_MASK)], frame(0))
    assert room.active == [] and room.end_all(1.0) == []


def test_others_may_ask_what_goes_on_while_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread starts a violation between two steps of the loop that lists them."""

    class Meddled(_Open):
        @property
        def violation(self) -> object:  # type: ignore[override]
            room._open.setdefault(99, entry)
            return entry.violation

    room = Violations(ViolationSettings())
    room.update([person(1, Verdict.NO_MASK), person(2, Verdict.NO_MASK)], frame(0))
    entry = room._open[1]
    room._open[1] = object.__new__(Meddled)
    assert len(room.active) == 2

"""How far, how fast and for how long: where the same person ends and somebody else begins."""

from __future__ import annotations

import pytest

from edge_agent.config import PeopleSettings, VisionSettings
from edge_agent.people import People
from edge_agent.people.tracker import Tracker
from edge_agent.types import Box, Face

SIZE = (1280, 720)
HEIGHT = 80.0


def face(x: float, y: float = 300.0, height: float = HEIGHT) -> Face:
    """One whose box begins at `x`; y is that of its middle."""
    return Face(Box(x, y - height / 2, x + 0.8 * height, y + height / 2), 0.9)


def seen(*moments: tuple[float, Face]) -> Tracker:
    tracker = Tracker(lost_after=1.5)
    for now, found in moments:
        tracker.update([found], now, SIZE)
    return tracker


def standing(x: float, until: float = 0.3) -> Tracker:
    return seen((until - 0.2, face(x)), (until - 0.1, face(x)), (until, face(x)))


def walking(speed: float, start: float = 100.0) -> Tracker:
    """Somebody seen from 0.0 to 0.3 s; `speed` in face heights a second. Ends at `start` + 0.3 * speed heights."""
    return seen(*((i / 10, face(start + speed * HEIGHT * i / 10)) for i in range(4)))


def found_again(tracker: Tracker, found: Face, now: float) -> bool:
    return tracker.update([found], now, SIZE)[0].id == 1


def test_who_sets_off_at_once_is_the_same_person() -> None:
    assert found_again(standing(400), face(400 + 0.9 * HEIGHT), 0.4)


def test_who_appears_two_heads_aside_in_the_next_frame_is_somebody_else() -> None:
    assert not found_again(standing(400), face(400 + 2.0 * HEIGHT), 0.4)


def test_who_was_hidden_for_half_a_second_may_have_walked_on() -> None:
    assert found_again(standing(400), face(400 + 1.8 * HEIGHT), 0.8)


def test_who_appears_three_heads_aside_after_half_a_second_is_somebody_else() -> None:
    assert not found_again(standing(400), face(400 + 3.0 * HEIGHT), 0.8)


def test_who_was_hidden_for_long_is_not_looked_for_in_the_whole_picture() -> None:
    assert not found_again(standing(400), face(400 + 3.0 * HEIGHT), 1.6)


@pytest.mark.parametrize("hidden", [0.5, 1.4])
def test_who_walks_on_behind_a_pillar_and_who_stops_there_are_found_again(hidden: float) -> None:
    last = 100 + 4 * HEIGHT * 0.3
    assert found_again(walking(4.0), face(last + 4 * HEIGHT * min(hidden, 0.5)), 0.3 + hidden)
    assert found_again(walking(4.0), face(last + 0.2 * HEIGHT), 0.3 + hidden)


def test_a_face_is_carried_on_as_a_whole() -> None:
    tracker = seen(*((i / 10, face(400 + 20 * i, 300 + 10 * i)) for i in range(4)))
    tracker.carry(0.5)
    assert tracker.tracks[0].box == pytest.approx(face(500, 350).box)


@pytest.mark.parametrize("direction", [-1, 1])
def test_who_walks_towards_the_camera_or_away_is_looked_for_where_he_should_be(direction: int) -> None:
    tracker = seen(*((i / 10, face(600, 360 + 25 * direction * i)) for i in range(4)))
    tracker.update([], 0.5, SIZE)
    assert tracker.tracks[0].box.y1 == pytest.approx(320 + 125 * direction, abs=2)
    assert found_again(tracker, face(600, 360 + 200 * direction), 0.8)


def test_a_small_face_far_from_a_large_one_is_somebody_else() -> None:
    """Distances count in heights of the smaller face: from a large one, much would be near."""
    tracker = seen((0.0, face(400, height=160)), (0.1, face(400, height=160)))
    assert not found_again(tracker, face(560, height=90), 0.2)
    tracker = seen((0.0, face(400, height=90)), (0.1, face(400, height=90)))
    assert not found_again(tracker, face(520, height=160), 0.2)


@pytest.mark.parametrize(
    ("height", "same"), [(46, True), (70, True), (115, True), (140, True), (34, False), (184, False)]
)
def test_a_face_that_comes_near_is_the_same_one_but_not_one_of_twice_its_size(height: float, same: bool) -> None:
    assert found_again(standing(400), face(400, height=height), 0.5) is same


def test_the_nearest_face_of_like_size_is_the_same_person() -> None:
    tracker = standing(400)
    far, near = tracker.update([face(440), face(410)], 0.4, SIZE)
    assert (far.id, near.id) == (2, 1)
    tracker = standing(400)
    other, own = tracker.update([face(400, height=145), face(412)], 0.4, SIZE)
    assert (other.id, own.id) == (2, 1)


def test_a_face_that_was_hidden_for_a_moment_at_its_first_look_keeps_its_id() -> None:
    tracker = seen((0.0, face(400)))
    tracker.update([], 0.2, SIZE)
    tracker.update([], 0.4, SIZE)
    assert found_again(tracker, face(405), 0.5)


def out(side: str, speed: float, gap: float) -> Tracker:
    """Somebody who moves towards a side of the picture and was last seen `gap` head heights from it."""
    width, height = SIZE
    steps = [HEIGHT * (gap + speed * (3 - i) / 10) for i in range(4)]
    return seen(
        *(
            (
                i / 10,
                {
                    "left": face(step),
                    "right": face(width - 0.8 * HEIGHT - step),
                    "top": face(600, step + HEIGHT / 2),
                    "bottom": face(600, height - step - HEIGHT / 2),
                }[side],
            )
            for i, step in enumerate(steps)
        )
    )


SIDES = pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])


@SIDES
@pytest.mark.parametrize(("speed", "gap"), [(0.5, 0.0), (0.5, 0.06), (2.0, 0.06)])
def test_who_walks_out_is_gone_before_the_next_one_walks_in(side: str, speed: float, gap: float) -> None:
    tracker = out(side, speed, gap)
    tracker.update([], 0.9, SIZE)
    assert tracker.tracks == []


@SIDES
@pytest.mark.parametrize(
    ("speed", "gap"),
    [
        pytest.param(0.2, 0.0, id="sways at the edge"),
        pytest.param(1.0, 0.25, id="walks, but has not come to the edge"),
        pytest.param(-1.0, 0.05, id="comes in"),
    ],
)
def test_who_has_not_left_is_waited_for(side: str, speed: float, gap: float) -> None:
    tracker = out(side, speed, gap)
    tracker.update([], 0.9, SIZE)
    assert [track.id for track in tracker.tracks] == [1]


@SIDES
def test_who_walks_out_may_be_missed_for_a_moment(side: str) -> None:
    tracker = out(side, 0.5, 0.06)
    tracker.update([], 0.6, SIZE)
    assert [track.id for track in tracker.tracks] == [1]


def test_who_turns_round_at_the_edge_is_not_leaving_any_more() -> None:
    tracker = out("left", 1.0, 0.05)
    for i in range(1, 4):
        tracker.update([face(4 + 20 * i)], 0.3 + i / 10, SIZE)
    tracker.update([], 1.4, SIZE)
    assert [track.id for track in tracker.tracks] == [1]


@pytest.mark.parametrize(("pace", "known"), [(0.2, True), (1.25, True), (4.0, True), (9.0, False)])
def test_a_slow_camera_keeps_people_and_a_camera_that_was_away_does_not(pace: float, known: bool) -> None:
    tracker = Tracker(lost_after=1.5)
    for i in range(3):
        tracker.frame(i * pace)
        found = tracker.update([face(400)], i * pace, SIZE)
    tracker.frame(3 * pace)
    tracker.carry(3 * pace)
    assert bool(tracker.tracks and found[0].confirmed) is known


@pytest.mark.parametrize(("across", "down"), [(1.0, 1.0), (2.0, 1.0), (1.0, 1.5), (0.5, 0.75)])
def test_who_walks_up_or_down_is_followed_through_a_change_of_the_picture(across: float, down: float) -> None:
    tracker = seen(*((i / 10, face(600, 100 + 30 * i)) for i in range(4)))
    size = (round(SIZE[0] * across), round(SIZE[1] * down))
    tracker.update([], 0.4, size)
    (track,) = tracker.tracks
    assert track.box == pytest.approx((600 * across, 180 * down, 664 * across, 260 * down), abs=2)
    there = Face(Box(600 * across, 210 * down, 664 * across, 290 * down), 0.9)
    assert tracker.update([there], 0.5, size) == [track], "the same person"


def test_a_box_that_trembles_does_not_fly_off_while_the_face_is_hidden() -> None:
    tracker = seen(*((i / 10, face(400 + 8 * (i % 2))) for i in range(4)))
    tracker.update([], 0.8, SIZE)
    assert abs(tracker.tracks[0].box.x1 - 408) < 0.3 * HEIGHT


@pytest.mark.parametrize("gone", [0, 1])
def test_who_leaves_is_forgotten_though_somebody_else_stands_close_by(gone: int) -> None:
    tracker = Tracker(lost_after=1.5)
    both = [face(400), face(470)]
    for i in range(3):
        tracker.update(both, i / 10, SIZE)
    for i in range(3, 30):
        tracker.update([both[1 - gone]], i / 10, SIZE)
    assert [track.id for track in tracker.tracks] == [2 - gone]


def test_a_camera_of_usual_pace_waits_for_nobody_longer_than_set() -> None:
    tracker = Tracker(lost_after=0.3)
    for i in range(4):
        tracker.frame(i / 10)
        tracker.update([face(400)], i / 10, SIZE)
    tracker.frame(0.4)
    tracker.update([], 0.4, SIZE)
    tracker.carry(0.55)
    assert len(tracker.tracks) == 1
    tracker.carry(0.65)
    assert tracker.tracks == []


def test_while_the_face_net_rests_a_face_is_in_view_and_a_little_later_it_is_not() -> None:
    people = People(PeopleSettings(lost_after=3.0), VisionSettings())
    for i in range(4):
        people.frame(i / 10)
        people.follow([face(400)], i / 10, SIZE)
    for now, visible in ((0.55, True), (0.9, True), (1.15, False), (2.0, False)):
        people.rest(now)
        (person,) = people.persons(now)
        assert person.visible is visible, now


def test_two_frames_of_one_moment_are_no_error() -> None:
    tracker = standing(400)
    assert found_again(tracker, face(404), 0.3)
    tracker.carry(0.4)
    assert tracker.tracks[0].box.x1 == pytest.approx(404, abs=1)

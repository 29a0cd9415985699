"""The tracker keeps one id for one face, and different ids for different faces."""

from __future__ import annotations

import pytest

from edge_agent.people.tracker import Tracker
from edge_agent.types import Box, Face

SIZE = (640, 480)


def face(x: float, y: float = 100, size: float = 80) -> Face:
    return Face(Box(x, y, x + size * 0.8, y + size), 0.9)


def test_a_walking_face_keeps_its_id() -> None:
    tracker = Tracker(lost_after=1.5)
    ids = {tracker.update([face(10 + 30 * i)], i * 0.1, SIZE)[0].id for i in range(15)}
    assert len(ids) == 1


def test_two_faces_that_pass_keep_their_ids() -> None:
    tracker = Tracker(lost_after=1.5)
    for i in range(20):
        left, right = tracker.update([face(10 + 25 * i, 80), face(500 - 25 * i, 180)], i * 0.1, SIZE)
        assert (left.id, right.id) == (1, 2)


def test_a_face_that_turns_away_for_a_moment_is_the_same_person() -> None:
    tracker = Tracker(lost_after=1.5)
    tracker.update([face(100)], 0.0, SIZE)
    tracker.update([face(110)], 0.1, SIZE)
    for i in range(2, 8):
        tracker.update([], i * 0.1, SIZE)
    assert tracker.update([face(150)], 0.8, SIZE)[0].id == 1


def test_a_face_that_was_seen_once_is_nobody_and_soon_forgotten() -> None:
    tracker = Tracker(lost_after=5.0)
    assert not tracker.update([face(100)], 0.0, SIZE)[0].confirmed
    tracker.update([], 1.0, SIZE)
    assert tracker.tracks == []


def test_a_face_that_left_is_forgotten_and_its_id_not_used_again() -> None:
    tracker = Tracker(lost_after=1.0)
    for i in range(3):
        tracker.update([face(100)], i * 0.1, SIZE)
    tracker.carry(5.0)
    assert tracker.tracks == []
    assert tracker.update([face(100)], 5.1, SIZE)[0].id == 2


def test_a_face_of_quite_another_size_is_somebody_else() -> None:
    tracker = Tracker(lost_after=1.5)
    tracker.update([face(100, size=40)], 0.0, SIZE)
    assert tracker.update([face(90, size=160)], 0.1, SIZE)[0].id == 2


def test_a_resting_face_is_carried_on_by_its_velocity() -> None:
    tracker = Tracker(lost_after=1.5)
    tracker.update([face(100)], 0.0, SIZE)
    tracker.update([face(120)], 0.1, SIZE)
    tracker.carry(0.2)
    assert tracker.tracks[0].box.x1 == 140


def test_the_order_of_the_answer_is_that_of_the_faces() -> None:
    tracker = Tracker(lost_after=1.5)
    tracker.update([face(100), face(300), face(500)], 0.0, SIZE)
    tracks = tracker.update([face(505), face(105), face(305)], 0.1, SIZE)
    assert [track.id for track in tracks] == [3, 1, 2]


def test_no_faces_and_nobody_known() -> None:
    assert Tracker(lost_after=1.0).update([], 0.0, SIZE) == []


def test_who_walks_out_of_the_picture_is_not_whoever_walks_in_there_next() -> None:
    tracker = Tracker(lost_after=1.5)
    for i in range(10):
        tracker.update([face(400 + 25 * i)], i * 0.1, SIZE)
    assert tracker.tracks[0].leaving
    tracker.update([], 1.5, SIZE)  # within `lost_after`
    assert tracker.tracks == []


def test_who_stands_at_the_edge_is_not_leaving() -> None:
    tracker = Tracker(lost_after=1.5)
    for i in range(10):
        tracker.update([face(574)], i * 0.1, SIZE)
    assert not tracker.tracks[0].leaving
    tracker.update([], 1.5, SIZE)  # hidden for a moment
    assert tracker.update([face(574)], 2.0, SIZE)[0].id == 1


def test_a_slow_camera_does_not_make_everybody_a_stranger() -> None:
    """At 0.8 frames a second the idle rounds between two frames must not give a new face up."""
    tracker = Tracker(lost_after=1.5)
    tracker.frame(0.0)
    tracker.frame(1.25)
    first = tracker.update([face(100)], 1.25, SIZE)[0].id
    tracker.carry(2.4)
    tracker.frame(2.5)
    (track,) = tracker.update([face(102)], 2.5, SIZE)
    assert (track.id, track.confirmed) == (first, True)
    tracker.frame(2.6)  # at a camera's usual pace it is as before
    tracker.update([], 2.6, SIZE)
    tracker.frame(2.7)
    tracker.carry(4.5)
    assert tracker.tracks == []


def test_a_break_of_the_camera_keeps_nobody() -> None:
    tracker = Tracker(lost_after=1.5)
    tracker.frame(0.0)
    tracker.update([face(100)], 0.0, SIZE)
    tracker.frame(60.0)
    tracker.carry(60.0)
    assert tracker.tracks == []


def test_a_stream_that_changes_its_resolution_loses_nobody() -> None:
    tracker = Tracker(lost_after=1.5)
    for i in range(3):
        tracker.update([face(100 + 20 * i, 100, 80)], i * 0.1, SIZE)
    (track,) = tracker.update([face(320, 200, 160)], 0.3, (1280, 960))
    assert (track.id, len(tracker.tracks)) == (1, 1)
    assert track.velocity[0] == pytest.approx(400, rel=0.1), "pixels of the new size"
    tracker.update([], 0.4, SIZE)  # and back
    assert tracker.tracks[0].box.x1 == pytest.approx(180, abs=2)


def test_who_nobody_looked_for_is_not_gone() -> None:
    tracker = Tracker(lost_after=0.1)
    for i in range(3):
        tracker.update([face(100)], i * 0.1, SIZE)
    tracker.carry(0.65)  # the face net rests
    assert len(tracker.tracks) == 1
    tracker.update([], 0.66, SIZE)
    assert tracker.tracks == []
    tracker.update([face(100)], 1.0, SIZE)
    tracker.carry(3.0)  # no frame came for long
    assert tracker.tracks == []

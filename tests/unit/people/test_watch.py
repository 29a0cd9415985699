"""The people room asks the networks for no more looks than can change something."""

from __future__ import annotations

import gc

import pytest

from edge_agent.config import PeopleSettings, VisionSettings
from edge_agent.people import People
from edge_agent.people.votes import MaskVotes
from edge_agent.types import Box, Face, GenderScores, Look, MaskScores, Observation, Verdict

BARE = MaskScores(0.02, 0.95, 0.03)
MASKED = MaskScores(0.96, 0.02, 0.02)
NEAR = Face(Box(100, 100, 164, 180), 0.95)
SIZE = (640, 480)
FAR = Face(Box(100, 100, 116, 120), 0.95)


def people(**vision: object) -> People:
    return People(PeopleSettings(), VisionSettings.model_validate(vision), gender_threshold=0.8)


def answer(looks: list[Look], scores: MaskScores) -> list[Observation]:
    male = GenderScores(0.95, 0.05)
    return [
        Observation(
            look.face,
            scores if look.mask else None,
            male if look.gender else None,
            look.face.quality,
            look.person_id,
        )
        for look in looks
        if look.mask or look.gender
    ]


def watch(room: People, faces: list[Face], scores: MaskScores, frames: int, start: int = 0) -> list[Look]:
    asked: list[Look] = []
    for i in range(start, start + frames):
        looks = room.follow(faces, i * 0.1, SIZE)
        asked += looks
        room.observe(answer(looks, scores), i * 0.1)
    return asked


def test_a_bare_face_becomes_a_violation_with_a_gender() -> None:
    room = people()
    watch(room, [NEAR], BARE, 5)
    (person,) = room.persons(0.4)
    assert person.verdict is Verdict.NO_MASK
    assert person.gender == "male"
    assert person.visible


def test_each_second_look_at_a_gender_is_in_a_mirror() -> None:
    asked = [look for look in watch(people(), [NEAR], BARE, 20) if look.gender]
    assert [look.mirrored for look in asked] == [False, True, False]


def test_nobody_asks_for_the_gender_of_a_masked_face() -> None:
    room = people()
    asked = watch(room, [NEAR], MASKED, 30)
    assert not any(look.gender for look in asked)
    assert room.persons(2.9)[0].gender == "unknown"


def test_with_gender_switched_off_it_is_never_looked_at() -> None:
    room = people(gender={"enabled": False})
    assert not any(look.gender for look in watch(room, [NEAR], BARE, 20))


def test_once_sure_the_mask_net_is_asked_seldom() -> None:
    room = people()
    asked = watch(room, [NEAR], MASKED, 30)
    assert 3 <= sum(look.mask for look in asked) <= 8
    room = people(power="full")
    assert all(look.mask for look in watch(room, [NEAR], MASKED, 30))


@pytest.mark.parametrize(("power", "least", "most"), [("balanced", 12, 16), ("low", 5, 8)])
def test_the_less_power_the_fewer_looks_at_who_is_settled(power: str, least: int, most: int) -> None:
    room = people(power=power)
    watch(room, [NEAR], MASKED, 10)
    assert least <= sum(look.mask for look in watch(room, [NEAR], MASKED, 100, start=10)) <= most


def test_a_look_that_contradicts_brings_more_looks() -> None:
    room = people()
    watch(room, [NEAR], MASKED, 20)
    asked = watch(room, [NEAR], BARE, 15, start=20)
    assert sum(look.mask for look in asked) >= 7
    assert room.persons(3.4)[0].verdict is Verdict.NO_MASK


def test_a_face_too_small_to_judge_is_followed_only() -> None:
    room = people()
    assert not any(look.mask for look in watch(room, [FAR], BARE, 10))
    assert room.persons(0.9)[0].verdict is Verdict.UNDECIDED
    assert not room.unsure


def test_somebody_new_makes_the_room_unsure() -> None:
    room = people()
    assert not room.present and not room.unsure
    room.follow([NEAR], 0.0, SIZE)
    assert room.present and room.unsure
    watch(room, [NEAR], MASKED, 6, start=1)
    assert room.present and not room.unsure


def test_who_left_is_forgotten_without_a_trace() -> None:
    room = people()
    watch(room, [NEAR], BARE, 5)
    room.rest(60.0)
    assert room.persons(60.0) == []
    assert not room.present
    assert room.observe([Observation(NEAR, BARE, person_id=1)], 60.0) == []


def test_who_stays_keeps_the_verdict_when_somebody_else_leaves() -> None:
    room = people()
    other = Face(Box(400, 100, 464, 180), 0.95)
    watch(room, [NEAR, other], BARE, 6)
    watch(room, [NEAR], BARE, 30, start=6)
    (person,) = room.persons(3.5)
    assert (person.id, person.verdict) == (1, Verdict.NO_MASK)


def test_a_thousand_passers_by_leave_nothing_in_memory() -> None:
    room = people()
    for i in range(0, 3000, 3):
        room.follow([NEAR], i, SIZE)
        room.rest(i + 2.5)
    gc.collect()
    assert sum(isinstance(thing, MaskVotes) for thing in gc.get_objects()) < 50


def test_the_smallest_face_that_is_judged_is_judged_to_the_end() -> None:
    smallest = Face(Box(100, 100, 120, 124), 0.95)
    room = people(mask={"min_face": 24})
    watch(room, [smallest], BARE, 4)
    assert room.persons(0.3)[0].verdict is Verdict.NO_MASK
    room = people(mask={"min_face": 24})
    room.follow([smallest], 0.0, SIZE)
    assert room.unsure


def test_a_look_at_nobody_in_particular_is_nobodys() -> None:
    room = people()
    watch(room, [NEAR], MASKED, 6)
    for i in range(6, 26):
        room.observe([Observation(NEAR, BARE)], i * 0.1)
    (person,) = room.persons(0.6)
    assert person.verdict is Verdict.MASK

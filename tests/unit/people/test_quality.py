"""What a look is worth: a large, whole face that the detector is sure of tells most."""

from __future__ import annotations

import pytest

from edge_agent.config import PeopleSettings
from edge_agent.people.votes import MaskVotes
from edge_agent.types import Box, Face, MaskScores, Verdict

BARE = MaskScores(0.02, 0.95, 0.03)
MASKED = MaskScores(0.96, 0.02, 0.02)
BOX = Box(0, 0, 80, 100)


def verdict(*looks: tuple[Face, MaskScores]) -> Verdict:
    votes = MaskVotes(PeopleSettings())
    for face, scores in looks:
        votes.add(scores, face.quality, 0.65)
    return votes.verdict


@pytest.mark.parametrize(
    "poorer",
    [
        pytest.param(Face(BOX, 0.9, visible=0.45), id="half out of the picture"),
        pytest.param(Face(Box(0, 0, 24, 30), 0.9), id="far away"),
        pytest.param(Face(BOX, 0.4), id="doubtful"),
    ],
)
def test_a_good_look_outvotes_a_poorer_one(poorer: Face) -> None:
    good = Face(BOX, 0.9)
    assert poorer.quality < 0.5 * good.quality
    assert verdict(*[(poorer, BARE)] * 4, *[(good, MASKED)] * 4) is Verdict.MASK
    assert verdict(*[(good, BARE)] * 4, *[(good, MASKED)] * 4) is Verdict.NO_MASK, "the first of equals is kept"


def test_a_face_near_enough_is_worth_no_more_for_being_nearer() -> None:
    assert Face(Box(0, 0, 80, 100), 1.0).quality == Face(Box(0, 0, 400, 460), 1.0).quality == 1.0

"""Votes: several looks make a verdict, one doubtful look breaks none."""

from __future__ import annotations

import pytest

from edge_agent.config import PeopleSettings
from edge_agent.people.votes import GenderVotes, MaskVotes
from edge_agent.types import GenderScores, MaskScores, Verdict

BARE = MaskScores(0.02, 0.95, 0.03)
MASKED = MaskScores(0.96, 0.02, 0.02)
NOSE_OUT = MaskScores(0.05, 0.05, 0.90)
DOUBTFUL = MaskScores(0.34, 0.36, 0.30)


def votes(*looks: MaskScores, **settings: float) -> MaskVotes:
    made = MaskVotes(PeopleSettings(**settings))  # type: ignore[arg-type]
    for look in looks:
        made.add(look, 1.0, 0.65)
    return made


def test_a_verdict_needs_several_looks() -> None:
    assert votes(BARE, BARE).verdict is Verdict.UNDECIDED
    assert votes(BARE, BARE, BARE).verdict is Verdict.NO_MASK


@pytest.mark.parametrize(
    ("look", "verdict"),
    [(BARE, Verdict.NO_MASK), (MASKED, Verdict.MASK), (NOSE_OUT, Verdict.INCORRECT)],
)
def test_looks_that_agree_make_their_verdict(look: MaskScores, verdict: Verdict) -> None:
    made = votes(*[look] * 6)
    assert made.verdict is verdict
    assert made.confidence > 0.9
    assert made.sure


def test_a_confidence_is_never_above_one() -> None:
    for scores in (MaskScores(0.0, 0.7, 0.3), MaskScores(0.0, 0.9, 0.10390625)):
        made = MaskVotes(PeopleSettings())
        for weight in (0.1, 0.3, 0.7, 0.9, 0.2):
            made.add(scores, weight, 0.65)
            assert made.confidence <= 1.0


def test_a_badly_worn_mask_needs_more_looks_than_a_bare_face() -> None:
    assert votes(*[NOSE_OUT] * 5).verdict is Verdict.UNDECIDED
    assert votes(*[NOSE_OUT] * 6).verdict is Verdict.INCORRECT
    assert votes(*[NOSE_OUT] * 3, min_votes=2, window=3).verdict is Verdict.INCORRECT  # the window holds no more
    assert votes(*[NOSE_OUT] * 3, incorrect_votes=1).verdict is Verdict.INCORRECT


def test_a_few_looks_at_a_badly_worn_mask_alarm_nobody_who_wears_it_well() -> None:
    assert votes(*[NOSE_OUT] * 4, *[MASKED] * 3).verdict is Verdict.UNDECIDED
    assert votes(*[NOSE_OUT] * 4, *[MASKED] * 8).verdict is Verdict.MASK


def test_a_doubtful_look_does_not_vote() -> None:
    made = votes(*[DOUBTFUL] * 20)
    assert made.verdict is Verdict.UNDECIDED
    assert len(made) == 0


def test_a_look_of_no_worth_does_not_vote() -> None:
    made = MaskVotes(PeopleSettings())
    made.add(BARE, 0.0, 0.65)
    assert len(made) == 0


def test_a_face_between_bare_and_badly_worn_is_a_violation_all_the_same() -> None:
    assert votes(BARE, NOSE_OUT, BARE, NOSE_OUT, BARE).verdict is Verdict.NO_MASK


def test_one_look_against_a_verdict_does_not_break_it() -> None:
    made = votes(*[MASKED] * 6, BARE)
    assert made.verdict is Verdict.MASK
    assert not made.sure  # but it is worth another look


def test_a_verdict_changes_when_the_looks_do() -> None:
    made = votes(*[BARE] * 5, *[MASKED] * 10)
    assert made.verdict is Verdict.MASK


def test_between_threshold_and_release_a_verdict_is_kept() -> None:
    made = votes(*[MASKED] * 5, *[BARE] * 5)
    assert made.verdict is Verdict.MASK
    made.add(BARE, 1.0, 0.65)
    made.add(BARE, 1.0, 0.65)
    assert made.verdict is Verdict.NO_MASK


@pytest.mark.parametrize(
    ("looks", "against", "kept"),
    [
        ([MASKED] * 10, [BARE] * 4, True),
        ([MASKED] * 10, [BARE] * 5, False),
        ([MASKED] * 10, [NOSE_OUT, BARE] * 2, True),
        ([BARE] * 10, [MASKED] * 4, True),
        ([BARE] * 10, [MASKED] * 6, False),
        ([NOSE_OUT] * 10, [MASKED] * 4, True),
        ([BARE, NOSE_OUT] * 5, [MASKED] * 4, True),
        ([BARE, NOSE_OUT] * 5, [MASKED] * 6, False),
    ],
)
def test_below_release_a_verdict_is_given_up_and_nobody_is_accused(
    looks: list[MaskScores], against: list[MaskScores], kept: bool
) -> None:
    made = votes(*looks, release=0.5)
    before = made.verdict
    assert before is not Verdict.UNDECIDED
    for look in against:
        made.add(look, 1.0, 0.65)
    assert made.verdict is (before if kept else Verdict.UNDECIDED)
    assert 0.5 <= made.confidence < 0.65, "of the verdict, or else of what leads"


@pytest.mark.parametrize(("sure", "votes_"), [(0.70, 5), (0.69, 0)])
def test_a_look_that_is_just_clear_enough_votes(sure: float, votes_: int) -> None:
    look = MaskScores(sure, 1 - sure, 0.0)
    assert len(votes(*[look] * 5, min_score=0.7)) == votes_


def test_a_kind_of_violation_changes_only_when_the_other_is_clear() -> None:
    assert votes(*[NOSE_OUT] * 5, BARE, BARE).verdict is Verdict.INCORRECT
    assert votes(*[NOSE_OUT] * 5, *[BARE] * 20).verdict is Verdict.NO_MASK


@pytest.mark.parametrize(("bare", "kind"), [(6, Verdict.INCORRECT), (7, Verdict.NO_MASK)])
def test_a_kind_changes_when_the_other_has_the_share_of_a_verdict(bare: int, kind: Verdict) -> None:
    assert votes(*[NOSE_OUT] * 10, *[BARE] * bare).verdict is kind


def test_a_kind_changes_with_the_looks_at_a_violation_though_some_saw_a_mask() -> None:
    assert votes(*[NOSE_OUT] * 10, *[MASKED] * 2, *[BARE] * 7).verdict is Verdict.NO_MASK


def test_a_face_that_is_either_bare_or_badly_worn_does_vote() -> None:
    assert votes(*[MaskScores(0.1, 0.45, 0.45)] * 5).verdict.is_violation


def test_bare_and_badly_worn_looks_are_sure_of_a_violation() -> None:
    assert votes(*[BARE, NOSE_OUT] * 3).sure


def test_a_better_look_weighs_more() -> None:
    made = MaskVotes(PeopleSettings())
    for _ in range(5):
        made.add(BARE, 0.1, 0.65)
    for _ in range(3):
        made.add(MASKED, 1.0, 0.65)
    assert made.verdict is Verdict.MASK


def test_gender_is_unknown_without_looks_and_below_its_threshold() -> None:
    gender = GenderVotes(3, threshold=0.8)
    assert gender.answer == ("unknown", 0.0)
    gender.add(GenderScores(0.7, 0.3), 1.0)
    assert gender.answer[0] == "unknown"
    gender.add(GenderScores(0.98, 0.02), 1.0)
    assert gender.answer == ("male", pytest.approx(0.84))


def test_gender_asks_for_few_and_good_pictures() -> None:
    gender = GenderVotes(2, threshold=0.8)
    assert gender.wants(0.2)
    gender.add(GenderScores(0.1, 0.9), 0.9)
    assert not gender.wants(0.2)
    assert gender.wants(0.8)
    gender.add(GenderScores(0.1, 0.9), 0.8)
    assert not gender.wants(1.0)
    assert gender.answer == ("female", pytest.approx(0.9))


@pytest.mark.parametrize(
    ("male", "answer"), [(0.7, ("male", 0.7)), (0.3, ("female", 0.7)), (0.45, ("unknown", 0.55))]
)
def test_a_gender_is_the_likelier_one_or_unknown(male: float, answer: tuple[str, float]) -> None:
    gender = GenderVotes(3, threshold=0.6)
    gender.add(GenderScores(male, 1 - male), 1.0)
    assert gender.answer == (answer[0], pytest.approx(answer[1]))


def test_a_good_picture_says_more_of_a_gender_than_a_poor_one() -> None:
    gender = GenderVotes(3, threshold=0.6)
    gender.add(GenderScores(0.9, 0.1), 0.1)
    gender.add(GenderScores(0.1, 0.9), 0.9)
    assert gender.answer == ("female", pytest.approx(0.82))


@pytest.mark.parametrize("release", [0.35, 0.97])
def test_the_strictest_threshold_asks_for_agreement_and_not_for_the_impossible(release: float) -> None:
    made = MaskVotes(PeopleSettings(threshold=1.0, release=release))
    for _ in range(10):
        made.add(MaskScores(0.0117, 0.9766, 0.0117), 1.0, 1.0)  # as sure as the shipped network ever is
    assert made.verdict is Verdict.NO_MASK
    made = MaskVotes(PeopleSettings(threshold=1.0, release=release))
    for number in range(10):
        made.add(MASKED if number == 1 else BARE, 1.0, 1.0)
    assert made.verdict is Verdict.UNDECIDED

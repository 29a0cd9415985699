"""The scorer counts made-up lists of events right."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from benchmarks.scoring import Reported, Score, score
from edge_agent.types import Box, Verdict

LEFT = (0.1, 0.3, 0.2, 0.5)
RIGHT = (0.7, 0.3, 0.8, 0.5)


@dataclass
class Stay:
    worn: Verdict
    visible: tuple[float, float]
    place: tuple[float, float, float, float] = LEFT

    def box(self, at: float) -> Box | None:
        return Box(*self.place) if self.visible[0] - 0.5 <= at <= self.visible[1] + 0.5 else None


BARE = Stay(Verdict.NO_MASK, (2.0, 8.0))
MASKED = Stay(Verdict.MASK, (2.0, 8.0), RIGHT)


def event(at: float, kind: Verdict = Verdict.NO_MASK, box: tuple[float, float, float, float] = LEFT) -> Reported:
    return Reported(at, kind, box)


def test_a_violation_is_found_with_its_delay() -> None:
    result = score([BARE, MASKED], [event(2.7)], 10.0)
    assert (result.violations, result.compliant, result.found) == (1, 1, 1)
    assert (result.false, result.ghosts, result.repeated, result.wrong_kind) == (0, 0, 0, 0)
    assert result.delays == [pytest.approx(0.7)]
    assert result.found_share == 1.0


def test_an_event_before_the_whole_face_is_seen_has_no_delay() -> None:
    assert score([BARE], [event(1.8)], 10.0).delays == [0.0]


def test_nothing_reported_is_missed() -> None:
    result = score([BARE, MASKED], [], 10.0, "film-1")
    assert (result.found, result.found_share) == (0, 0.0)
    assert result.missed == ["film-1 visit 0: no_mask"]


def test_who_wears_a_mask_is_a_false_alarm() -> None:
    result = score([BARE, MASKED], [event(3.0), event(3.0, box=RIGHT)], 360.0)
    assert (result.found, result.false) == (1, 1)
    assert result.false_per_hour == pytest.approx(10.0)
    assert result.false_share == 1.0


def test_an_event_where_nobody_is_is_a_ghost() -> None:
    result = score([BARE], [event(3.0), event(3.0, box=(0.4, 0.8, 0.5, 0.95))], 10.0)
    assert (result.found, result.ghosts, result.false) == (1, 1, 0)


@pytest.mark.parametrize("at", [0.5, 9.5])
def test_an_event_when_the_person_is_away_is_a_ghost_and_the_visit_missed(at: float) -> None:
    result = score([BARE], [event(at)], 10.0)
    assert (result.found, result.ghosts, len(result.missed)) == (0, 1, 1)


def test_a_late_event_still_counts() -> None:
    result = score([BARE], [event(8.9)], 10.0)
    assert (result.found, result.ghosts) == (1, 0)


def test_a_second_event_of_one_visit_is_repeated_not_false() -> None:
    result = score([BARE], [event(5.0), event(2.5)], 10.0)
    assert (result.found, result.repeated, result.false) == (1, 1, 0)
    assert result.delays == [pytest.approx(0.5)]


def test_the_other_kind_is_found_but_wrong() -> None:
    result = score([BARE], [event(3.0, Verdict.INCORRECT)], 10.0)
    assert (result.found, result.wrong_kind) == (1, 1)


def test_of_two_who_stand_close_the_nearer_one_is_meant() -> None:
    neighbour = Stay(Verdict.MASK, (2.0, 8.0), (0.16, 0.3, 0.26, 0.5))
    result = score([neighbour, BARE], [event(3.0)], 10.0)
    assert (result.found, result.false) == (1, 0)


def test_scores_add_up() -> None:
    total = Score()
    total += score([BARE], [event(3.0)], 10.0)
    total += score([MASKED], [event(3.0, box=RIGHT)], 26.0)
    assert (total.seconds, total.violations, total.compliant, total.found, total.false) == (36.0, 1, 1, 1, 1)
    assert total.false_per_hour == pytest.approx(100.0)


def test_an_empty_film_has_nothing_to_find() -> None:
    result = score([], [], 3600.0)
    assert (result.found_share, result.false_per_hour) == (1.0, 0.0)

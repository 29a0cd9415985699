"""How soon a board that was hot gets its full rate back, and what makes it lose it."""

from __future__ import annotations

import pytest

from edge_agent.service.governor import Governor


def until_faster(governor: Governor, temperature: float = 60.0) -> int:
    """Happy looks that it takes until more frames are looked at."""
    before = governor.factor
    for looks in range(1, 1000):
        governor.look(temperature=temperature)
        if governor.factor > before:
            return looks
    raise AssertionError("it never recovers")


def slowed(looks: int = 1) -> Governor:
    governor = Governor(80.0, max_age=1.0)
    for _ in range(looks):
        governor.look(temperature=90.0)
    return governor


def test_each_hot_look_is_one_step_and_each_calm_while_one_step_back() -> None:
    governor = Governor(80.0, max_age=1.0)
    factors = []
    for _ in range(3):
        assert governor.look(temperature=90.0)
        factors.append(governor.factor)
    assert factors == [0.7, 0.5, 0.3]
    assert [until_faster(governor) for _ in range(3)] == [6, 6, 6]
    assert (governor.factor, governor.reason) == (1.0, None)


def test_the_reason_stays_while_the_rate_is_lowered() -> None:
    governor = slowed(2)
    until_faster(governor)
    assert governor.reason == "90 °C hot"


def test_who_is_hot_again_after_each_recovery_recovers_ever_more_slowly_but_not_for_ever_slower() -> None:
    governor = Governor(80.0, max_age=1.0)
    found = []
    for _ in range(7):
        governor.look(temperature=90.0)
        found.append(until_faster(governor))
    assert found == [6, 12, 24, 48, 96, 120, 120]


def test_one_relapse_counts_once_however_long_it_lasts() -> None:
    governor = slowed()
    until_faster(governor)
    for _ in range(3):
        governor.look(temperature=90.0)
    assert until_faster(governor) == 12


@pytest.mark.parametrize(("peace", "patience"), [(119, 24), (120, 6)])
def test_ten_minutes_of_peace_make_it_as_patient_as_at_first(peace: int, patience: int) -> None:
    governor = slowed()
    until_faster(governor)
    governor.look(temperature=90.0)
    until_faster(governor)
    for _ in range(peace):
        governor.look(temperature=60.0)
    governor.look(temperature=90.0)
    assert until_faster(governor) == patience


@pytest.mark.parametrize("warm", [75.5, 79.5])
def test_not_yet_cool_the_waiting_begins_anew(warm: float) -> None:
    governor = slowed()
    for _ in range(5):
        governor.look(temperature=60.0)
    governor.look(temperature=warm)
    assert until_faster(governor) == 6


def test_a_board_just_cool_enough_recovers() -> None:
    assert until_faster(slowed(), temperature=75.0) == 6


def test_a_hot_look_in_between_makes_the_waiting_begin_anew() -> None:
    governor = slowed()
    for _ in range(5):
        governor.look(temperature=60.0)
    governor.look(temperature=90.0)
    assert until_faster(governor) == 6


@pytest.mark.parametrize(("temperature", "slower"), [(79.9, False), (80.0, True)])
def test_the_limit_is_where_health_and_check_see_it(temperature: float, slower: bool) -> None:
    assert Governor(80.0, max_age=1.0).look(temperature=temperature) is slower


@pytest.mark.parametrize(
    ("max_age", "latency", "slower"),
    [(1.0, 0.5, False), (1.0, 0.7, True), (3, 1.5, False), (3, 2.1, True), (0.3, 0.15, False), (0.3, 0.25, True)],
)
def test_a_board_that_keeps_up_is_left_alone(max_age: float, latency: float, slower: bool) -> None:
    assert Governor(80.0, max_age=max_age).look(temperature=None, latency=latency) is slower

"""The governor follows the heat, with hysteresis."""

from __future__ import annotations

from typing import Any

from edge_agent.service.governor import Governor


def changes(governor: Governor, looks: int, **board: Any) -> int:
    return sum(governor.look(**{"temperature": None, **board}) for _ in range(looks))


def test_a_hot_board_looks_at_fewer_frames_and_a_cool_one_at_all() -> None:
    governor = Governor(80.0, max_age=1.0)
    assert governor.factor == 1.0
    assert governor.look(temperature=81.0)
    assert governor.factor < 1.0
    assert governor.reason == "81 °C hot"
    for _ in range(100):
        assert not governor.look(temperature=78.0)  # not yet cool enough: no flutter
    assert changes(governor, 6, temperature=70.0) == 1
    assert governor.factor == 1.0
    assert governor.reason is None


def test_it_steps_down_to_a_floor_and_no_further() -> None:
    governor = Governor(80.0, max_age=1.0)
    factors = []
    for _ in range(10):
        governor.look(temperature=90.0)
        factors.append(governor.factor)
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] > 0.2
    assert not governor.look(temperature=90.0)


def test_throttling_and_old_frames_count_too() -> None:
    governor = Governor(80.0, max_age=1.0)
    assert governor.look(temperature=None, throttled=("under-voltage",))
    assert governor.reason == "the board reports under-voltage"
    governor = Governor(80.0, max_age=1.0)
    assert governor.look(temperature=None, latency=0.9)
    assert governor.reason == "frames get old"


def test_a_board_that_tells_nothing_runs_at_full_rate() -> None:
    governor = Governor(80.0, max_age=1.0)
    assert not governor.look(temperature=None)
    assert governor.factor == 1.0


def test_a_board_on_the_verge_comes_to_rest() -> None:
    governor = Governor(80.0, max_age=1.0)
    looks = range(24 * 60 * 12)
    found = sum(governor.look(temperature=None, latency=0.7 if governor.factor == 1.0 else 0.3) for _ in looks)
    assert 0 < found < 400, "changes in a day of looks every five seconds"


def test_a_flag_that_comes_and_goes_keeps_the_rate_down() -> None:
    governor = Governor(80.0, max_age=1.0)
    found = sum(governor.look(temperature=None, throttled=("under-voltage",) * (n % 2)) for n in range(17_280))
    assert found < 10 and governor.factor < 1.0
    assert changes(governor, 1000) > 0 and governor.factor == 1.0, "it is forgiven"


def test_after_a_long_time_of_peace_it_is_as_patient_as_before() -> None:
    governor = Governor(80.0, max_age=1.0)
    for _ in range(4):
        governor.look(temperature=90.0)
        changes(governor, 1000)
    governor.look(temperature=90.0)
    assert changes(governor, 6) == 1

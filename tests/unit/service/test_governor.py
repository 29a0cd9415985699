"""The governor follows the heat, with hysteresis."""

from __future__ import annotations

from edge_agent.service.governor import Governor


def test_a_hot_board_looks_at_fewer_frames_and_a_cool_one_at_all() -> None:
    governor = Governor(80.0, max_age=1.0)
    assert governor.factor == 1.0
    assert governor.look(temperature=81.0)
    assert governor.factor < 1.0
    assert governor.reason == "81 °C hot"
    assert not governor.look(temperature=78.0)  # not yet cool enough: no flutter
    assert governor.look(temperature=70.0)
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

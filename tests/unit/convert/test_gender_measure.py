"""Figures of the gender network, on answers made up for the purpose."""

from __future__ import annotations

import numpy as np
import pytest

from convert.cli import main
from convert.errors import ConvertError
from convert.gender.measure import largest_gap, right_and_sure, row, threshold_for


def test_the_likelier_answer_counts() -> None:
    right, sure = right_and_sure(np.array([0.9, 0.2, 0.6]), np.array([0, 1, 1]))

    assert right.tolist() == [True, True, False]
    assert sure == pytest.approx([0.9, 0.8, 0.6])


def test_a_row_tells_answers_given_from_all() -> None:
    right = np.array([True, True, False, False])
    found = row("some", right, np.array([0.9, 0.8, 0.7, 0.6]), 0.75)

    assert found.right.value == pytest.approx(0.5)
    assert found.coverage.value == pytest.approx(0.5)
    assert found.right_answered.value == pytest.approx(1.0)
    assert found.right_answered.low < 0.6  # two answers prove little


def test_the_threshold_is_the_lowest_that_does() -> None:
    sure = np.linspace(0.5, 1.0, 1001)
    right = sure >= 0.7  # wrong wherever it is less sure

    threshold = threshold_for(right, sure, 0.96)

    given = sure >= threshold
    assert right[given].mean() >= 0.96
    assert right[sure >= threshold - 0.01].mean() < 0.96


def test_a_network_that_guesses_has_no_threshold() -> None:
    with pytest.raises(ConvertError, match="more training"):
        threshold_for(np.tile([True, False], 500), np.linspace(0.5, 1.0, 1000), 0.96)


def test_the_gap_names_the_groups_furthest_apart() -> None:
    member = np.arange(300)
    members = {"a": member < 100, "b": (member >= 100) & (member < 200), "c": member >= 200, "none": member < 0}
    right = np.ones(300, bool)
    right[100:130] = False  # b: .7
    right[200:210] = False  # c: .9

    gap = largest_gap(right, members)

    assert (gap.best, gap.worst) == ("a", "b")
    assert gap.gap.value == pytest.approx(0.3)
    assert 0.15 < gap.gap.low < 0.3 < gap.gap.high < 0.45


def test_a_group_that_a_draw_lacks_is_not_all_wrong_in_it() -> None:
    member = np.arange(1003)
    right = np.ones(1003, bool)
    right[:96] = False  # the many: .904; the three: 1

    gap = largest_gap(right, {"many": member < 1000, "three": member >= 1000}).gap

    assert gap.value == pytest.approx(0.096)
    assert gap.high < 0.15


def test_evaluating_without_a_dataset_says_what_is_missing(
    tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["evaluate-gender", "--dataset", f"{tmp_path}/none", "--cache", f"{tmp_path}/cache"])

    assert code == 2
    assert "manifest.csv" in capsys.readouterr().err

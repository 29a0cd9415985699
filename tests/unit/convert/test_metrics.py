"""Intervals and measures shared by all networks, against published or brute-force values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from convert import metrics


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_share_has_wilsons_interval(right: int, total: int, low: float, high: float) -> None:
    figure = metrics.share(right, total)
    assert figure.value == right / total
    assert (figure.low, figure.high) == pytest.approx((low, high), abs=6e-5)


def test_share_of_nothing_is_no_number() -> None:
    figure = metrics.share(0, 0)
    assert figure.count == 0
    assert str(figure) == "–"
    assert figure.as_dict() == {"value": None, "low": None, "high": None, "count": 0}


def test_roc_auc_counts_pairs_and_halves_ties() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(60) < 0.4
    scores = rng.integers(0, 8, 60).astype(np.float32)
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[truth] for n in scores[~truth]]
    assert metrics.roc_auc(truth, scores) == pytest.approx(np.mean(pairs))
    assert math.isnan(metrics.roc_auc(np.ones(3, bool), scores[:3]))


def test_f1_is_the_harmonic_mean() -> None:
    truth = np.array([True, True, True, False, False])
    answer = np.array([True, True, False, True, False])
    assert metrics.f1(truth, answer) == pytest.approx(2 / 3)


def test_bootstrap_interval_holds_the_value_and_narrows_with_more_faces() -> None:
    rng = np.random.default_rng(4)
    widths = []
    for count in (40, 4000):
        right = rng.random(count) < 0.8
        figure = metrics.resampled(lambda drawn, right=right: float(right[drawn].mean()), count, rounds=200)
        assert figure.low <= figure.value <= figure.high
        widths.append(figure.high - figure.low)
    assert widths[1] < widths[0] / 4


def test_calibration_error_is_the_gap_between_stated_and_actual() -> None:
    sure = np.full(100, 0.9, np.float32)
    right = np.arange(100) < 60
    assert metrics.calibration_error(sure, right) == pytest.approx(0.3, abs=1e-6)


def test_confusion_has_true_labels_in_rows() -> None:
    table = metrics.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    assert table.tolist() == [[1, 1], [0, 1]]


def test_bins_are_of_equal_width_up_to_one() -> None:
    sure, right = np.array([0.5, 0.54, 0.99, 1.0]), np.array([True, False, True, True])
    bins = metrics.binned(sure, right, low=0.5)
    assert [one.count for one in bins] == [2, *[0] * 8, 2]
    assert (bins[0].sure, bins[0].right) == (pytest.approx(0.52), 0.5)
    assert math.isnan(bins[1].right)
    assert [one.count for one in metrics.binned(sure, right)] == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]

"""Figures with their uncertainty: no share is given without its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Two-sided 95 % quantile of the normal distribution.
_Z = 1.959964


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval and the number of faces it rests on; ``value`` is nan if there are none."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        if self.count == 0:
            return "–"
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON, which has no nan."""
        if self.count == 0:
            return {"value": None, "low": None, "high": None, "count": 0}
        return {
            "value": round(self.value, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "count": self.count,
        }


def share(right: int, total: int) -> Figure:
    """``right`` of ``total`` with Wilson's interval, which stays within 0 and 1 and honest near 1.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if total == 0:
        return Figure(math.nan, math.nan, math.nan, 0)
    part = right / total
    spread = 1 + _Z**2 / total
    middle = (part + _Z**2 / (2 * total)) / spread
    reach = _Z * math.sqrt(part * (1 - part) / total + _Z**2 / (4 * total**2)) / spread
    return Figure(part, max(min(middle - reach, part), 0.0), min(max(middle + reach, part), 1.0), total)


def resampled(
    measure: Callable[[NDArray[np.int64]], float], count: int, rounds: int = 500, seed: int = 1
) -> Figure:
    """A measure with a percentile bootstrap interval.

    Args:
        measure: takes indices of faces (drawn with replacement), returns the measure on them; nan if it is not
            defined there, for example when a class is missing.
        count: number of faces.
    """
    if count == 0:
        return Figure(math.nan, math.nan, math.nan, 0)
    value = measure(np.arange(count))
    if math.isnan(value):
        return Figure(math.nan, math.nan, math.nan, 0)
    rng = np.random.default_rng(seed)
    drawn = [measure(rng.integers(0, count, count)) for _ in range(rounds)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Figure(value, float(low), float(high), count)


def f1(truth: NDArray[np.bool_], answer: NDArray[np.bool_]) -> float:
    """Harmonic mean of precision and recall; nan if there is neither a positive face nor a positive answer."""
    positives = int(truth.sum()) + int(answer.sum())
    return 2 * int((truth & answer).sum()) / positives if positives else math.nan


def roc_auc(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> float:
    """Area under the ROC curve: the chance that a positive face scores above a negative one; ties count half."""
    positive, negative = int(truth.sum()), int((~truth).sum())
    if not positive or not negative:
        return math.nan
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    del values
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


@dataclass(frozen=True)
class Bin:
    """Answers of about the same stated probability."""

    count: int
    sure: float
    """Mean of their probabilities; nan if there are none."""
    right: float
    """Share of them that is right; nan if there are none."""


def binned(
    sure: NDArray[np.float32] | NDArray[np.float64], right: NDArray[np.bool_], low: float = 0.0
) -> list[Bin]:
    """Answers in ten bins of equal width, from probability ``low``, below which there is none, to 1.

    ``sure`` and ``right`` are ``(n,)``.
    """
    number = np.minimum(((sure - low) * (10 / (1 - low))).astype(int), 9)
    bins = []
    for members in (number == index for index in range(10)):
        if members.any():
            bins.append(Bin(int(members.sum()), float(sure[members].mean()), float(right[members].mean())))
        else:
            bins.append(Bin(0, math.nan, math.nan))
    return bins


def calibration_error(sure: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """Expected calibration error: the mean gap between stated confidence and the share of right answers."""
    if not len(sure):
        return math.nan
    gaps = [one.count * abs(one.sure - one.right) for one in binned(sure, right) if one.count]
    return float(sum(gaps) / len(sure))


def confusion(truth: NDArray[np.int64], answer: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts, ``(classes, classes)``: rows are true labels, columns are answers."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (truth, answer), 1)
    return table

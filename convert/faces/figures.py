"""Plots of measured face detectors; figures only, no photo."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from convert.faces.evaluate import Measured
from convert.faces.measure import LARGE, Matched
from convert.plots import COLOURS, save

EDGES = (12, 16, 20, 28, 40, 56, 80, 112, 160, 512)
"""Bounds of the face heights that share a point, in pixels."""
THRESHOLDS = np.arange(0.1, 0.96, 0.02)


def draw(measured: Sequence[Measured], folder: Path) -> tuple[Path, Path]:
    """Write face_recall.png (recall over face height) and face_precision.png (precision over recall) into a
    folder.
    """
    return _recall(measured, folder / "face_recall.png"), _precision(measured, folder / "face_precision.png")


def _recall(measured: Sequence[Measured], path: Path) -> Path:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for one, colour in zip(measured, cycle(COLOURS), strict=False):
        heights, values, low, high = recall_by_height(one.matched, one.threshold)
        label = f"{one.name} {one.width}, {one.milliseconds:.1f} ms"
        axes.plot(heights, values, marker="o", color=colour, label=label)
        axes.fill_between(heights, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set(
        xscale="log", xlabel="height of the labelled face, pixels", ylabel="recall (IoU ≥ 0.4)", ylim=(0, 1.01)
    )
    axes.set_xticks(EDGES[:-1], [str(edge) for edge in EDGES[:-1]])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return save(figure, path)


def _precision(measured: Sequence[Measured], path: Path) -> Path:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for one, colour in zip(measured, cycle(COLOURS), strict=False):
        curve = np.asarray([_point(one.matched, float(threshold)) for threshold in THRESHOLDS])
        axes.plot(curve[:, 0], curve[:, 1], color=colour, label=f"{one.name} {one.width}")
        axes.plot(*_point(one.matched, one.threshold), marker="o", color=colour)
    axes.set(xlabel=f"recall, faces ≥ {LARGE:.0f} px", ylabel="precision", xlim=(0.4, 1.0), ylim=(0.6, 1.005))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", title="dot: at the default threshold")
    return save(figure, path)


def recall_by_height(
    matched: Matched, threshold: float
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Middle heights of the bands with at least ten faces, recall there, and its interval's bounds."""
    heights, values, low, high = [], [], [], []
    for band in pairwise(EDGES):
        share = matched.recall(threshold, band)
        if share.count >= 10:
            heights.append(float(np.sqrt(band[0] * min(band[1], 2 * band[0]))))
            values.append(share.value)
            low.append(share.low)
            high.append(share.high)
    return heights, values, low, high


def _point(matched: Matched, threshold: float) -> tuple[float, float]:
    return matched.recall(threshold, (LARGE, np.inf)).value, matched.precision(threshold).value

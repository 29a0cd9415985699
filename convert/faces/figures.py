"""Plots of measured face detectors; figures only, no photo."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from convert.faces.evaluate import Measured
from convert.faces.measure import LARGE, Matched

EDGES = (12, 16, 20, 28, 40, 56, 80, 112, 160, 512)
"""Bounds of the face heights that share a point, in pixels."""
THRESHOLDS = np.arange(0.1, 0.96, 0.02)


def draw(measured: Sequence[Measured], folder: Path) -> tuple[Path, Path]:
    """Write face_recall.png (recall over face height) and face_precision.png (precision over recall) into a
    folder.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for one in measured:
        heights, values, low, high = recall_by_height(one.matched, one.threshold)
        line = axes.plot(heights, values, marker="o", label=f"{one.name} {one.width}, {one.milliseconds:.1f} ms")[0]
        axes.fill_between(heights, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    axes.set(
        xscale="log", xlabel="height of the labelled face, pixels", ylabel="recall (IoU ≥ 0.4)", ylim=(0, 1.01)
    )
    axes.set_xticks(EDGES[:-1], [str(edge) for edge in EDGES[:-1]])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    recall = folder / "face_recall.png"
    figure.savefig(recall, dpi=110)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for one in measured:
        curve = np.asarray([_point(one.matched, float(threshold)) for threshold in THRESHOLDS])
        line = axes.plot(curve[:, 0], curve[:, 1], label=f"{one.name} {one.width}")[0]
        axes.plot(*_point(one.matched, one.threshold), marker="o", color=line.get_color())
    axes.set(xlabel=f"recall, faces ≥ {LARGE:.0f} px", ylabel="precision", xlim=(0.4, 1.0), ylim=(0.6, 1.005))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", title="dot: at the default threshold")
    precision = folder / "face_precision.png"
    figure.savefig(precision, dpi=110)
    plt.close("all")
    return recall, precision


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

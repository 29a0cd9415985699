"""Pictures of the gender network's figures; no face is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from convert.gender.evaluate import Report
from convert.metrics import binned
from convert.plots import COLOURS, save

_COLOURS = {"bare": COLOURS[0], "masked": COLOURS[1]}


def draw(report: Report, folder: Path) -> list[Path]:
    """Write ``gender_groups.png``, ``gender_coverage.png`` and ``gender_reliability.png``; returns their paths."""
    return [
        _groups(report, folder / "gender_groups.png"),
        _coverage(report, folder / "gender_coverage.png"),
        _reliability(report, folder / "gender_reliability.png"),
    ]


def _groups(report: Report, path: Path) -> Path:
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    labels: list[str] = []
    for shift, condition in enumerate(report.conditions):
        rows = [(kind, entry) for kind, entries in condition.rows.items() for entry in entries]
        labels = [entry.name if kind == "all" else f"{kind}: {entry.name}" for kind, entry in rows]
        figures = [entry.right for _, entry in rows]
        values = np.array([figure_.value for figure_ in figures])
        reach = np.array([[f.value - f.low for f in figures], [f.high - f.value for f in figures]])
        reach = np.maximum(reach, 0)  # where all are right, rounding leaves a hair less than nothing
        heights = np.arange(len(rows)) + (shift - 0.5) * 0.25
        axes.errorbar(values, heights, xerr=reach, fmt="o", markersize=4, color=_COLOURS[condition.name],
                      label=condition.name, capsize=2)  # fmt: skip
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("right answers, all faces counted (95 % interval)")
    axes.set_title(f"Gender network on {report.faces}")
    axes.legend(loc="lower left")
    return save(figure, path)


def _coverage(report: Report, path: Path) -> Path:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for condition in report.conditions:
        order = np.argsort(-condition.sure)
        covered = np.arange(1, len(order) + 1) / len(order)
        right = np.cumsum(condition.right[order]) / np.arange(1, len(order) + 1)
        start = len(order) // 50  # the first few faces only show chance
        axes.plot(covered[start:], right[start:], color=_COLOURS[condition.name], label=condition.name)
        at = int((condition.sure >= report.threshold).sum())
        if at:
            axes.plot(covered[at - 1], right[at - 1], "o", color=_COLOURS[condition.name])
    axes.set_xlabel("coverage: share of faces answered")
    axes.set_ylabel("right among answered")
    axes.set_title(f"What the threshold buys (dots: {report.threshold:g})")
    axes.grid(alpha=0.3)
    axes.legend()
    return save(figure, path)


def _reliability(report: Report, path: Path) -> Path:
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0.5, 1], [0.5, 1], color="grey", linewidth=1)
    for condition in report.conditions:
        filled = [one for one in binned(condition.sure, condition.right, low=0.5) if one.count]
        stated, found = [one.sure for one in filled], [one.right for one in filled]
        label = f"{condition.name} (error {condition.calibration:.3f})"
        axes.plot(stated, found, "o-", color=_COLOURS[condition.name], label=label)
    axes.set_xlabel("stated probability")
    axes.set_ylabel("share of right answers")
    axes.set_title("Reliability")
    axes.grid(alpha=0.3)
    axes.legend()
    return save(figure, path)

"""Pictures of the gender network's figures; no face is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from convert.gender.evaluate import Condition, Report

_COLOURS = {"bare": "#1f77b4", "masked": "#ff7f0e"}


def draw(report: Report, folder: Path) -> list[Path]:
    """Write ``gender_groups.png``, ``gender_coverage.png`` and ``gender_reliability.png``; returns their paths."""
    import matplotlib

    matplotlib.use("Agg")  # no display on a workstation reached over ssh
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"gender_{name}.png" for name in ("groups", "coverage", "reliability")]
    _groups(report, paths[0])
    _coverage(report, paths[1])
    _reliability(report, paths[2])
    return paths


def _groups(report: Report, path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 7), constrained_layout=True)
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
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _coverage(report: Report, path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), constrained_layout=True)
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
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _reliability(report: Report, path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4.5, 4.5), constrained_layout=True)
    axes.plot([0.5, 1], [0.5, 1], color="grey", linewidth=1)
    for condition in report.conditions:
        stated, found = _bins(condition)
        label = f"{condition.name} (error {condition.calibration:.3f})"
        axes.plot(stated, found, "o-", color=_COLOURS[condition.name], label=label)
    axes.set_xlabel("stated probability")
    axes.set_ylabel("share of right answers")
    axes.set_title("Reliability")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _bins(condition: Condition) -> tuple[list[float], list[float]]:
    """Mean stated probability and share of right answers in ten bins from .5 to 1, empty ones left out."""
    number = np.minimum(((condition.sure - 0.5) * 20).astype(int), 9)
    filled = np.unique(number)
    return (
        [float(condition.sure[number == index].mean()) for index in filled],
        [float(condition.right[number == index].mean()) for index in filled],
    )

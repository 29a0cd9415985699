"""Plots that every network has in common: training history, confusion matrix, curves, reliability.

All functions write one PNG and return its path. Drawn with the file backend: no display is needed.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # the backend has to be chosen first

#: Colours that people who do not see red and green apart can tell (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def _save(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
    return path


def history(path: Path, history_csv: Path) -> Path:
    """Loss and accuracy per epoch, from the ``history.csv`` of a training."""
    with history_csv.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    epochs = [int(row["epoch"]) + 1 for row in rows]
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        for key, label, colour in (
            (name, "training (distorted)", COLOURS[0]),
            (f"val_{name}", "validation", COLOURS[1]),
        ):
            if rows and key in rows[0]:
                axis.plot(epochs, [float(row[key]) for row in rows], "o-", markersize=3, color=colour, label=label)
        axis.set_xlabel("epoch")
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
        axis.legend()
    return _save(figure, path)


def confusion_matrix(path: Path, counts: NDArray[np.int64], labels: Sequence[str]) -> Path:
    """Counts ``(classes, classes)``, rows true, each cell with its count and its share of the row."""
    figure, axis = plt.subplots(figsize=(4.6, 4))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        axis.text(
            column,
            row,
            f"{counts[row, column]}\n{shares[row, column]:.1%}",
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.5 else "black",
        )
    axis.set_xticks(range(len(labels)), labels)
    axis.set_yticks(range(len(labels)), labels, rotation=90, va="center")
    axis.set_xlabel("answer")
    axis.set_ylabel("label")
    return _save(figure, path)


def precision_recall(
    path: Path, truth: NDArray[np.int64], probabilities: NDArray[np.float32], labels: Sequence[str]
) -> Path:
    """Precision over recall of each class against the others; ``probabilities`` is ``(count, classes)``."""
    figure, axis = plt.subplots(figsize=(4.8, 4))
    for index, label in enumerate(labels):
        positive = truth == index
        if not positive.any():
            continue
        order = np.argsort(-probabilities[:, index], kind="stable")
        hits = np.cumsum(positive[order])
        axis.plot(hits / positive.sum(), hits / np.arange(1, len(order) + 1), color=COLOURS[index], label=label)
    axis.set_xlabel("recall")
    axis.set_ylabel("precision")
    axis.set_xlim(0.5, 1.005)
    axis.set_ylim(0.5, 1.005)
    axis.grid(alpha=0.3)
    axis.legend(loc="lower left")
    return _save(figure, path)


def reliability(path: Path, sure: NDArray[np.float32], right: NDArray[np.bool_], bins: int = 10) -> Path:
    """Share of right answers over stated confidence, with the number of faces in each bin."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(4.6, 4.8), sharex=True, height_ratios=(3, 1))
    number = np.minimum((sure * bins).astype(int), bins - 1)
    filled = [index for index in range(bins) if (number == index).any()]
    upper.plot([0, 1], [0, 1], "--", color="grey", linewidth=1, label="perfect")
    upper.plot(
        [sure[number == i].mean() for i in filled],
        [right[number == i].mean() for i in filled],
        "o-",
        color=COLOURS[0],
        label="measured",
    )
    upper.set_ylabel("right answers")
    upper.grid(alpha=0.3)
    upper.legend()
    lower.bar(
        (np.arange(bins) + 0.5) / bins, np.bincount(number, minlength=bins), width=0.9 / bins, color=COLOURS[0]
    )
    lower.set_yscale("log")
    lower.set_xlabel("confidence")
    lower.set_ylabel("faces")
    return _save(figure, path)


def bars_with_intervals(
    path: Path, names: Sequence[str], values: Sequence[tuple[float, float, float]], xlabel: str
) -> Path:
    """A dot with its interval per name; ``values`` holds value, low and high."""
    figure, axis = plt.subplots(figsize=(7, 0.32 * len(names) + 0.9))
    places = np.arange(len(names))[::-1]
    value, low, high = (np.array(column) for column in zip(*values, strict=True))
    axis.errorbar(value, places, xerr=(value - low, high - value), fmt="o", color=COLOURS[0], capsize=3)
    axis.set_yticks(places, names)
    axis.set_xlabel(xlabel)
    axis.grid(alpha=0.3)
    return _save(figure, path)

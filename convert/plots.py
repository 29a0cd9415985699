"""Plots that networks have in common: training history, confusion matrix, curves, reliability.

All functions write one PNG and return its path. Figures are made without pyplot: they need no display, and nobody
has to close them.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from convert.metrics import binned

#: Colours that people who do not see red and green apart can tell (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def save(figure: Figure, path: Path) -> Path:
    """Write a figure, in a folder that is made if it is not there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    return path


def history(path: Path, history_csv: Path) -> Path:
    """Loss and accuracy per epoch, from the ``history.csv`` of a training."""
    with history_csv.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    figure = Figure(figsize=(9, 3.4))
    axes = figure.subplots(1, 2)
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
    return save(figure, path)


def confusion_matrix(path: Path, counts: NDArray[np.int64], labels: Sequence[str]) -> Path:
    """Counts ``(classes, classes)``, rows true, each cell with its count and its share of the row."""
    figure = Figure(figsize=(4.6, 4))
    axis = figure.subplots()
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
    return save(figure, path)


def precision_recall(
    path: Path, truth: NDArray[np.int64], probabilities: NDArray[np.float32], labels: Sequence[str]
) -> Path:
    """Precision over recall of each class against the others; ``probabilities`` is ``(count, classes)``."""
    figure = Figure(figsize=(4.8, 4))
    axis = figure.subplots()
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
    return save(figure, path)


def reliability(path: Path, sure: NDArray[np.float32], right: NDArray[np.bool_]) -> Path:
    """Share of right answers over stated confidence, with the number of faces in each bin."""
    figure = Figure(figsize=(4.6, 4.8))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    bins = binned(sure, right)
    filled = [one for one in bins if one.count]
    upper.plot([0, 1], [0, 1], "--", color="grey", linewidth=1, label="perfect")
    upper.plot(
        [one.sure for one in filled], [one.right for one in filled], "o-", color=COLOURS[0], label="measured"
    )
    upper.set_ylabel("right answers")
    upper.grid(alpha=0.3)
    upper.legend()
    middles = (np.arange(len(bins)) + 0.5) / len(bins)
    lower.bar(middles, [one.count for one in bins], width=0.9 / len(bins), color=COLOURS[0])
    lower.set_yscale("log")
    lower.set_xlabel("confidence")
    lower.set_ylabel("faces")
    return save(figure, path)


def bars_with_intervals(
    path: Path, names: Sequence[str], values: Sequence[tuple[float, float, float]], xlabel: str
) -> Path:
    """A dot with its interval per name; ``values`` holds value, low and high."""
    figure = Figure(figsize=(7, 0.32 * len(names) + 0.9))
    axis = figure.subplots()
    places = np.arange(len(names))[::-1]
    value, low, high = (np.array(column) for column in zip(*values, strict=True))
    axis.errorbar(value, places, xerr=(value - low, high - value), fmt="o", color=COLOURS[0], capsize=3)
    axis.set_yticks(places, names)
    axis.set_xlabel(xlabel)
    axis.grid(alpha=0.3)
    return save(figure, path)

"""How often a network is right, and on which faces it is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from convert.mask import reviewed
from convert.mask.faces import shorter_side
from convert.mask.records import INCORRECT, MASK, NO_MASK, Record
from convert.metrics import Figure, calibration_error, confusion, f1, resampled, roc_auc, share
from edge_agent.types import LABELS

#: Faces of scenes narrower than this are not judged at an entrance either.
SMALLEST = 40.0


@dataclass(frozen=True)
class Report:
    """All figures of one network on one set of faces."""

    headline: dict[str, Figure]
    classes: dict[str, dict[str, Figure]]
    sources: dict[str, Figure]
    by_source: dict[str, dict[str, Figure]]
    """Source to ``macro_f1`` and ``roc_auc``, means over the classes that it has; painted faces apart."""
    accuracy: dict[str, Figure]
    calibration: float
    confusion: NDArray[np.int64]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""

        def plain(figures: dict[str, Figure]) -> dict[str, Any]:
            return {name: figure.as_dict() for name, figure in figures.items()}

        return {
            "headline": plain(self.headline),
            "accuracy": plain(self.accuracy),
            "classes": {name: plain(figures) for name, figures in self.classes.items()},
            "sources": plain(self.sources),
            "by_source": {name: plain(figures) for name, figures in self.by_source.items()},
            "calibration_error": round(self.calibration, 4),
            "confusion": {"labels": list(LABELS), "counts": self.confusion.tolist()},
        }


def near(records: Sequence[Record]) -> NDArray[np.bool_]:
    """Which faces count, ``(count,)``: all but more bare ones, and those of scenes narrower than ``SMALLEST``."""
    return np.array(
        [
            record.origin == "single" or (record.origin == "scene" and shorter_side(record) >= SMALLEST)
            for record in records
        ],
        bool,
    )


def report(
    records: Sequence[Record],
    probabilities: NDArray[np.float32],
    rounds: int = 500,
    looked_at: Mapping[str, str] | None = None,
) -> Report:
    """Figures of ``probabilities`` ``(count, 3)`` against the labels of ``records``.

    ``looked_at`` are labels found wrong (:mod:`convert.mask.reviewed`, the default).

    Faces of scenes narrower than ``SMALLEST``, and more bare ones (of origin ``bare``), count in lines of their own
    and nowhere else.
    """
    labels = np.array([record.label for record in records], dtype=np.int64)
    answers = probabilities.argmax(axis=1)
    counted = near(records)
    real = np.array([not record.synthetic for record in records]) & counted
    painted = np.array([record.synthetic for record in records])
    parts = {"real": real, "painted": painted, "all": counted}
    kinds = np.array([f"{record.origin}/{LABELS[record.label]}/{record.source}" for record in records])
    return Report(
        headline=_headline(records, labels, answers, reviewed.read() if looked_at is None else looked_at),
        classes={
            name if part == "real" else f"{name} ({part})": _class_figures(
                labels, probabilities, index, where, rounds
            )
            for part, where in parts.items()
            if part != "all" and where.any()
            for index, name in enumerate(LABELS)
        },
        sources={
            kind: share(
                int((answers == labels)[(kinds == kind) & counted].sum()), int(((kinds == kind) & counted).sum())
            )
            for kind in sorted(set(kinds[counted]))
        },
        by_source=_by_source(records, labels, probabilities, {"": real, " (painted)": painted}, rounds),
        accuracy={
            part: share(int((answers == labels)[where].sum()), int(where.sum())) for part, where in parts.items()
        },
        calibration=calibration_error(probabilities.max(axis=1)[real], (answers == labels)[real]),
        confusion=confusion(labels[real], answers[real], len(LABELS)),
    )


def _headline(
    records: Sequence[Record], labels: NDArray[np.int64], answers: NDArray[np.int64], looked_at: Mapping[str, str]
) -> dict[str, Figure]:
    single, scenes, more = (
        np.array([record.origin == origin for record in records]) for origin in ("single", "scene", "bare")
    )
    hard = np.array(["hard" in record.source for record in records])
    real = np.array([not record.synthetic for record in records])
    side = np.array([shorter_side(record) for record in records])
    stands = np.array([reviewed.kept(record, looked_at) for record in records])
    right = answers == labels
    scene = scenes & (side >= SMALLEST)
    bare, masked, badly = labels == NO_MASK, labels == MASK, labels == INCORRECT

    def figure(where: NDArray[np.bool_], good: NDArray[np.bool_] = right) -> Figure:
        return share(int(good[where].sum()), int(where.sum()))

    return {
        "single faces, mask, real": figure(single & masked & real),
        "single faces, mask, real: if seen to be worn": figure(single & masked & real & stands),
        "single faces, mask, real: not called bare": figure(single & masked & real, answers != NO_MASK),
        "single faces, mask, painted": figure(single & masked & ~real),
        "single faces, no mask, plain": figure(single & bare & ~hard),
        "single faces, no mask, hard": figure(single & bare & hard),
        "more bare faces": figure(more),
        "more bare faces: not called mask": figure(more, answers != MASK),
        "single faces, incorrect, real: not called mask": figure(single & badly & real, answers != MASK),
        "single faces, incorrect, real: called incorrect": figure(single & badly & real),
        "single faces, incorrect, real: called incorrect, if seen to be": figure(single & badly & real & stands),
        "scenes >= 40 px, mask or not": figure(scene & ~badly),
        "scenes >= 40 px, bare": figure(scene & bare),
        "scenes 40-80 px, bare": figure(scene & bare & (side < 80)),
        "scenes >= 80 px, bare": figure(scene & bare & (side >= 80)),
        "scenes >= 40 px, mask": figure(scene & masked),
        "scenes >= 40 px, incorrect: not called mask": figure(scene & badly, answers != MASK),
        "scenes 20-40 px, mask or not": figure(scenes & (side < SMALLEST) & ~badly),
    }


def _class_figures(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], index: int, where: NDArray[np.bool_], rounds: int
) -> dict[str, Figure]:
    truth, scores = labels[where] == index, probabilities[where, index]
    answer = probabilities[where].argmax(axis=1) == index
    measures: dict[str, Callable[[NDArray[np.int64]], float]] = {
        "f1": lambda drawn: f1(truth[drawn], answer[drawn]),
        "roc_auc": lambda drawn: roc_auc(truth[drawn], scores[drawn]),
    }
    figures = {
        "precision": share(int((truth & answer).sum()), int(answer.sum())),
        "recall": share(int((truth & answer).sum()), int(truth.sum())),
    }
    return figures | {name: resampled(measure, len(truth), rounds) for name, measure in measures.items()}


def _by_source(
    records: Sequence[Record],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    parts: Mapping[str, NDArray[np.bool_]],
    rounds: int,
) -> dict[str, dict[str, Figure]]:
    sources = np.array([record.source for record in records])
    return {
        source + suffix: _macro_figures(labels[where], probabilities[where], rounds)
        for suffix, part in parts.items()
        for source in sorted(set(sources[part]))
        if (where := part & (sources == source)).any()
    }


def _macro_figures(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], rounds: int
) -> dict[str, Figure]:
    """F1 and ROC-AUC as means over the classes among ``labels`` ``(count,)``, each against the others.

    One class alone has no ROC-AUC.
    """
    present = [int(label) for label in np.unique(labels)]
    answers = probabilities.argmax(axis=1)

    def mean(values: Sequence[float]) -> float:
        defined = [value for value in values if not math.isnan(value)]  # a class may be missing among those drawn
        return sum(defined) / len(defined) if defined else math.nan

    def macro_f1(drawn: NDArray[np.int64]) -> float:
        return mean([f1(labels[drawn] == one, answers[drawn] == one) for one in present])

    def macro_auc(drawn: NDArray[np.int64]) -> float:
        return mean([roc_auc(labels[drawn] == one, probabilities[drawn, one]) for one in present])

    measures = {"macro_f1": macro_f1, "roc_auc": macro_auc}
    return {name: resampled(measure, len(labels), rounds) for name, measure in measures.items()}


def show(report_: Report, console: Console, title: str) -> None:
    """Print the report as tables."""
    table = Table(title=title)
    for name, justify in (("measure", "left"), ("right (95 %)", "right"), ("faces", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # literals through a tuple
    for heading, figures in (("", report_.headline), ("accuracy: ", report_.accuracy), ("", report_.sources)):
        for name, figure in figures.items():
            if figure.count:
                table.add_row(heading + name, str(figure), str(figure.count))
        table.add_section()
    console.print(table)
    table = Table(title="classes")
    for name in ("class", "precision", "recall", "F1", "ROC-AUC"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for name, figures in report_.classes.items():
        if figures["recall"].count:
            table.add_row(name, *(str(figures[key]) for key in ("precision", "recall", "f1", "roc_auc")))
    console.print(table)
    table = Table(title="sources (means over the classes of each)")
    for name in ("source", "faces", "macro-F1", "ROC-AUC"):
        table.add_column(name, justify="left" if name == "source" else "right")
    for name, figures in report_.by_source.items():
        table.add_row(name, str(figures["macro_f1"].count), str(figures["macro_f1"]), str(figures["roc_auc"]))
    console.print(table)
    console.print(f"calibration error {report_.calibration:.3f}")

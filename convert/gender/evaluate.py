"""The gender network's figures on faces it never saw, bare and masked, group by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from convert.gender.measure import Gap, Row, groups, largest_gap, male_scores, right_and_sure, row
from convert.gender.records import Faces
from convert.metrics import calibration_error
from edge_agent.vision.gender import GenderClassifier


@dataclass(frozen=True)
class Condition:
    """Everything measured on bare faces, or on the same faces with painted masks."""

    name: str
    rows: dict[str, list[Row]]
    """Kind of group to the figures of its groups."""
    gaps: dict[str, Gap]
    calibration: float
    """Expected calibration error."""
    right: NDArray[np.bool_]
    """``(n,)``: whether each face's likelier answer is right."""
    sure: NDArray[np.float64]
    """``(n,)``: the probability of that answer."""


@dataclass(frozen=True)
class Report:
    """An evaluation at one threshold."""

    model: str
    threshold: float
    conditions: tuple[Condition, ...]
    speed: dict[str, float] | None
    faces: str = "held-out faces"
    """What was measured on, for the headings."""
    device: tuple[Row, ...] = ()
    """The bare and the masked ones again, cut where the device's own face net sees them."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model,
            "threshold": self.threshold,
            "conditions": {condition.name: _condition(condition) for condition in self.conditions},
            "device_boxes": {entry.name: _row(entry) for entry in self.device},
            "speed": None if self.speed is None else {name: round(v, 4) for name, v in self.speed.items()},
        }


def evaluate(
    classifier: GenderClassifier, model: str, faces: Faces, threshold: float, speed: dict[str, float] | None
) -> Report:
    """Measure a classifier on the test split, which neither training nor calibration touches."""
    indices = faces.split("test")
    members = groups(faces, indices)
    conditions = []
    for name in ("bare", "masked"):
        scores, _ = male_scores(classifier, faces, indices, masked=name == "masked")
        right, sure = right_and_sure(scores, faces.sex[indices])
        rows = {
            kind: [row(group, right[member], sure[member], threshold) for group, member in of_kind.items()]
            for kind, of_kind in members.items()
        }
        gaps = {kind: largest_gap(right, members[kind]) for kind in ("gender", "race", "age")}
        error = calibration_error(sure.astype(np.float32), right)
        conditions.append(Condition(name, rows, gaps, error, right, sure))
    device = []
    for name in ("bare", "masked"):
        scores, found = male_scores(classifier, faces, indices, masked=name == "masked", device=True)
        right, sure = right_and_sure(scores, faces.sex[indices])
        device.append(row(f"{name}, {found} found", right, sure, threshold))
    return Report(model, threshold, tuple(conditions), speed, device=tuple(device))


def show(report: Report, console: Console) -> None:
    """Print a report as one table per condition."""
    for condition in report.conditions:
        title = f"{report.model}, {report.faces}, {condition.name} (threshold {report.threshold:g})"
        table = Table(title=title)
        for heading in ("group", "faces", "right", "coverage", "right among answered"):
            table.add_column(heading, no_wrap=True)
        for kind, rows in condition.rows.items():
            for entry in rows:
                label = entry.name if kind == "all" else f"{kind} {entry.name}"
                cells = (entry.right, entry.coverage, entry.right_answered)
                table.add_row(label, str(entry.right.count), *(str(cell) for cell in cells))
            table.add_section()
        console.print(table)
        for kind, gap in condition.gaps.items():
            console.print(f"largest gap by {kind}: {gap.gap} ({gap.best} over {gap.worst})")
        console.print(f"expected calibration error: {condition.calibration:.3f}")
    for entry in report.device:
        console.print(
            f"cut where the device's face net sees them, {entry.name}: right {entry.right}, "
            f"coverage {entry.coverage}, right among answered {entry.right_answered}"
        )
    if report.speed is not None:
        console.print(
            "{ms:.2f} ms a face on one core; Levi and Hassner's network {levi_hassner_ms:.2f} ms: "
            "{ratio:.2f} of it".format(**report.speed)
        )


def _condition(condition: Condition) -> dict[str, Any]:
    rows = {kind: {entry.name: _row(entry) for entry in rows} for kind, rows in condition.rows.items()}
    gaps = {
        kind: {"best": gap.best, "worst": gap.worst, **gap.gap.as_dict()} for kind, gap in condition.gaps.items()
    }
    return {"groups": rows, "largest_gaps": gaps, "calibration_error": round(condition.calibration, 4)}


def _row(entry: Row) -> dict[str, Any]:
    return {
        "right": entry.right.as_dict(),
        "coverage": entry.coverage.as_dict(),
        "right_answered": entry.right_answered.as_dict(),
    }

"""How well detections agree with the labels of scenes: recall by face height, precision, average precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.faces.records import Boxes, Scene, overlaps
from convert.metrics import Figure, share

SAME = 0.4
"""IoU from which a detection is the labelled face."""
BANDS: dict[str, tuple[float, float]] = {
    "over 80 px": (80.0, math.inf), "40-80 px": (40.0, 80.0), "20-40 px": (20.0, 40.0),
}  # fmt: skip
LARGE = 40.0
"""Precision counts boxes at least this high: who passes an entrance."""


@dataclass(frozen=True)
class Matched:
    """All scenes' detections and labelled faces, flat, best detections first.

    For a detection: `score`, `tall` (pixels), `right` (it is a labelled face), `unlabelled` (it is a face nobody
    labelled, by another detector). For a face: `height`, `masked`, `found` (the score it was found with, 0 if
    not).
    """

    score: NDArray[np.float32]
    tall: NDArray[np.float32]
    right: NDArray[np.bool_]
    unlabelled: NDArray[np.bool_]
    height: NDArray[np.float32]
    masked: NDArray[np.bool_]
    found: NDArray[np.float32]

    def recall(self, threshold: float, band: tuple[float, float], masked: bool | None = None) -> Figure:
        """Share of the labelled faces in a band of heights that are found, of all, masked or bare ones."""
        chosen = (self.height >= band[0]) & (self.height < band[1])
        if masked is not None:
            chosen &= self.masked == masked
        return share(int((self.found[chosen] >= threshold).sum()), int(chosen.sum()))

    def precision(self, threshold: float, *, lenient: bool = False) -> Figure:
        """Share of the detections of at least `LARGE` that are labelled; `lenient` leaves out faces nobody
        labelled.
        """
        chosen = (self.score >= threshold) & (self.tall >= LARGE)
        if lenient:
            chosen &= self.right | ~self.unlabelled
        return share(int(self.right[chosen].sum()), int(chosen.sum()))

    def average_precision(self, least: float = 20.0) -> float:
        """Area under precision over recall, every point, for faces of at least `least` pixels."""
        faces = int((self.height >= least).sum())
        order = np.argsort(-self.score, kind="stable")
        counted = (self.tall >= least)[order] & ~self.unlabelled[order]
        right = self.right[order][counted]
        hits = np.cumsum(right)
        precision = hits / np.arange(1, len(right) + 1)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        return float((best * right).sum() / max(faces, 1))

    def threshold_for(self, wanted: float) -> float:
        """The lowest score whose precision is at least `wanted`, to two digits; the highest if none is.

        The precision is the lenient one, which leaves out faces nobody labelled: so the thresholds of the manifest
        and the card were chosen.
        """
        for threshold in np.arange(0.1, 0.96, 0.01):
            if self.precision(float(threshold), lenient=True).value >= wanted:
                return round(float(threshold), 2)
        return 0.95


def match(scenes: Sequence[Scene], detections: Sequence[tuple[Boxes, NDArray[np.float32]]]) -> Matched:
    """Give every detection, best first, the labelled face it overlaps most, if that is free."""
    columns: dict[str, list[NDArray[np.generic]]] = {name: [] for name in Matched.__dataclass_fields__}
    for scene, (boxes, scores) in zip(scenes, detections, strict=True):
        right = np.zeros(len(boxes), bool)
        found = np.zeros(len(scene.boxes), np.float32)
        iou = overlaps(boxes, scene.boxes)
        for detection in np.argsort(-scores, kind="stable"):
            free = np.where(found > 0, 0.0, iou[detection])
            if len(free) and free.max() >= SAME:
                right[detection] = True
                found[int(free.argmax())] = scores[detection]
        unlabelled = ~right & (overlaps(boxes, scene.unlabelled).max(1, initial=0.0) >= SAME)
        columns["score"].append(scores)
        columns["tall"].append(boxes[:, 3] - boxes[:, 1])
        columns["right"].append(right)
        columns["unlabelled"].append(unlabelled)
        columns["height"].append(scene.boxes[:, 3] - scene.boxes[:, 1])
        columns["masked"].append(np.asarray([label != "without_mask" for label in scene.labels], bool))
        columns["found"].append(found)
    return Matched(**{name: np.concatenate(parts) for name, parts in columns.items()})  # type: ignore[arg-type]  # by name

"""Measure face detectors side by side on the held-out scenes, as the device runs them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from convert import images
from convert.faces.measure import BANDS, LARGE, Matched, match
from convert.faces.records import Scene
from convert.finder import as_arrays
from edge_agent.config import FaceSettings
from edge_agent.errors import ModelError
from edge_agent.vision import threads
from edge_agent.vision.faces import FaceDetector, create
from edge_agent.vision.faces.factory import threshold_for
from edge_agent.vision.faces.res10 import SIDE
from edge_agent.vision.store import ModelStore

_log = logging.getLogger(__name__)

LEAST = 0.1
"""Detections are collected from this score on; the threshold is applied afterwards."""
FRAME = (480, 640)


@dataclass(frozen=True)
class Measured:
    """One detector at one input width: what it found, from which score it counts, milliseconds on a 640×480
    frame.
    """

    name: str
    width: int
    threshold: float
    milliseconds: float
    matched: Matched


def milliseconds(detectors: Sequence[FaceDetector], rounds: int = 15) -> list[float]:
    """Time each detector takes for a 640×480 frame, scaling and decoding included.

    The best of several rounds, taking turns, in seconds of processor time: so that other programs on the machine
    disturb the comparison as little as possible. OpenCV must be set to one thread.
    """
    frame = np.random.default_rng(0).integers(0, 255, (*FRAME, 3), dtype=np.uint8)
    frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), 3), np.uint8)
    best = [math.inf] * len(detectors)
    for _ in range(rounds):
        for index, detector in enumerate(detectors):
            for _ in range(3):  # the first after another net finds cold caches
                begin = time.thread_time()
                detector.detect(frame)
                best[index] = min(best[index], time.thread_time() - begin)
    return [seconds * 1e3 for seconds in best]


def measure(kinds: Sequence[tuple[str, int]], scenes: Sequence[Scene], store: ModelStore) -> list[Measured]:
    """Run detectors (name, input width) over the scenes, one thread.

    A detector whose files are not there is left out with a warning.
    """
    before = cv2.getNumThreads()
    threads.apply(1)
    loaded: list[tuple[str, int, FaceDetector]] = []
    try:
        for kind, width in kinds:
            settings = FaceSettings.model_validate({"detector": kind, "input_width": width, "threshold": LEAST})
            try:
                loaded.append((kind, width, create(settings, store)))
            except ModelError as error:
                _log.warning("%s is left out: %s", kind, error)
        times = milliseconds([detector for _, _, detector in loaded])
        measured = []
        for (kind, width, detector), taken in zip(loaded, times, strict=True):
            found = [as_arrays(detector.detect(images.read(scene.path))) for scene in scenes]
            threshold = threshold_for(store.entry(kind), width)
            shown = SIDE if kind == "res10" else width  # it always takes the same
            measured.append(Measured(kind, shown, threshold, taken, match(scenes, found)))
        return measured
    finally:
        cv2.setNumThreads(before)


def report(all_measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """One dictionary for each detector, for JSON."""
    reference = next((m.milliseconds for m in all_measured if m.name == "res10"), math.nan)
    return [_row(measured, reference) for measured in all_measured]


def _row(measured: Measured, reference: float) -> dict[str, Any]:
    matched, threshold = measured.matched, measured.threshold
    large = (LARGE, math.inf)
    masked, bare = (matched.recall(threshold, large, side) for side in (True, False))
    return {
        "detector": measured.name,
        "input_width": measured.width,
        "threshold": threshold,
        "recall": {name: matched.recall(threshold, band).as_dict() for name, band in BANDS.items()},
        "recall_masked_over_40": masked.as_dict(),
        "recall_bare_over_40": bare.as_dict(),
        "masked_minus_bare": round(masked.value - bare.value, 4) if masked.count and bare.count else None,
        "precision_over_40": matched.precision(threshold).as_dict(),
        "precision_over_40_known_faces_left_out": matched.precision(threshold, lenient=True).as_dict(),
        "average_precision_over_20": round(matched.average_precision(), 4),
        "threshold_for_precision_95": matched.threshold_for(0.95),
        "milliseconds": round(measured.milliseconds, 2),
        "relative_to_res10": round(measured.milliseconds / reference, 3) if reference == reference else None,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The same for a person, Markdown."""

    def share(value: dict[str, Any]) -> str:
        if not value["count"]:
            return "–"
        return f"{value['value']:.3f} ({value['low']:.3f}–{value['high']:.3f}, n={value['count']})"

    lines: list[tuple[str, list[str]]] = [("threshold", [f"{row['threshold']:.2f}" for row in rows])]
    lines += [(f"recall {name}", [share(row["recall"][name]) for row in rows]) for name in BANDS]
    lines += [
        ("recall ≥ 40 px, masked", [share(row["recall_masked_over_40"]) for row in rows]),
        ("recall ≥ 40 px, bare", [share(row["recall_bare_over_40"]) for row in rows]),
        ("masked − bare", [_signed(row["masked_minus_bare"]) for row in rows]),
        ("precision ≥ 40 px", [share(row["precision_over_40"]) for row in rows]),
        ("… unlabelled faces left out", [share(row["precision_over_40_known_faces_left_out"]) for row in rows]),
        ("average precision ≥ 20 px", [f"{row['average_precision_over_20']:.3f}" for row in rows]),
        ("ms on 640×480, one core", [f"{row['milliseconds']:.1f}" for row in rows]),
        (
            "relative to res10",
            [f"{row['relative_to_res10']:.2f}" if row["relative_to_res10"] else "–" for row in rows],
        ),
    ]
    head = "| | " + " | ".join(f"{row['detector']} {row['input_width']}" for row in rows) + " |"
    rule = "|---|" + "---|" * len(rows)
    return "\n".join([head, rule, *(f"| {name} | " + " | ".join(values) + " |" for name, values in lines)])


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"

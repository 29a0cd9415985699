"""What one call of each shipped network costs beside the network it replaces: in turn, in one run, on one core."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.ancestor import mobilenet
from benchmarks.naive import backends, mask_net, res10_files
from benchmarks.startup import CLIP
from convert.gender import levi_hassner
from edge_agent.config import FaceSettings
from edge_agent.errors import EdgeAgentError
from edge_agent.types import Image
from edge_agent.vision import faces as face_detectors
from edge_agent.vision import threads
from edge_agent.vision.gender import GenderClassifier
from edge_agent.vision.mask import MaskClassifier
from edge_agent.vision.store import ModelStore

Call = Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    """CPU milliseconds of one call, medians."""

    ours: str
    theirs: str
    goal: float | None
    """Largest share of theirs that ours may take; None where there is no goal."""
    ours_ms: float
    theirs_ms: float

    @property
    def share(self) -> float:
        """What ours takes of theirs."""
        return self.ours_ms / self.theirs_ms


def in_turn(ours: Call, theirs: Call, rounds: int) -> tuple[float, float]:
    """Median CPU milliseconds of both, called alternately after three calls each that are not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 3):
        for call, spent in zip((ours, theirs), times, strict=True):
            begin = time.process_time()
            call()
            if number >= 3:
                spent.append((time.process_time() - begin) * 1e3)
    return statistics.median(times[0]), statistics.median(times[1])


def face_frame() -> Image:
    """A moment of the demo clip with one face in it, 640×480.

    Raises:
        EdgeAgentError: the clip can't be read.
    """
    capture = cv2.VideoCapture(str(CLIP))
    capture.set(cv2.CAP_PROP_POS_MSEC, 3000)
    read, frame = capture.read()
    capture.release()
    if not read:
        raise EdgeAgentError(f"{CLIP} can't be read; install edge-agent again")
    return np.asarray(frame, np.uint8)


def compare(rounds: int) -> list[Comparison]:
    """All comparisons; the ancestor's mask net in every backend that is installed.

    Raises:
        EdgeAgentError: a model is not there.
    """
    store, frame = ModelStore(), face_frame()
    detector = face_detectors.create(FaceSettings(), store)
    box = detector.detect(frame)[0].box
    mask = MaskClassifier(store.paths("mask_detector")[0], store.entry("mask_detector"))
    gender = GenderClassifier.load(store, "gender_net")
    res10 = cv2.dnn.readNetFromCaffe(*map(str, res10_files()))
    face = np.zeros((1, mobilenet.SIZE, mobilenet.SIZE, 3), np.float32)

    def find() -> None:
        res10.setInput(cv2.dnn.blobFromImage(frame, 1.0, (300, 300)))
        res10.forward()

    found = []
    with tempfile.TemporaryDirectory() as folder:
        for backend in backends():
            net = mask_net(backend, Path(folder))
            times = in_turn(lambda: mask.classify(frame, box), lambda net=net: net(face), rounds)  # type: ignore[misc]
            goal = 1 / 30 if backend == "keras" else None
            found.append(Comparison("mask_detector", f"MobileNetV2 224 float, {backend}", goal, *times))
    times = in_turn(lambda: detector.detect(frame), find, rounds)
    found.append(Comparison("edge_face at its default size", "res10 at 300×300", 0.25, *times))
    old = levi_hassner.network()
    x1, y1, x2, y2 = (int(side) for side in box)
    crop = frame[y1:y2, x1:x2]

    def guess() -> None:
        old.setInput(cv2.dnn.blobFromImage(crop, 1.0, (levi_hassner.SIZE, levi_hassner.SIZE)))
        old.forward()

    times = in_turn(lambda: gender.classify(frame, box), guess, rounds)
    found.append(Comparison("gender_net", "Levi and Hassner's", 0.2, *times))
    return found


def main() -> int:
    """Command line; exit code 2 if a model is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="calls of each network (default: 100)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    threads.apply(1)
    try:
        found = compare(arguments.rounds)
    except EdgeAgentError as error:
        Console(stderr=True).print(f"[red]{error}")
        return 2
    table = Table(title="One call, CPU milliseconds on one core; with the scaling of the picture")
    for column in ("ours", "ms", "instead of", "ms", "ratio", "goal"):
        table.add_column(column)
    for one in found:
        table.add_row(
            one.ours, f"{one.ours_ms:.2f}", one.theirs, f"{one.theirs_ms:.2f}",
            f"1/{1 / one.share:.1f}", f"≤ 1/{1 / one.goal:.0f}" if one.goal else "–",
        )  # fmt: skip
    Console().print(table)
    if arguments.json:
        entries = [{**asdict(one), "share": round(one.share, 4)} for one in found]
        arguments.json.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

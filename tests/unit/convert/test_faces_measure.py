"""Matching detections with labels, and the figures made of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from convert.faces.measure import BANDS, match
from convert.faces.records import Scene, overlaps
from convert.metrics import share


def _boxes(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def _scene(boxes: np.ndarray, labels: tuple[str, ...], unlabelled: np.ndarray | None = None) -> Scene:
    return Scene(Path("a.jpg"), boxes, labels, _boxes() if unlabelled is None else unlabelled, "test")


def test_overlap_by_hand() -> None:
    iou = overlaps(_boxes((0, 0, 10, 10)), _boxes((0, 0, 10, 10), (5, 0, 15, 10), (20, 20, 30, 30)))
    np.testing.assert_allclose(iou, [[1.0, 1 / 3, 0.0]], rtol=1e-5)


def test_a_face_is_found_once() -> None:
    scene = _scene(_boxes((0, 0, 50, 50)), ("with_mask",))
    found = _boxes((0, 0, 50, 50), (2, 2, 52, 52))
    matched = match([scene], [(found, np.asarray([0.6, 0.9], np.float32))])
    assert matched.right.tolist() == [False, True]  # the better score takes it
    assert matched.recall(0.5, (40.0, math.inf)) == share(1, 1)
    assert matched.precision(0.5) == share(1, 2)


def test_recall_by_height_and_mask() -> None:
    scene = _scene(
        _boxes((0, 0, 90, 90), (100, 0, 150, 50), (200, 0, 225, 25)), ("with_mask", "without_mask", "incorrect")
    )
    matched = match([scene], [(_boxes((0, 0, 90, 90), (200, 0, 225, 25)), np.asarray([0.9, 0.4], np.float32))])
    shares = [matched.recall(0.5, band) for band in BANDS.values()]
    assert shares == [share(1, 1), share(0, 1), share(0, 1)]
    assert matched.recall(0.3, BANDS["20-40 px"]) == share(1, 1)
    assert matched.recall(0.3, (0.0, math.inf), masked=True) == share(2, 2)
    assert matched.recall(0.3, (0.0, math.inf), masked=False) == share(0, 1)


def test_small_boxes_do_not_count_for_precision() -> None:
    matched = match(
        [_scene(_boxes(), ())], [(_boxes((0, 0, 20, 20), (50, 50, 120, 120)), np.asarray([0.9, 0.9], np.float32))]
    )
    assert matched.precision(0.5) == share(0, 1)


def test_unlabelled_faces_are_left_out_only_when_lenient() -> None:
    stranger = _boxes((0, 0, 60, 60))
    matched = match([_scene(_boxes(), (), stranger)], [(stranger, np.asarray([0.9], np.float32))])
    assert matched.precision(0.5) == share(0, 1)
    assert matched.precision(0.5, lenient=True).count == 0


def test_average_precision_by_hand() -> None:
    scene = _scene(_boxes((0, 0, 50, 50), (100, 0, 150, 50)), ("with_mask", "with_mask"))
    found = _boxes((0, 0, 50, 50), (300, 300, 350, 350), (100, 0, 150, 50))
    matched = match([scene], [(found, np.asarray([0.9, 0.8, 0.7], np.float32))])
    assert matched.average_precision() == pytest.approx((1.0 + 2 / 3) / 2)


def test_threshold_for_a_precision() -> None:
    scene = _scene(_boxes((0, 0, 50, 50)), ("with_mask",))
    found = _boxes((0, 0, 50, 50), (300, 300, 350, 350))
    matched = match([scene], [(found, np.asarray([0.9, 0.605], np.float32))])
    assert matched.threshold_for(0.95) == pytest.approx(0.61)
    assert matched.threshold_for(0.5) == pytest.approx(0.1)


def test_a_threshold_counts_no_face_that_nobody_labelled() -> None:
    stranger = _boxes((300, 0, 360, 60))
    scene = _scene(_boxes((0, 0, 50, 50)), ("with_mask",), stranger)
    found = _boxes((0, 0, 50, 50), (300, 0, 360, 60), (100, 300, 150, 350))
    matched = match([scene], [(found, np.asarray([0.9, 0.8, 0.405], np.float32))])
    assert matched.precision(0.41).value == 0.5
    assert matched.threshold_for(0.95) == pytest.approx(0.41)

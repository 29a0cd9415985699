"""Faces of a dataset that comes without boxes, found with the bundled detector."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.finder import Finder, nearest
from convert.mask import faces, find

data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A portrait with a second, smaller one beside it, and a photo of nobody."""
    portrait = cv2.cvtColor(data.astronaut()[:300, 60:380], cv2.COLOR_RGB2BGR)
    small = np.zeros_like(portrait)
    small[:150, :160] = cv2.resize(portrait, (160, 150), interpolation=cv2.INTER_AREA)
    for folder, image in (("with_mask", np.full((80, 80, 3), 120, np.uint8)),
                          ("without_mask", np.hstack([small, portrait]))):  # fmt: skip
        (tmp_path / "mask" / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "mask" / folder / "a.png"), image)
    return tmp_path / "mask"


def test_the_largest_face_is_found(dataset: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        nobody, portrait = faces.read(dataset, None)
    assert nobody.box is None
    assert portrait.box is not None
    x1, y1, x2, y2 = portrait.box
    assert x1 < 320 + 165 < x2  # the nose of the larger portrait
    assert y1 < 120 < y2
    assert 60 < x2 - x1 < 180
    assert portrait.landmarks is None
    (line,) = [entry.getMessage() for entry in caplog.records]
    assert "1 of 2 photos" in line


def test_with_boxes_nothing_is_looked_for(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Finder) -> None:
        raise AssertionError("the detector was loaded")

    monkeypatch.setattr(Finder, "__init__", refuse)
    lines = [json.dumps({"file": f"mask/{name}/a.png", "faces": []}) for name in ("with_mask", "without_mask")]
    (dataset.parent / "faces.jsonl").write_text("\n".join(lines))
    assert [record.box for record in faces.read(dataset, None)] == [None, None]


@pytest.mark.parametrize(
    "said",
    ['{"file": "mask/with_mask/a.png", "faces": []}',
     '{"file": "other/without_mask/a.png", "faces": [{"box": [1, 2, 30, 40]}]}'],
)  # fmt: skip
def test_photos_that_nobody_looked_at_are_looked_at(
    dataset: Path, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    (dataset.parent / "faces.jsonl").write_text(said)
    nobody, portrait = faces.read(dataset, None)
    assert nobody.box is None
    assert portrait.box is not None
    assert portrait.box[0] > 320
    warned = [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]
    assert warned == ([] if "mask/with_mask" in said else
                      ["no face was found in 1 of 2 photos; they are taken whole"])  # fmt: skip


def test_a_photo_that_cannot_be_decoded_is_left_to_the_cut(
    dataset: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (dataset / "with_mask" / "a.png").write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        cut = faces.cut(faces.read(dataset, None), 32, quiet=True)
    assert len(cut.records) == 1
    assert sum("a.png" in entry.getMessage() for entry in caplog.records) == 1


def test_the_device_cuts_at_its_own_boxes(dataset: Path) -> None:
    nobody, portrait = faces.read(dataset, None)
    assert portrait.box is not None
    x1, y1, x2, y2 = portrait.box
    told = [replace(nobody, box=(5, 5, 70, 70)), replace(portrait, box=(x1 - 3, y1 - 4, x2, y2 + 5))]
    nobody, portrait = find.by_device(told)
    assert nobody.detector_box is None
    assert portrait.box == told[1].box
    assert portrait.detector_box == pytest.approx((x1, y1, x2, y2))
    (only,) = faces.at_device(told)
    assert only.box == pytest.approx((x1, y1, x2, y2))


def test_a_box_far_from_all_faces_is_of_none_of_them() -> None:
    boxes = np.array([[0, 0, 10, 10], [20, 0, 40, 20]], np.float32)
    assert nearest(boxes, np.array([21, 1, 41, 21], np.float32)) is not None
    assert nearest(boxes, np.array([10, 0, 20, 10], np.float32)) is None
    assert nearest(boxes[:0], boxes[0]) is None

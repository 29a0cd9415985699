"""Where the device's own face net sees the faces of the training photos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

skimage_data = pytest.importorskip("skimage.data", reason="needs the test extra")

from convert.finder import Finder  # noqa: E402
from convert.gender.boxes import device_boxes  # noqa: E402

BOX = np.array([[30, 25, 125, 150]], np.float32)


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """A face that fills its photo, and noise: ``(2, 160, 160, 3)`` BGR."""
    astronaut = cv2.cvtColor(skimage_data.astronaut(), cv2.COLOR_RGB2BGR)[40:240, 120:320]
    face = cv2.resize(astronaut, (160, 160), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(1).integers(0, 256, face.shape, np.uint8)
    return np.stack([face, noise])


def test_a_face_is_found_in_its_photo_and_nothing_in_noise(
    photos: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = Finder().largest(cv2.copyMakeBorder(photos[0], 100, 100, 160, 160, cv2.BORDER_CONSTANT))
    assert around is not None
    near = np.array(around, np.float32) - np.array((160, 100, 160, 100), np.float32)
    boxes = np.stack([near + 4, near])

    found = device_boxes(photos, boxes, tmp_path)

    np.testing.assert_allclose(found[0], near, atol=4)
    assert np.isnan(found[1]).all()
    # The second time it is read, not searched for.
    monkeypatch.setattr("convert.gender.boxes.Finder", None)
    np.testing.assert_array_equal(device_boxes(photos, boxes, tmp_path), found)


def test_a_face_elsewhere_is_another_face(photos: np.ndarray, tmp_path: Path) -> None:
    corner = np.array([[0, 0, 40, 40], [0, 0, 40, 40]], np.float32)
    assert np.isnan(device_boxes(photos, corner, tmp_path)).all()

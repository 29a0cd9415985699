"""Where the device's own face net sees the faces of the training photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

skimage_data = pytest.importorskip("skimage.data", reason="needs the test extra")

from convert.finder import Finder  # noqa: E402
from convert.gender.augment import seen  # noqa: E402
from convert.gender.boxes import device_boxes  # noqa: E402
from convert.gender.records import load_faces  # noqa: E402

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


def test_a_masked_face_is_cut_where_it_is_seen_with_its_mask_on(
    write_gender_dataset: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gender_dataset(tmp_path, 6, twins=False)
    faces, shown = load_faces(tmp_path, tmp_path / "cache"), []

    class Eye:
        def box(self, photo: np.ndarray, near: np.ndarray) -> np.ndarray | None:
            shown.append(photo)
            return near + 3 if len(shown) % 2 else None

    monkeypatch.setattr("convert.gender.augment.DeviceEye", Eye)
    indices = np.arange(4)
    found = list(seen(faces, indices, masked=True, device=True))
    assert [known for _, _, known in found] == [True, False, True, False]
    for index, (image, box, known) in enumerate(found):
        assert image is shown[index]
        np.testing.assert_allclose(box, faces.boxes[index] + 3 * known)
    assert any((image != faces.pixels[index]).any() for index, (image, _, _) in enumerate(found)), "masks are on"
    bare = list(seen(faces, indices, masked=False, device=True))
    assert len(shown) == 4, "where bare faces are seen is known"
    assert [box for _, box, _ in bare] == [faces.cut_at(index, device=True) for index in range(4)]

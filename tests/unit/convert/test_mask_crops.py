"""The crop that training and device share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_agent.vision.crops import CropMargins, face_crop
from edge_agent.vision.manifest import read

MODELS = Path(__file__).parents[3] / "models"
NONE = CropMargins(0.0, 0.0, 0.0)


def test_result_is_rgb_and_square() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :] = (200, 100, 50)
    crop = face_crop(image, (10, 10, 30, 20), 24, NONE)
    assert crop.shape == (24, 24, 3)
    assert crop.dtype == np.uint8
    assert (crop == (50, 100, 200)).all()


def test_margins_are_fractions_of_the_box_and_reach_further_below() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[60:64] = 255  # just below a box that ends at 60
    assert face_crop(image, (30, 20, 70, 60), 40, NONE).max() == 0
    crop = face_crop(image, (30, 20, 70, 60), 48, CropMargins(0.0, 0.0, 0.2))
    assert crop[-5:].max() == 255  # 60 to 68 fill the last sixth
    assert crop[:38].max() == 0


def test_it_repeats_the_last_pixels_beyond_the_frame() -> None:
    image = np.full((50, 50, 3), 90, np.uint8)
    crop = face_crop(image, (-20, -20, 30, 70), 32)
    assert (crop == 90).all()


def test_it_writes_into_a_given_row_and_leaves_the_frame_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    before = image.copy()
    batch = np.zeros((2, 16, 16, 3), np.uint8)
    result = face_crop(image, (5, 5, 40, 40), 16, out=batch[1])
    assert np.shares_memory(result, batch)
    assert batch[1].any()
    assert not batch[0].any()
    assert (image == before).all()


@pytest.mark.parametrize(
    "box", [(10, 10, 10, 20), (10, 20, 20, 10), (200, 200, 240, 240), (float("nan"), 0, 10, 10)]
)
def test_boxes_without_pixels_are_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="box"):
        face_crop(np.zeros((50, 50, 3), np.uint8), box, 16)


def test_the_manifest_states_the_margins_the_network_was_trained_with() -> None:
    entry = read(MODELS).get("mask_detector")
    assert entry.input is not None
    crop = entry.input.crop
    assert CropMargins(crop.margin_x, crop.margin_top, crop.margin_bottom) == CropMargins()

"""Painted masks: on the face, below the eyes, never twice the same."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.gender.masks import FaceFrame, paint_mask

BOX = (30.0, 20.0, 130.0, 150.0)
LANDMARKS = np.array([[58, 65], [102, 65], [80, 92], [62, 115], [98, 115]], np.float32)


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    return np.full((160, 160, 3), (120, 150, 190), np.uint8)


def painted_pixels(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.abs(before.astype(int) - after).max(axis=2) > 12


@pytest.mark.parametrize("seed", range(12))
def test_covers_the_mouth_and_leaves_the_eyes(photo: NDArray[np.uint8], seed: int) -> None:
    changed = painted_pixels(photo, paint_mask(photo, BOX, LANDMARKS, np.random.default_rng(seed)))

    assert changed[105:125, 65:95].mean() > 0.5
    for x, y in LANDMARKS[:2].astype(int):
        assert not changed[y - 6 : y + 4, x - 8 : x + 8].any()


def test_follows_a_tilted_head(photo: NDArray[np.uint8]) -> None:
    centre = np.array([80.0, 85.0])
    turn = np.array([[0, -1], [1, 0]], np.float32)  # a quarter turn
    landmarks = ((LANDMARKS - centre) @ turn + centre).astype(np.float32)
    mouth = landmarks[3:].mean(axis=0).astype(int)

    changed = painted_pixels(photo, paint_mask(photo, BOX, landmarks, np.random.default_rng(3)))

    assert changed[mouth[1] - 8 : mouth[1] + 8, mouth[0] - 8 : mouth[0] + 8].mean() > 0.5
    for x, y in landmarks[:2].astype(int):
        assert not changed[y - 4 : y + 4, x - 4 : x + 4].any()


def test_the_same_state_paints_the_same_mask(photo: NDArray[np.uint8]) -> None:
    one, again, other = (paint_mask(photo, BOX, LANDMARKS, np.random.default_rng(seed)) for seed in (5, 5, 6))

    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_photo_is_left_alone(photo: NDArray[np.uint8]) -> None:
    before = photo.copy()

    paint_mask(photo, BOX, LANDMARKS, np.random.default_rng(0))

    assert np.array_equal(photo, before)


def test_landmarks_in_one_point_are_no_face(photo: NDArray[np.uint8]) -> None:
    point = np.full((5, 2), 80, np.float32)

    assert FaceFrame.of(BOX, point) is None
    assert np.array_equal(paint_mask(photo, BOX, point, np.random.default_rng(0)), photo)


def test_a_mask_in_the_dark_is_dark() -> None:
    night = np.full((160, 160, 3), 20, np.uint8)

    after = [paint_mask(night, BOX, LANDMARKS, np.random.default_rng(seed)) for seed in range(10)]

    assert max(int(np.median(image[110:120, 70:90])) for image in after) < 110

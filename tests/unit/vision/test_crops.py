"""What the mask network sees of a face: cut with room around it, and shrunk without patterns that are not there."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.vision.crops import CropMargins, face_crop
from edge_agent.vision.faces.letterbox import Letterbox

TIGHT = CropMargins(0.0, 0.0, 0.0)


def board(height: int, width: int, cell: int, shift: int = 0) -> NDArray[np.uint8]:
    """Black and white squares, like the weave of a jacket or of a mask."""
    rows, columns = np.indices((height, width))
    white = ((rows + shift) // cell + (columns + shift) // cell) % 2
    return np.ascontiguousarray(np.repeat(white[..., None] * 255, 3, 2).astype(np.uint8))


@pytest.mark.parametrize("shift", range(4))
def test_a_fine_pattern_on_a_large_face_becomes_grey(shift: int) -> None:
    crop = face_crop(board(768, 768, 4, shift), (0, 0, 768, 768), 96, TIGHT)
    assert np.abs(crop.astype(int) - 127).max() <= 3


@pytest.mark.parametrize("side", [200, 300, 420, 640])
def test_a_fine_pattern_stays_grey_however_near_the_face_is(side: int) -> None:
    crop = face_crop(board(side, side, 1), (0, 0, side, side), 96, TIGHT)
    assert crop.std() < 40, "a filter that skips pixels leaves black and white"


def test_a_wide_face_is_stretched_to_the_whole_square() -> None:
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, :150] = 200
    crop = face_crop(picture, (0, 0, 300, 100), 96, TIGHT)
    assert crop.shape == (96, 96, 3)
    assert (crop[:, :46] == 200).all() and (crop[:, 50:] == 0).all()


@pytest.mark.parametrize(
    ("margins", "sides"),
    [
        (CropMargins(0.5, 0.0, 0.0), (10, 30, 40, 60)),
        (CropMargins(0.0, 0.5, 0.0), (20, 15, 40, 30)),
        (CropMargins(0.0, 0.0, 0.5), (20, 30, 40, 75)),
    ],
)
def test_the_room_around_a_face_is_what_the_manifest_says(
    margins: CropMargins, sides: tuple[int, int, int, int]
) -> None:
    rng = np.random.default_rng(2)
    picture = rng.integers(0, 256, (120, 120, 3), np.uint8)
    box = {0: (20, 30, 30, 60), 1: (20, 30, 40, 60)}
    if margins.x:
        face = (20, 30, 30, 60)
        sides = (15, 30, 35, 60)
    elif margins.top:
        face, sides = box[1], (20, 15, 40, 60)
    else:
        face, sides = box[1], (20, 30, 40, 75)
    assert np.array_equal(face_crop(picture, face, 96, margins), face_crop(picture, sides, 96, TIGHT))


def test_what_lies_beyond_the_picture_repeats_its_edge_and_is_no_dark_border() -> None:
    bright = np.full((100, 100, 3), 180, np.uint8)
    for box in ((-30, 10, 40, 80), (60, 10, 130, 80), (10, -30, 80, 40), (10, 60, 80, 130)):
        assert (face_crop(bright, box, 96) == 180).all(), box


def test_a_small_pattern_in_a_frame_becomes_grey_for_the_face_net() -> None:
    """A frame three times as wide as the net's input: skipped pixels would be skipped faces."""
    canvas, scale = Letterbox(192).fit(board(480, 640, 1))
    assert scale == pytest.approx(0.3)
    assert canvas[:144].std() < 20

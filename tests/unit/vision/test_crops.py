"""What the mask network sees of a face: cut with room around it, and shrunk without patterns that are not there."""

from __future__ import annotations

import cv2
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
    ("margins", "whole"),
    [
        pytest.param(CropMargins(0.5, 0.0, 0.0), (10, 30, 50, 60), id="both sides"),
        pytest.param(CropMargins(0.0, 0.5, 0.0), (20, 15, 40, 60), id="top"),
        pytest.param(CropMargins(0.0, 0.0, 0.5), (20, 30, 40, 75), id="bottom"),
    ],
)
def test_the_room_around_a_face_is_what_the_manifest_says(
    margins: CropMargins, whole: tuple[int, int, int, int]
) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (120, 120, 3), np.uint8)
    crop = face_crop(picture, (20, 30, 40, 60), 96, margins)
    assert np.array_equal(crop, face_crop(picture, whole, 96, TIGHT))


@pytest.mark.parametrize("corner", [(10, 20), (-7, 30), (40, -9), (70, 30), (40, 60), (-7, -9), (70, 60)])
def test_not_a_pixel_is_shifted_and_the_edge_goes_on_beyond_the_picture(corner: tuple[int, int]) -> None:
    picture = np.random.default_rng(4).integers(0, 256, (120, 140, 3), np.uint8)
    x, y = corner
    around = np.pad(picture, ((20, 60), (20, 60), (0, 0)), mode="edge")
    expected = around[y + 20 : y + 116, x + 20 : x + 116, ::-1]
    assert np.array_equal(face_crop(picture, (x, y, x + 96, y + 96), 96, TIGHT), expected)


@pytest.mark.parametrize(
    "box",
    [
        (-50, 10, -20, 40), (10, -50, 40, -20), (200, 10, 230, 40), (10, 200, 40, 230), (-1, 10, 0, 40),
        (10, -1, 40, 0), (140, 10, 150, 40), (10, 120, 40, 130), (10, 10, 10, 40), (10, 10, 40, 10),
        (40, 10, 10, 40), (10, 40, 40, 10),
    ],
)  # fmt: skip
def test_a_box_that_holds_nothing_of_the_picture_is_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="the face box"):
        face_crop(np.zeros((120, 140, 3), np.uint8), box, 96, TIGHT)


def test_a_face_of_one_pixel_is_cut() -> None:
    picture = np.zeros((120, 140, 3), np.uint8)
    picture[119, 139] = 90
    assert (face_crop(picture, (139, 119, 140, 120), 96, TIGHT) == 90).all()


def test_the_network_is_shown_red_green_and_blue_in_its_order() -> None:
    blue = np.full((50, 50, 3), (250, 20, 10), np.uint8)
    assert (face_crop(blue, (10, 10, 40, 40), 96) == (10, 20, 250)).all()


def test_what_lies_beyond_the_picture_repeats_its_edge_and_is_no_dark_border() -> None:
    bright = np.full((100, 100, 3), 180, np.uint8)
    for box in ((-30, 10, 40, 80), (60, 10, 130, 80), (10, -30, 80, 40), (10, 60, 80, 130)):
        assert (face_crop(bright, box, 96) == 180).all(), box


def test_a_small_pattern_in_a_frame_becomes_grey_for_the_face_net() -> None:
    """A frame three times as wide as the net's input: skipped pixels would be skipped faces."""
    canvas, scale = Letterbox(192).fit(board(480, 640, 1))
    assert scale == pytest.approx(0.3)
    assert canvas[:144].std() < 20


@pytest.mark.parametrize(("side", "frame"), [(480, (480, 640)), (512, (480, 640)), (960, (480, 640))])
def test_a_frame_of_usual_size_is_scaled_as_in_training(side: int, frame: tuple[int, int]) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (*frame, 3), np.uint8)
    canvas, scale = Letterbox(side).fit(picture)
    size = (round(frame[1] * scale), round(frame[0] * scale))
    expected = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(canvas[: size[1], : size[0]], expected)


@pytest.mark.parametrize("shape", [(1, 5000, 3), (5000, 1, 3)])
def test_a_thread_of_a_picture_is_no_error(shape: tuple[int, int, int]) -> None:
    canvas, _ = Letterbox(320).fit(np.full(shape, 50, np.uint8))
    assert np.count_nonzero(canvas[:, :, 0]) == 320, "as long as it may be, and not nothing"

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.camera.transform import Region, Transform
from edge_agent.config import CameraSettings
from edge_agent.types import Box, Image

RED = (0, 0, 255)


def marked() -> Image:
    """A 4×6 picture with its upper left corner red."""
    image = np.zeros((4, 6, 3), np.uint8)
    image[0, 0] = RED
    return image


@pytest.mark.parametrize(
    ("rotate", "flip", "corner", "shape"),
    [
        (0, "none", (0, 0), (4, 6, 3)),
        (90, "none", (0, 3), (6, 4, 3)),  # clockwise: upper left goes to upper right
        (180, "none", (3, 5), (4, 6, 3)),
        (270, "none", (5, 0), (6, 4, 3)),
        (0, "horizontal", (0, 5), (4, 6, 3)),
        (0, "vertical", (3, 0), (4, 6, 3)),
        (0, "both", (3, 5), (4, 6, 3)),
        (90, "horizontal", (0, 0), (6, 4, 3)),
    ],
)
def test_the_marked_corner_lands_where_the_settings_say(
    rotate: int, flip: str, corner: tuple[int, int], shape: tuple[int, int, int]
) -> None:
    image = Transform(CameraSettings(rotate=rotate, flip=flip))(marked())  # type: ignore[arg-type]
    assert image.shape == shape
    assert tuple(image[corner]) == RED
    assert image.sum() == 255
    assert image.flags["C_CONTIGUOUS"]


def test_nothing_to_do_copies_nothing() -> None:
    image = marked()
    assert Transform(CameraSettings())(image) is image


def test_a_region_contains_its_inside_and_its_edge() -> None:
    triangle = Region([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
    assert triangle.contains(0.2, 0.2)
    assert triangle.contains(0.0, 0.5)
    assert not triangle.contains(0.8, 0.8)


def test_a_region_may_have_a_dent() -> None:
    dented = Region([(0, 0), (1, 0), (1, 1), (0.5, 0.2), (0, 1)])
    assert dented.contains(0.1, 0.5)
    assert not dented.contains(0.5, 0.5)
    assert dented.contains(0.9, 0.5)


def test_no_corners_mean_everywhere() -> None:
    assert Region(()).contains(0.99, 0.01)


def test_a_box_counts_by_its_middle() -> None:
    left = Region([(0, 0), (0.5, 0), (0.5, 1), (0, 1)])
    assert left.contains_box(Box(0, 0, 300, 100), width=640, height=480)
    assert not left.contains_box(Box(300, 0, 400, 100), width=640, height=480)

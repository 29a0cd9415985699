"""What the face net answers is decoded as it stands, and what no face can be does no harm."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.types import Box
from edge_agent.vision.faces.detector import tidy
from edge_agent.vision.faces.edge_face import decode, suppress

SIDE = 256


def answer(*, logit: float = 4.0, size: float) -> NDArray[np.float32]:
    """The coarsest level's middle cell says a face; `size`: logarithm of its sides over 140 pixels."""
    levels = [np.full((5, SIDE // stride, SIDE // stride), -20.0, np.float32) for stride in (8, 16, 32)]
    levels[2][:, 4, 4] = (logit, -0.5, -0.5, size, size)
    return np.concatenate([level.reshape(5, -1) for level in levels], axis=1)


@pytest.mark.parametrize("side", [40.0, 140.0, 250.0, 480.0, 1920.0])
def test_a_face_may_fill_the_picture_and_more(side: float) -> None:
    ((x, y, width, height),), _ = decode(answer(size=np.log(side / 140)), SIDE, SIDE, 0.0)
    assert (x, y, width, height) == pytest.approx((128 - side / 2, 128 - side / 2, side, side), rel=1e-3)


@pytest.mark.parametrize(("stride", "side"), [(8, 20.0), (16, 56.0), (32, 140.0)])
def test_small_middling_and_large_faces_are_each_of_their_size(stride: int, side: float) -> None:
    """As the net was trained: its answers are relative to these."""
    levels = [np.full((5, SIDE // each, SIDE // each), -20.0, np.float32) for each in (8, 16, 32)]
    levels[(8, 16, 32).index(stride)][:, 2, 1] = (4.0, 0.0, 0.0, 0.0, 0.0)
    cells = np.concatenate([level.reshape(5, -1) for level in levels], axis=1)
    ((x, y, width, height),), _ = decode(cells, SIDE, SIDE, 0.0)
    assert (width, height) == pytest.approx((side, side))
    assert (x + width / 2, y + height / 2) == pytest.approx((1.5 * stride, 2.5 * stride))


@pytest.mark.parametrize(("shift", "faces"), [(5, 1), (30, 1), (45, 2), (60, 2), (100, 2)])
def test_two_who_stand_close_are_two_and_one_seen_twice_is_one(shift: float, faces: int) -> None:
    both = [[0.0, 0.0, 100.0, 100.0], [shift, 0.0, 100.0, 100.0]]
    assert len(suppress(both, [0.6, 0.9])) == faces


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("size", [50.0, 200.0, 3e38])
def test_a_face_of_absurd_size_is_all_of_the_picture_and_no_error(size: float) -> None:
    rectangles, scores = decode(answer(size=size), SIDE, SIDE, 0.0)
    assert np.isfinite(rectangles).all()
    boxes = [(x, y, x + width, y + height) for x, y, width, height in rectangles]
    (face,) = tidy(boxes, scores, SIDE, SIDE)
    assert face.box == Box(0, 0, SIDE, SIDE)
    assert face.quality < 0.01, "hardly any of it is seen"


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("logit", "score"), [(500.0, 1.0), (2.0, 0.8808), (0.1, 0.525)])
def test_a_score_is_a_probability_however_sure_the_net_is(logit: float, score: float) -> None:
    _, scores = decode(answer(logit=logit, size=0.0), SIDE, SIDE, 0.0)
    assert scores == pytest.approx([score], abs=1e-4)


def test_a_box_of_a_pixel_is_a_face_and_less_is_none() -> None:
    assert [face.box for face in tidy([(5, 5, 6, 6)], [0.9], 100, 50)] == [Box(5, 5, 6, 6)]
    assert tidy([(5, 5, 5.9, 9), (5, 5, 9, 5.9), (99.5, 5, 120, 9), (5, 49.5, 9, 90)], [0.9] * 4, 100, 50) == []
    assert tidy([(-20, 5, 0.5, 9), (5, -20, 9, 0.5)], [0.9] * 2, 100, 50) == []

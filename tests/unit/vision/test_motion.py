"""The motion gate sees people and not the camera's noise or the weather."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.vision.motion import MotionGate


@pytest.fixture
def scene() -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    small = rng.integers(60, 190, (12, 16, 3), np.uint8)
    return np.ascontiguousarray(np.repeat(np.repeat(small, 40, 0), 40, 1))


def noisy(scene: NDArray[np.uint8], seed: int, shift: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(shift, 3.0, scene.shape)
    return np.clip(scene + noise, 0, 255).astype(np.uint8)


def test_a_still_noisy_picture_does_not_move(scene: NDArray[np.uint8]) -> None:
    gate = MotionGate()
    assert gate.moved(noisy(scene, 0))  # the first has nothing to be compared with
    assert not any(gate.moved(noisy(scene, seed)) for seed in range(1, 30))


def test_a_cloud_is_no_motion(scene: NDArray[np.uint8]) -> None:
    gate = MotionGate()
    gate.moved(scene)
    assert not any(gate.moved(noisy(scene, seed, shift=-seed)) for seed in range(1, 25))


def test_a_small_face_is_motion(scene: NDArray[np.uint8]) -> None:
    gate = MotionGate()
    for seed in range(5):
        gate.moved(noisy(scene, seed))
    picture = noisy(scene, 9)
    picture[200:232, 300:326] = 230
    assert gate.moved(picture)


@pytest.mark.parametrize("corner", [(0, 0), (203, 311), (208, 316), (213, 301), (456, 622)])
def test_the_smallest_face_that_is_judged_is_motion_wherever_it_comes_in(
    scene: NDArray[np.uint8], corner: tuple[int, int]
) -> None:
    gate = MotionGate()
    gate.moved(scene)
    row, column = corner
    face = scene[row : row + 24, column : column + 18]
    face[:] = np.where(face > 125, face - 60, face + 60)
    assert gate.moved(scene)


def test_a_cheap_camera_at_night_does_not_keep_the_networks_awake(scene: NDArray[np.uint8]) -> None:
    gate = MotionGate()
    rng = np.random.default_rng(3)
    grain = rng.normal(0, 12.0, (8, *scene.shape))
    pictures = [np.clip(scene + one, 0, 255).astype(np.uint8) for one in grain]
    gate.moved(pictures[0])
    assert not any(gate.moved(picture) for picture in pictures[1:])


def test_who_stands_still_for_long_becomes_background(scene: NDArray[np.uint8]) -> None:
    gate = MotionGate()
    gate.moved(scene)
    scene[100:300, 200:350] = 20
    moved = [gate.moved(noisy(scene, seed)) for seed in range(150)]
    assert moved[0] and not moved[-1]


def test_who_creeps_in_slowly_is_motion(scene: NDArray[np.uint8]) -> None:
    """In dim light and at a pixel a frame, no frame differs enough from the one before."""
    gate = MotionGate()
    gate.moved(scene)
    moved = []
    for column in range(1, 60):
        picture = scene.copy()
        picture[100:340, :column] -= 36
        moved.append(gate.moved(picture))
    assert any(moved)


def test_after_a_pause_the_first_picture_is_worth_a_look(scene: NDArray[np.uint8]) -> None:
    gate = MotionGate()
    gate.moved(scene)
    assert not gate.moved(scene)
    gate.reset()
    assert gate.moved(scene)


def test_a_grown_picture_is_no_error(scene: NDArray[np.uint8]) -> None:
    gate = MotionGate()
    gate.moved(scene)
    gate.moved(np.zeros((1080, 1920, 3), np.uint8))
    gate.moved(np.zeros((1, 1, 3), np.uint8))

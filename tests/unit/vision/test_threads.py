"""How OpenCV is fitted to the program."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edge_agent.vision.threads import apply


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threads, loose = cv2.getNumThreads(), cv2.ipp.useIPP_NotExact()
    yield
    cv2.setNumThreads(threads)
    cv2.ipp.setUseIPP_NotExact(loose)


@pytest.mark.parametrize("size", [(480, 360), (512, 384), (96, 96)])
def test_pictures_are_scaled_as_in_training_to_a_grey_level(size: tuple[int, int]) -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (480, 640, 3), np.uint8), (0, 0), 2)
    cv2.ipp.setUseIPP_NotExact(False)  # as the training tools leave it
    before = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    assert apply(1) == 1
    after = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    assert np.abs(before.astype(int) - after).max() <= 1

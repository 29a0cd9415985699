"""Our planes are those of cv2.dnn.blobFromImage."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_agent.vision.blob import Blob

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mean", [(0.0, 0.0, 0.0), (104.0, 177.0, 123.5)])
@pytest.mark.parametrize("scale", [1.0, 1 / 127.5])
def test_the_same_as_opencvs(reverse: bool, mean: tuple[float, float, float], scale: float) -> None:
    blob = Blob(mean=mean, scale=scale, reverse=reverse)
    for shape in ((64, 96, 3), (97, 97, 3), (97, 97, 3), (1, 1, 3)):
        image = RNG.integers(0, 256, shape, np.uint8)
        expected = cv2.dnn.blobFromImage(image, scale, mean=mean, swapRB=reverse)
        assert np.allclose(blob(image), expected, atol=1e-5)

"""What a network is fed is what cv2.dnn.blobFromImage makes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.vision.blob import Blob

RNG = np.random.default_rng(5)
#: A network that answers with its input.
MIRROR = """
name: "mirror"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "same" type: "Power" bottom: "data" top: "same" power_param { power: 1 scale: 1 shift: 0 } }
"""


@pytest.fixture
def mirror(tmp_path: Path) -> cv2.dnn.Net:
    (tmp_path / "mirror.prototxt").write_text(MIRROR)
    return cv2.dnn.readNetFromCaffe(str(tmp_path / "mirror.prototxt"))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mean", [(0.0, 0.0, 0.0), (104.0, 177.0, 123.5)])
@pytest.mark.parametrize("scale", [1.0, 1 / 127.5])
def test_the_same_as_opencvs(
    mirror: cv2.dnn.Net, reverse: bool, mean: tuple[float, float, float], scale: float
) -> None:
    blob = Blob(mean=mean, scale=scale, reverse=reverse)
    for shape in ((64, 96, 3), (97, 97, 3), (97, 97, 3), (1, 1, 3)):
        image = RNG.integers(0, 256, shape, np.uint8)
        expected = cv2.dnn.blobFromImage(image, scale, mean=mean, swapRB=reverse)
        blob.feed(mirror, image)
        assert np.allclose(mirror.forward(), expected, atol=1e-4)

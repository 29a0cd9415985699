"""Drawn faces that every machine can make, to compare the answers of runtimes and processors.

They are no photos and say nothing about accuracy; they only have to be many, different, and the same everywhere.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.detections import Box, Points
from convert.mask import paint
from edge_agent.types import LABELS
from edge_agent.vision.crops import CropMargins, face_crop
from edge_agent.vision.tflite import RuntimeName, TFLiteModel

_PAINTERS: tuple[paint.Painter | None, ...] = (
    None,
    paint.mask_on,
    paint.mask_under_nose,
    paint.mask_under_chin,
    *paint.BARE_PAINTERS,
)


def made_face(rng: np.random.Generator) -> tuple[NDArray[np.uint8], Box, Points]:
    """A drawn face without a mask: ``(220, 200, 3)`` uint8 BGR, its box and its five landmarks."""
    image = np.full((220, 200, 3), rng.integers(0, 256, 3), np.uint8)
    image[110:] = rng.integers(0, 256, 3)
    skin = np.array([[140, 170, 225], [95, 130, 190], [60, 85, 130], [40, 55, 90], [175, 200, 235]])[
        rng.integers(5)
    ]
    hair = rng.integers(10, 110, 3).tolist()
    x, y = int(rng.integers(90, 111)), int(rng.integers(95, 116))
    wide, high = int(rng.integers(44, 54)), int(rng.integers(58, 70))
    cv2.rectangle(image, (x - 18, y + high // 2), (x + 18, 219), (skin * 0.8).tolist(), -1)
    cv2.ellipse(image, (x, y - 12), (wide + 8, high + 4), 0, 0, 360, hair, -1)
    cv2.ellipse(image, (x, y), (wide, high), 0, 0, 360, skin.tolist(), -1)
    eye, brow = int(wide * 0.45), y - int(high * 0.28)
    for side in (-1, 1):
        cv2.ellipse(image, (x + side * eye, y - 10), (9, 5), 0, 0, 360, (245, 245, 245), -1)
        cv2.circle(image, (x + side * eye, y - 10), 4, (40, 30, 20), -1)
        cv2.line(image, (x + side * eye - 9, brow), (x + side * eye + 9, brow), hair, 3)
    cv2.line(image, (x, y - 4), (x - 5, y + 14), (skin * 0.7).tolist(), 2)
    cv2.line(image, (x - 5, y + 14), (x + 5, y + 14), (skin * 0.6).tolist(), 2)
    mouth = y + int(high * 0.48)
    cv2.ellipse(image, (x, mouth), (17, int(rng.integers(3, 9))), 0, 0, 360, (70, 60, 170), -1)
    points = ((x - eye, y - 10), (x + eye, y - 10), (x, y + 14), (x - 17, mouth), (x + 17, mouth))
    box = (float(x - wide), float(y - high), float(x + wide), float(y + high))
    return image, box, tuple((float(px), float(py)) for px, py in points)


def made_crops(size: int, count: int = 200, seed: int = 7) -> NDArray[np.uint8]:
    """``(count, size, size, 3)`` uint8 RGB: drawn faces, bare or with something painted on."""
    rng = np.random.default_rng(seed)
    crops = np.empty((count, size, size, 3), np.uint8)
    for number in range(count):
        image, box, landmarks = made_face(rng)
        painter = _PAINTERS[number % len(_PAINTERS)]
        if painter is not None:
            painter(image, paint.Face(landmarks, box), rng)
        image = cv2.convertScaleAbs(image, alpha=float(rng.uniform(0.35, 1.1))).astype(np.uint8)
        face_crop(image, box, size, CropMargins(), out=crops[number])
    return crops


def made_labels(model: Path, runtime: RuntimeName = "auto") -> list[str]:
    """What a TFLite network says of the drawn faces, in order."""
    network = TFLiteModel(model, runtime=runtime)
    crops = made_crops(network.input_shape[1])
    return [LABELS[int(network.run(crop[None])[0].argmax())] for crop in crops]

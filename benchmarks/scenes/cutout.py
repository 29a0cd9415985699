"""Turn a portrait into a figure with soft edges that can stand before another background."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes.portraits import Portrait
from edge_agent.types import Box, Image


@dataclass(frozen=True)
class Figure:
    """A person to be put into a film: BGR pixels, opacity 0–255 of the same size, the face's box in it."""

    image: Image
    alpha: NDArray[np.uint8]
    face: Box
    whole: bool
    """The figure reaches down to the shoulders, so it must stand on the lower edge of the film."""


def cut_out(portrait: Portrait) -> Figure:
    """A portrait with an outline is cut along it; of any other photo an oval around the face is taken."""
    if portrait.outline:
        return Figure(portrait.image, _outlined(portrait), portrait.box, whole=True)
    return _oval(portrait)


def rounded(corners: NDArray[np.float64], rounds: int) -> NDArray[np.float64]:
    """A closed outline, N×2, its corners cut (Chaikin): a round puts two points a quarter in for each."""
    for _ in range(rounds):
        ahead = np.roll(corners, -1, axis=0)
        corners = np.stack([0.75 * corners + 0.25 * ahead, 0.25 * corners + 0.75 * ahead], 1).reshape(-1, 2)
    return corners


def _outlined(portrait: Portrait) -> NDArray[np.uint8]:
    height, width = portrait.image.shape[:2]
    blur = max(portrait.box.height / 110, 0.6)
    corners = np.array(portrait.outline, np.float64)
    # The figure goes on below the photo: rounding must not open a gap along its lower edge.
    corners[corners[:, 1] >= height - 1, 1] += 0.2 * height
    alpha = np.zeros((height, width), np.uint8)
    cv2.fillPoly(alpha, [np.round(rounded(corners, 2) * 16).astype(np.int32)], (255,), cv2.LINE_AA, shift=4)
    # A little inwards, so that no edge of the old background shines around the figure.
    inner = cv2.erode(alpha, np.ones((3, 3), np.uint8), iterations=max(round(blur), 1))
    return np.asarray(cv2.GaussianBlur(inner, (0, 0), blur), np.uint8)


def _oval(portrait: Portrait) -> Figure:
    """Face, hair and neck of a photo without an outline to cut along; opaque where a face crop would look."""
    image, face = portrait.image, portrait.box
    height, width = image.shape[:2]
    centre = ((face.x1 + face.x2) / 2, (face.y1 + face.y2) / 2 + 0.08 * face.height)
    # No further than hair and neck: there may be other people in the photo.
    reach = 1.15 * max(face.width, face.height)
    left, right = min(centre[0], reach), min(width - centre[0], reach)
    up, down = min(centre[1], reach), min(height - centre[1], reach)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x = (columns - centre[0]) / np.where(columns < centre[0], max(left, 1), max(right, 1))
    y = (rows - centre[1]) / np.where(rows < centre[1], max(up, 1), max(down, 1))
    # A superellipse: it reaches into the corners of the crop that the networks see.
    distance = (np.abs(x) ** 4 + np.abs(y) ** 4) ** 0.25
    alpha = np.clip((1.0 - distance) / 0.10, 0, 1) * 255
    return Figure(image, alpha.astype(np.uint8), face, whole=False)

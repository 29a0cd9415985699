"""The made entrance that the films play in: a brick wall, a glass door, a floor."""

from __future__ import annotations

import cv2
import numpy as np

from edge_agent.types import Image


def entrance(width: int, height: int, seed: int = 0) -> Image:
    """An empty entrance, slightly out of focus, H×W×3 uint8 BGR; the seed decides colours and place."""
    rng = np.random.default_rng(seed)
    scene = _wall(width, height, rng)
    floor = round(height * 0.86)
    door_width, left = round(width * 0.34), round(width * rng.uniform(0.08, 0.58))
    _door(scene, left, round(height * 0.08), left + door_width, floor, rng)
    grey = rng.uniform(85, 125)
    depth = np.linspace(0, 1, height - floor)[:, None, None]
    scene[floor:] = np.clip((grey + 30 * depth) * np.array([0.94, 0.98, 1.0]), 0, 255)
    cv2.line(scene, (0, floor), (width, floor), (60, 62, 66), max(height // 120, 1))
    scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), max(height / 300, 0.6)), np.uint8)
    return np.asarray(np.clip(scene * _light_falloff(width, height)[..., None], 0, 255), np.uint8)


def _wall(width: int, height: int, rng: np.random.Generator) -> Image:
    colour = np.array([rng.uniform(95, 130), rng.uniform(115, 150), rng.uniform(140, 180)])
    wall = np.empty((height, width, 3), np.uint8)
    wall[:] = (colour * 0.82).astype(np.uint8)
    course = max(height // 22, 6)
    brick = course * 3
    for row in range(height // course + 1):
        offset = (row % 2) * brick // 2
        for column in range(-1, width // brick + 2):
            tone = np.clip(colour * rng.normal(1, 0.06), 0, 255)
            corner = (column * brick - offset + 2, row * course + 2)
            cv2.rectangle(wall, corner, (corner[0] + brick - 4, corner[1] + course - 4), tone.tolist(), -1)
    return wall


def _door(scene: Image, left: int, top: int, right: int, bottom: int, rng: np.random.Generator) -> None:
    frame = (70, 72, 76)
    cv2.rectangle(scene, (left, top), (right, bottom), frame, -1)
    border = max((right - left) // 22, 3)
    middle = (left + right) // 2
    day = rng.uniform(0.85, 1.1)
    for x1, x2 in ((left + border, middle - border // 2), (middle + border // 2, right - border)):
        y1, y2 = top + border, bottom - border
        fade = np.linspace(1, 0.72, y2 - y1)[:, None, None] * np.array([214, 206, 196]) * day
        scene[y1:y2, x1:x2] = np.clip(fade, 0, 255)
        for start in rng.uniform(0, 1, 2):  # reflections in the glass
            x = int(x1 + start * (x2 - x1))
            glass = scene[y1:y2, x1:x2].copy()
            high, low = x - x1, y2 - y1
            corners = np.array([(high, 0), (high + 14, 0), (high - 26, low), (high - 40, low)], np.int32)
            cv2.fillPoly(glass, [corners], (235, 232, 226), cv2.LINE_AA)
            scene[y1:y2, x1:x2] = cv2.addWeighted(scene[y1:y2, x1:x2], 0.7, glass, 0.3, 0)


def _light_falloff(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    rows, columns = np.mgrid[0:height, 0:width]
    distance = ((columns / width - 0.5) ** 2 + (rows / height - 0.35) ** 2) ** 0.5
    return np.asarray(1.06 - 0.4 * distance**2)

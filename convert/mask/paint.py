"""Painted things on bare faces: masks worn well and badly, and what is often taken for a mask.

The net must not learn one template, so form, colour, texture and place are all drawn at random. All functions
change ``image`` (BGR uint8) in place and take the five landmarks (right eye, left eye, nose tip, right and left
mouth corner) in its pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.detections import Box, Points

Image = NDArray[np.uint8]
Vector = NDArray[np.float64]

#: Medical blue, white, grey, black, pink, green and navy are what people wear; BGR.
_CLOTH = (
    (205, 175, 120),
    (240, 240, 240),
    (150, 150, 150),
    (25, 25, 25),
    (190, 170, 235),
    (150, 190, 140),
    (90, 50, 30),
)


class Face:
    """Axes of a face: ``across`` from eye to eye, ``down`` from brow to chin, in pixels of the image."""

    def __init__(self, landmarks: Points, box: Box) -> None:
        points = np.asarray(landmarks, dtype=np.float64)
        self.eyes = points[:2].mean(axis=0)
        self.nose = points[2]
        self.mouth = points[3:5].mean(axis=0)
        self.down = self.mouth - self.eyes
        self.across = np.array([self.down[1], -self.down[0]])
        if np.dot(self.across, points[1] - points[0]) < 0:
            self.across = -self.across
        self.width = max(float(np.linalg.norm(points[1] - points[0])), 0.45 * float(np.linalg.norm(self.down)))
        self.across = self.across / (np.linalg.norm(self.across) + 1e-6)
        self.chin = self.eyes + self.down * 1.65
        self.box = box
        self.turn = float(np.dot(self.nose - (self.eyes + self.mouth) / 2, self.across))

    def at(self, sideways: float, downwards: float) -> Vector:
        """A point: 0, 0 between the eyes, 0, 1 on the mouth; one unit sideways is the distance of the eyes."""
        return np.asarray(self.eyes + self.across * sideways * self.width + self.down * downwards)


def mask_on(image: Image, face: Face, rng: np.random.Generator) -> None:
    """A mask worn well: nose, mouth and chin are covered."""
    _cover(
        image, face, rng, top=rng.uniform(0.28, 0.5), cheek=rng.uniform(0.32, 0.6), bottom=rng.uniform(1.6, 1.85)
    )


def mask_under_nose(image: Image, face: Face, rng: np.random.Generator) -> None:
    """A mask that leaves the nose free."""
    _cover(
        image, face, rng, top=rng.uniform(0.8, 0.9), cheek=rng.uniform(0.6, 0.85), bottom=rng.uniform(1.55, 1.85)
    )


def mask_under_chin(image: Image, face: Face, rng: np.random.Generator) -> None:
    """A mask pulled down: nose and mouth are free."""
    _cover(
        image, face, rng, top=rng.uniform(1.35, 1.55), cheek=rng.uniform(1.0, 1.3), bottom=rng.uniform(1.85, 2.2)
    )


def hand(image: Image, face: Face, rng: np.random.Generator) -> None:
    """Fingers in the colour of the cheek, over the mouth, the chin or the nose."""
    skin = _skin(image, face)
    centre = face.at(rng.uniform(-0.4, 0.4), rng.uniform(0.75, 1.5))
    angle = rng.uniform(0, 180)
    count = int(rng.integers(1, 5))
    thick = face.width * rng.uniform(0.1, 0.17)
    step = np.array([-np.sin(np.radians(angle)), np.cos(np.radians(angle))]) * thick * 1.9
    for finger in range(count):
        middle = centre + step * (finger - (count - 1) / 2)
        colour = np.clip(skin + rng.normal(0, 7, 3), 0, 255)
        length = face.width * rng.uniform(0.4, 0.75)
        axes = (int(length) + 1, int(thick) + 1)
        cv2.ellipse(image, _point(middle), axes, angle, 0, 360, colour.tolist(), -1, cv2.LINE_AA)
        cv2.ellipse(image, _point(middle), axes, angle, 0, 360, (colour * 0.72).tolist(), 1, cv2.LINE_AA)


def thing_before_mouth(image: Image, face: Face, rng: np.random.Generator) -> None:
    """A microphone, a cup or a phone held before the mouth, narrower than a mask."""
    colour = rng.uniform(0, 255, 3)
    centre = face.at(rng.uniform(-0.3, 0.3), rng.uniform(0.95, 1.35))
    radius = face.width * rng.uniform(0.2, 0.42)
    if rng.random() < 0.5:
        end = centre + face.down * rng.uniform(0.8, 1.6) + face.across * face.width * rng.uniform(-0.7, 0.7)
        cv2.line(
            image, _point(centre), _point(end), (colour * 0.6).tolist(), max(int(radius * 0.7), 1), cv2.LINE_AA
        )
        cv2.circle(image, _point(centre), int(radius) + 1, colour.tolist(), -1, cv2.LINE_AA)
    else:
        side, low = face.across * radius, face.down * rng.uniform(0.5, 1.0)
        corners = np.array(
            [centre - side * 1.1, centre + side * 1.1, centre + side * 0.85 + low, centre - side * 0.85 + low]
        )
        _blend(image, corners, _cloth(image.shape, colour, rng), 1.0)


def scarf(image: Image, face: Face, rng: np.random.Generator) -> None:
    """Cloth around the neck, the collar of a coat, or a veil that leaves the whole face free."""
    texture = _cloth(image.shape, _cloth_colour(rng), rng)
    if rng.random() < 0.5:
        top = rng.uniform(1.55, 1.8)
        corners = [
            face.at(-1.6, top - rng.uniform(0, 0.5)),
            face.at(0, top),
            face.at(1.6, top - rng.uniform(0, 0.5)),
            face.at(1.8, 4),
            face.at(-1.8, 4),
        ]
        _blend(image, np.array(corners), texture, 1.0)
        return
    layer = np.zeros(image.shape[:2], np.uint8)
    centre = face.at(0, 0.55)
    angle = float(np.degrees(np.arctan2(face.across[1], face.across[0])))
    length = float(np.linalg.norm(face.down))
    inner = (int(face.width * rng.uniform(1.0, 1.2)), int(length * rng.uniform(1.15, 1.35)))
    outer = (int(inner[0] * rng.uniform(1.3, 1.6)), int(inner[1] * rng.uniform(1.2, 1.6)))
    cv2.ellipse(layer, _point(centre), outer, angle, 0, 360, (255,), -1, cv2.LINE_AA)
    cv2.ellipse(layer, _point(centre), inner, angle, 0, 360, (0,), -1, cv2.LINE_AA)
    _apply(image, layer, texture)


def over_the_eyes(image: Image, face: Face, rng: np.random.Generator) -> None:
    """Sunglasses, a carnival mask or a visor's rim: the eyes are covered, nose and mouth are not."""
    top, bottom = rng.uniform(-0.45, -0.2), rng.uniform(0.2, 0.42)
    corners = [
        face.at(-1.0, top),
        face.at(1.0, top),
        face.at(1.0, bottom * 0.8),
        face.at(0.3, bottom),
        face.at(0, bottom * rng.uniform(0.4, 1.0)),
        face.at(-0.3, bottom),
        face.at(-1.0, bottom * 0.8),
    ]
    _blend(image, np.array(corners), _cloth(image.shape, _cloth_colour(rng), rng), float(rng.uniform(0.75, 1.0)))


def beard(image: Image, face: Face, rng: np.random.Generator) -> None:
    """A full beard: dark noise around the mouth, which stays free."""
    shade = rng.uniform(10, 90, 3) * np.array([0.7, 0.85, 1.0])
    hair = np.clip(shade + rng.normal(0, 22, (*image.shape[:2], 1)), 0, 255).astype(np.uint8)
    layer = np.zeros(image.shape[:2], np.uint8)
    outline = [
        face.at(-0.95, 0.75),
        face.at(-0.5, 0.9),
        face.at(0, 0.82),
        face.at(0.5, 0.9),
        face.at(0.95, 0.75),
        face.at(0.75, 1.5),
        face.at(0, rng.uniform(1.7, 2.1)),
        face.at(-0.75, 1.5),
    ]
    cv2.fillPoly(layer, [np.array(outline).astype(np.int32)], (rng.uniform(150, 255),))
    size = (int(face.width * 0.42) + 1, int(face.width * 0.13) + 1)
    angle = float(np.degrees(np.arctan2(face.across[1], face.across[0])))
    cv2.ellipse(layer, _point(face.mouth), size, angle, 0, 360, (0,), -1)
    soft = cv2.GaussianBlur(layer, (0, 0), max(face.width * 0.06, 0.6))
    _apply(image, np.asarray(soft, dtype=np.uint8), hair)


Painter = Callable[[Image, Face, np.random.Generator], None]

#: Painters that leave a bare face bare; hands are what is met most.
BARE_PAINTERS: tuple[Painter, ...] = (hand, hand, thing_before_mouth, scarf, over_the_eyes, beard)


def _cover(image: Image, face: Face, rng: np.random.Generator, top: float, cheek: float, bottom: float) -> None:
    """Cloth between three heights: ``top`` at the nose, ``cheek`` at the sides, ``bottom`` below the chin."""
    lean = float(np.clip(face.turn / face.width, -0.5, 0.5))
    left, right = -rng.uniform(0.9, 1.15) + lean * 0.5, rng.uniform(0.9, 1.15) + lean * 0.5
    low = rng.uniform(0.3, 0.6)
    outline = [
        face.at(left, cheek),
        face.at(left * 0.45 + lean * 0.5, (top * 1.5 + cheek) / 2.5),
        face.at(lean, top),
        face.at(right * 0.45 + lean * 0.5, (top * 1.5 + cheek) / 2.5),
        face.at(right, cheek),
        face.at(right * 0.92, (cheek + bottom * 2) / 3),
        face.at(right * low, bottom),
        face.at(left * low, bottom),
        face.at(left * 0.92, (cheek + bottom * 2) / 3),
    ]
    colour = _cloth_colour(rng)
    strap = tuple(float(value) for value in np.clip(colour * rng.uniform(0.8, 1.2), 0, 255))
    if rng.random() < 0.7:
        for corner, away in ((left, -1.0), (right, 1.0)):
            cv2.line(
                image,
                _point(face.at(corner, cheek)),
                _point(face.at(corner + away * 0.4, rng.uniform(-0.1, 0.4))),
                strap,
                1,
                cv2.LINE_AA,
            )
    texture = _cloth(image.shape, colour, rng)
    if rng.random() < 0.6:
        for fold in rng.uniform(top, bottom, int(rng.integers(1, 4))):
            cv2.line(
                texture,
                _point(face.at(left, fold)),
                _point(face.at(right, fold)),
                (colour * rng.uniform(0.75, 0.95)).tolist(),
                1,
                cv2.LINE_AA,
            )
    _blend(image, np.array(outline), texture, float(rng.uniform(0.92, 1.0)))


def _cloth_colour(rng: np.random.Generator) -> Vector:
    if rng.random() < 0.35:
        return rng.uniform(0, 255, 3)
    return np.clip(
        np.array(_CLOTH[int(rng.integers(len(_CLOTH)))], dtype=np.float64) + rng.normal(0, 14, 3), 0, 255
    )


def _cloth(shape: Sequence[int], colour: Vector, rng: np.random.Generator) -> Image:
    """Cloth of one colour with shading, and sometimes stripes, checks, dots or blotches."""
    height, width = shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 18)
    wave = np.sin((rows * np.cos(angle) + columns * np.sin(angle)) * 2 * np.pi / period)
    pattern = int(rng.integers(7))
    amount = np.zeros((height, width), np.float32)
    if pattern == 0:
        amount = (wave > 0).astype(np.float32)
    elif pattern == 1:
        other = np.sin((rows * np.sin(angle) - columns * np.cos(angle)) * 2 * np.pi / period)
        amount = ((wave > 0) ^ (other > 0)).astype(np.float32)
    elif pattern == 2:
        noise = rng.random((max(height // 12, 2), max(width // 12, 2))).astype(np.float32)
        amount = (cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) > 0.5).astype(np.float32)
    second = rng.uniform(0, 255, 3)
    shade = 1 + rng.uniform(-0.3, 0.3) * (rows / height - 0.5) + rng.uniform(-0.3, 0.3) * (columns / width - 0.5)
    cloth = (colour * (1 - amount[..., None]) + second * amount[..., None]) * shade[..., None]
    cloth += rng.normal(0, rng.uniform(1, 7), (height, width, 1))
    return np.asarray(np.clip(cloth, 0, 255), dtype=np.uint8)


def _skin(image: Image, face: Face) -> Vector:
    samples = []
    for sideways in (-0.5, 0.5):
        x, y = _point(face.at(sideways, 0.55))
        if 0 <= x < image.shape[1] and 0 <= y < image.shape[0]:
            samples.append(image[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].reshape(-1, 3).mean(axis=0))
    return np.mean(samples, axis=0) if samples else np.array([120.0, 150.0, 190.0])


def _point(point: Vector) -> tuple[int, int]:
    return int(np.clip(point[0], -2000, 4000)), int(np.clip(point[1], -2000, 4000))


def _blend(image: Image, outline: Vector, texture: Image, opacity: float) -> None:
    layer = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(layer, [outline.astype(np.int32)], (255 * opacity,), cv2.LINE_AA)
    _apply(image, np.asarray(cv2.GaussianBlur(layer, (3, 3), 0), dtype=np.uint8), texture)


def _apply(image: Image, layer: NDArray[np.uint8], texture: Image) -> None:
    weight = layer.astype(np.float32)[..., None] / 255
    # Cloth takes the light of the picture it is painted into.
    light = float(np.clip(image.mean() / 115, 0.35, 1.25))
    image[:] = np.clip(image * (1 - weight) + np.minimum(texture * light, 255) * weight, 0, 255).astype(np.uint8)

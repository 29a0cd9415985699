"""Paint a mask on a portrait: cloth with folds, a seam, shading, ear loops and a shadow on the skin."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes.cutout import rounded
from benchmarks.scenes.portraits import Anatomy, Portrait
from edge_agent.types import Image, Verdict

FloatMap = NDArray[np.float32]
Outline = tuple[tuple[float, float], ...]

#: Colours of masks that are sold, BGR.
COLOURS: dict[str, tuple[int, int, int]] = {
    "surgical": (205, 182, 130),
    "white": (236, 238, 238),
    "black": (42, 38, 38),
    "grey": (150, 146, 142),
    "pink": (185, 170, 228),
}

#: Half of the outline, from the middle of the upper edge to the middle of the lower: sideways in half widths
#: of the jaw, downwards from the eyes (0) to the chin (1).
_OVER_NOSE = ((0.0, 0.17), (0.16, 0.19), (0.42, 0.29), (0.75, 0.35), (1.0, 0.37), (1.03, 0.62), (0.9, 0.86),
              (0.58, 1.06), (0.25, 1.13), (0.0, 1.14))
_UNDER_NOSE = ((0.0, 0.455), (0.25, 0.45), (0.55, 0.44), (0.8, 0.46), (1.0, 0.5), (1.02, 0.72), (0.9, 0.94),
               (0.58, 1.12), (0.25, 1.19), (0.0, 1.2))


@dataclass(frozen=True)
class _Axes:
    """Maps from pixels to the face's own coordinates (see `_OVER_NOSE`)."""

    origin: NDArray[np.float64]
    across: NDArray[np.float64]
    down: NDArray[np.float64]

    @classmethod
    def of(cls, face: Anatomy) -> _Axes:
        eyes = (np.array(face.left_eye) + np.array(face.right_eye)) / 2
        return cls(eyes, (np.array(face.right_jaw) - np.array(face.left_jaw)) / 2, np.array(face.chin) - eyes)

    def points(self, sideways: NDArray[np.float64], downwards: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.origin + sideways[:, None] * self.across + downwards[:, None] * self.down)

    def maps(self, shape: tuple[int, int]) -> tuple[FloatMap, FloatMap]:
        rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
        inverse = np.linalg.inv(np.column_stack([self.across, self.down]))
        x, y = columns - self.origin[0], rows - self.origin[1]
        return (
            np.asarray(inverse[0, 0] * x + inverse[0, 1] * y, np.float32),
            np.asarray(inverse[1, 0] * x + inverse[1, 1] * y, np.float32),
        )


def wearing(portrait: Portrait, worn: Verdict, colour: str = "surgical", seed: int = 0) -> Portrait:
    """The same person with a painted mask.

    Args:
        portrait: a portrait without a mask whose anatomy is known.
        worn: `MASK` covers nose, mouth and chin, `INCORRECT` leaves the nose free, `NO_MASK` paints nothing.
        colour: a key of `COLOURS`.
        seed: of the weave and of small differences in how the mask sits.

    Raises:
        ValueError: the anatomy is unknown, the person already wears a mask, or the colour does not exist.
    """
    if worn is Verdict.NO_MASK:
        return portrait
    if portrait.anatomy is None or portrait.worn is not Verdict.NO_MASK:
        raise ValueError(f"{portrait.name}: a mask can be painted only on a bare face whose anatomy is known")
    if colour not in COLOURS:
        raise ValueError(f"no mask of colour {colour!r}; there are {', '.join(COLOURS)}")
    rng = np.random.default_rng(seed)
    outline = _OVER_NOSE if worn is Verdict.MASK else _UNDER_NOSE
    image = _paint(portrait.image, portrait.anatomy, outline, COLOURS[colour], rng)
    return replace(portrait, name=f"{portrait.name}-{worn.value}-{colour}", image=image, worn=worn)


def _paint(
    image: Image,
    face: Anatomy,
    half: Outline,
    colour: tuple[int, int, int],
    rng: np.random.Generator,
) -> Image:
    axes = _Axes.of(face)
    sideways, downwards = axes.maps((image.shape[0], image.shape[1]))
    # The middle line of the mask goes over the tip of the nose, wherever the head is turned.
    nose = float(sideways[int(face.nose[1]), int(face.nose[0])])
    size = float(np.linalg.norm(axes.down))
    cover = _smooth_shape(image, axes, half, nose)

    work = image.astype(np.float32)
    _shadow(work, cover, size)
    _loops(work, axes, half, colour, size)

    middle = nose * np.clip(1.3 - np.abs(downwards - 0.35), 0, 1)
    round_face = 1.06 - 0.34 * np.abs(sideways - middle) ** 2.2
    top = half[0][1]
    ridge = 0.10 * np.exp(-((sideways - middle) ** 2) / 0.02 - ((downwards - top - 0.18) ** 2) / 0.03)
    below = 0.16 * np.clip((downwards - 0.85) / 0.3, 0, 1)
    folds = sum(
        0.07 * np.exp(-((downwards - height - 0.05 * sideways**2) ** 2) / 0.0006)
        - 0.05 * np.exp(-((downwards - height - 0.035 - 0.05 * sideways**2) ** 2) / 0.0006)
        for height in np.linspace(top + 0.28, 0.92, 3) + rng.normal(0, 0.012, 3)
    )
    weave = cv2.GaussianBlur(rng.normal(0, 1, cover.shape).astype(np.float32), (0, 0), 0.8) * 0.03
    inside = cv2.erode(cover, np.ones((3, 3)), iterations=max(round(size * 0.022), 1))
    seam = 0.10 * (cover - inside)
    # The cloth takes the light that falls on the face it covers.
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), size * 0.4)
    light = np.clip(grey / max(float(grey[cover > 0.5].mean()), 1.0), 0.75, 1.15)
    shade = np.clip((round_face + ridge - below - folds + weave - seam) * light, 0.2, 1.25)
    cloth = np.array(colour, np.float32) * shade[..., None]
    weight = cv2.GaussianBlur(cover, (0, 0), 0.7)[..., None]
    return np.asarray(np.clip(work * (1 - weight) + cloth * weight, 0, 255), dtype=np.uint8)


def _smooth_shape(image: Image, axes: _Axes, half: Outline, nose: float) -> FloatMap:
    """1 where cloth covers the photo, else 0; edges anti-aliased."""
    corners = np.array([*half, *[(-x, y) for x, y in half[-2:0:-1]]])
    corners[:, 0] += nose * np.clip(1 - np.abs(corners[:, 0]), 0, 1)
    corners = rounded(corners, 3)
    shape = np.zeros(image.shape[:2], np.uint8)
    points = axes.points(corners[:, 0], corners[:, 1])
    cv2.fillPoly(shape, [np.round(points * 16).astype(np.int32)], (255,), cv2.LINE_AA, shift=4)
    return shape.astype(np.float32) / 255


def _shadow(work: FloatMap, cover: FloatMap, size: float) -> None:
    """Darken the skin just outside the cloth, most of all below it."""
    below = np.roll(cv2.GaussianBlur(cover, (0, 0), size * 0.035), round(size * 0.04), axis=0)
    work *= (1 - 0.35 * np.clip(below, 0, 1))[..., None]


def _loops(
    work: FloatMap, axes: _Axes, half: Outline, colour: tuple[int, int, int], size: float
) -> None:
    """Elastic from the upper and lower corners of the cloth to the ears."""
    upper = max(half, key=lambda point: point[0] - point[1])
    lower = half[-4]
    strap = np.array([min(0.55 * value + 90, 245) for value in colour], np.float32)
    layer = np.zeros(work.shape[:2], np.uint8)
    for side in (-1.0, 1.0):
        for corner, ear in ((upper, (1.07, 0.15)), (lower, (1.08, 0.34))):
            bend = ((corner[0] + ear[0]) / 2 + 0.02, (corner[1] + ear[1]) / 2 + 0.03)
            line = np.array([corner, bend, ear]) * (side, 1.0)
            points = np.round(axes.points(line[:, 0], line[:, 1]) * 16).astype(np.int32)
            cv2.polylines(layer, [points], False, (255,), max(round(size * 0.022), 1), cv2.LINE_AA, shift=4)
    weight = layer.astype(np.float32)[..., None] / 255
    work *= 1 - weight
    work += strap * weight

"""Masks painted on bare faces, so that the gender network learns to do without nose and mouth.

A network trained on one template recognises the template: shape, colour, cloth and light are drawn anew for
every face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

#: Colours seen at entrances, BGR: surgical blues and greens, white, black, grey, FFP2 off-white, pink.
_PALETTE = np.array(
    [
        (215, 190, 140), (225, 205, 165), (200, 160, 110), (190, 200, 150), (240, 240, 240), (225, 228, 230),
        (40, 38, 36), (25, 25, 25), (120, 115, 110), (80, 60, 45), (205, 190, 225), (60, 60, 150),
    ],
    dtype=np.float32,
)  # fmt: skip


@dataclass(frozen=True)
class FaceFrame:
    """Axes of a face: origin between the eyes, ``u`` along them to the image's right, ``v`` to the chin."""

    origin: NDArray[np.float32]
    u: NDArray[np.float32]
    v: NDArray[np.float32]
    depth: float
    """Distance of the mouth from the eyes along ``v``, in pixels."""
    left: float
    """Where the face ends on the image's left, along ``u``, in pixels (negative)."""
    right: float
    """Where the face ends on the image's right, along ``u``, in pixels."""
    nose: float
    """Nose tip along ``u``, in pixels."""

    @classmethod
    def of(cls, box: Sequence[float], landmarks: NDArray[np.float32]) -> FaceFrame | None:
        """From a face box and five landmarks ``(5, 2)``; None where they are too degenerate to paint on.

        Landmarks are the subject's right eye, left eye, nose tip, right and left mouth corner, in pixels.
        """
        eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:5].mean(axis=0)
        down = mouth - eyes
        across = landmarks[1] - landmarks[0]
        if np.hypot(*down) < 4 or np.hypot(*across) < 1:
            return None
        # A turned head shortens the line between the eyes: the longer of the two lines tells the roll better.
        v = down / np.hypot(*down)
        if np.hypot(*across) > 0.7 * np.hypot(*down):
            v = v + np.array([-across[1], across[0]]) / np.hypot(*across)
            v = v / np.hypot(*v)
        u = np.array([v[1], -v[0]])
        middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]) - eyes
        half = (box[2] - box[0]) / 2
        centre = float(middle @ u)
        return cls(
            origin=eyes.astype(np.float32),
            u=u.astype(np.float32),
            v=v.astype(np.float32),
            depth=float(down @ v),
            left=min(centre - half, -2.0),
            right=max(centre + half, 2.0),
            nose=float((landmarks[2] - eyes) @ u),
        )

    def to_image(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points ``(n, 2)`` given as (u, v) in pixels of the face frame, in pixels of the image."""
        return np.asarray(self.origin + points[:, :1] * self.u + points[:, 1:] * self.v, np.float32)


def paint_mask(
    image_bgr: NDArray[np.uint8],
    box: Sequence[float],
    landmarks: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """A copy of a photo whose face wears a random mask.

    Args:
        image_bgr: ``(height, width, 3)`` uint8, BGR.
        box: the face's ``x1, y1, x2, y2`` in pixels.
        landmarks: ``(5, 2)`` float32 pixels, in the order of :meth:`FaceFrame.of`.
        rng: source of every choice: the same state paints the same mask.

    Returns:
        ``(height, width, 3)`` uint8, BGR; an unchanged copy where the landmarks make no face.
    """
    frame = FaceFrame.of(box, landmarks)
    if frame is None:
        return image_bgr.copy()
    outline = frame.to_image(_outline(frame, rng))
    painted = image_bgr.copy()
    height, width = image_bgr.shape[:2]
    # Only the part around the mask is worked on, two pixels wider for the blur of its edge.
    left, top = np.clip(np.floor(outline.min(axis=0)) - 2, 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(outline.max(axis=0)) + 2, 0, (width, height)).astype(int)
    part = painted[top:bottom, left:right]
    if part.size == 0:
        return painted
    light = _light(part)
    colour = _colour(rng)
    if rng.random() < 0.6:
        _straps(painted, frame, colour * light, rng)
    cover = np.zeros(part.shape[:2], np.uint8)
    corner = np.array([left, top], np.float32)
    # Three fractional bits keep the edge where it belongs at this small size.
    cv2.fillPoly(cover, [np.round((outline - corner) * 8).astype(np.int32)], (255,), cv2.LINE_AA, 3)
    alpha = cv2.GaussianBlur(cover, (3, 3), 0).astype(np.float32)[..., None] * (rng.uniform(0.93, 1.0) / 255)
    cloth = _cloth(part.shape[:2], frame.origin - corner, frame, colour, rng) * light
    part[:] = np.clip(part * (1 - alpha) + cloth * alpha, 0, 255)
    return painted


def _outline(frame: FaceFrame, rng: np.random.Generator) -> NDArray[np.float32]:
    """The mask's edge in the face frame, ``(n, 2)`` pixels, smoothed."""
    depth = frame.depth
    # Worn right it starts high on the nose; one in eight has slipped under the tip.
    top = rng.uniform(0.55, 0.75) if rng.random() < 0.12 else rng.uniform(0.12, 0.45)
    cheek = top + rng.uniform(0.02, 0.25)
    side = cheek + rng.uniform(0.1, 0.3)
    jaw = rng.uniform(0.95, 1.35)
    chin = rng.uniform(1.5, 1.9)
    reach = rng.uniform(0.86, 1.02)
    middle = 0.7 * frame.nose
    points = [(middle, top)]
    for edge in (frame.right, frame.left):
        part = [
            (middle + (edge - middle) * 0.45, (top + cheek) / 2 + rng.uniform(-0.04, 0.06)),
            (edge * reach, side),
            (edge * reach * rng.uniform(0.9, 0.98), jaw),
            (edge * rng.uniform(0.45, 0.65), chin - rng.uniform(0.05, 0.25)),
        ]
        points.extend(part if edge > 0 else [(middle * 0.5, chin), *reversed(part)])
    polygon = np.array(points, dtype=np.float32) * np.array([1.0, depth], dtype=np.float32)
    for _ in range(int(rng.integers(1, 3))):  # Chaikin's corner cutting
        following = np.roll(polygon, -1, axis=0)
        polygon = np.stack([0.75 * polygon + 0.25 * following, 0.25 * polygon + 0.75 * following], 1).reshape(-1, 2)
    return polygon


def _colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """A BGR colour, ``(3,)`` float32, 0–255: mostly one that is sold, now and then any."""
    if rng.random() < 0.75:
        base = _PALETTE[int(rng.integers(len(_PALETTE)))]
        return np.asarray(np.clip(base + rng.normal(0, 12, 3), 8, 250), np.float32)
    return rng.uniform(10, 245, 3).astype(np.float32)


def _light(skin: NDArray[np.uint8]) -> float:
    """How bright cloth is in this photo: from the skin that the mask will cover, ``(height, width, 3)``."""
    return float(np.clip(np.percentile(skin[::3, ::3], 85) / 185, 0.25, 1.15))


def _cloth(
    shape: tuple[int, ...],
    origin: NDArray[np.float32],
    frame: FaceFrame,
    colour: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Colour, weave and folds before the light, ``(height, width, 3)`` float32; ``origin`` is the frame's there."""
    rows = np.arange(shape[0], dtype=np.float32)[:, None] - origin[1]
    columns = np.arange(shape[1], dtype=np.float32)[None, :] - origin[0]
    across = columns * frame.u[0] + rows * frame.u[1]
    down = columns * frame.v[0] + rows * frame.v[1]
    half = (frame.right - frame.left) / 2
    bend = np.abs((across - 0.7 * frame.nose) / half)
    shade = 1.05 - rng.uniform(0.1, 0.45) * np.minimum(bend, 1.2) ** 2
    shade = shade + rng.uniform(-0.15, 0.15) * across / half
    kind = rng.random()
    second = colour
    pattern: NDArray[np.bool_] | None = None
    if kind < 0.35:  # pleats of a surgical mask
        period = frame.depth * rng.uniform(0.25, 0.45)
        fold = np.mod(down + rng.uniform(0, period), period) / period
        shade = shade * (1 - rng.uniform(0.05, 0.25) * np.exp(-((fold - 0.5) ** 2) * 60))
    elif kind < 0.5:  # the seam of a cup
        shade = shade * (1 - rng.uniform(0.05, 0.2) * np.exp(-((across - 0.7 * frame.nose) ** 2) / 8))
    elif kind < 0.75:  # printed cloth: stripes, checks, dots or blotches
        second = _colour(rng)
        period = frame.depth * rng.uniform(0.12, 0.5)
        angle = rng.uniform(0, np.pi)
        one = np.sin(2 * np.pi * (across * np.cos(angle) + down * np.sin(angle)) / period)
        two = np.sin(2 * np.pi * (across * np.sin(angle) - down * np.cos(angle)) / period)
        choice = int(rng.integers(4))
        if choice == 3:
            coarse = rng.random((int(rng.integers(6, 24)), int(rng.integers(6, 24)))).astype(np.float32)
            pattern = np.asarray(cv2.resize(coarse, (shape[1], shape[0]))) > rng.uniform(0.4, 0.65)
        else:
            pattern = (one > 0, one * two > 0, one + two > 1.0)[choice]
    grain = rng.standard_normal((*shape, 1), dtype=np.float32) * rng.uniform(0, 5)
    cloth = colour if pattern is None else np.where(pattern[..., None], second, colour)
    result = cloth * np.clip(shade, 0.15, 1.3)[..., None] + grain
    return np.asarray(result, dtype=np.float32)


def _straps(
    image: NDArray[np.uint8], frame: FaceFrame, colour: NDArray[np.float32], rng: np.random.Generator
) -> None:
    """Draw straps from the mask's sides to where the ears are, in place."""
    shade = tuple(float(value) for value in np.clip(colour * rng.uniform(0.8, 1.2), 0, 255))
    thickness = 1 if rng.random() < 0.7 else 2
    for side in (frame.left, frame.right):
        for start, end in ((0.5, rng.uniform(-0.05, 0.3)), (1.15, rng.uniform(0.5, 0.9))):
            line = frame.to_image(
                np.array([[side * 0.9, start * frame.depth], [side * 1.12, end * frame.depth]], np.float32)
            )
            first, last = (tuple(int(v) for v in np.round(point * 8)) for point in line)
            cv2.line(image, first, last, shade, thickness, cv2.LINE_AA, 3)

"""Faces put together of two of one sex: a label that stays true, on more faces than there are photos.

The other face is laid upon the first by their landmarks, and takes its place above or below a line, on one side of
one, or around or within the face. It looks the same way, else the seam would cut through a nose.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.gender.records import CACHE_SIDE, Faces

#: Of the partners, those of the same race and age group, whose labels of these stay true, too.
_ALIKE = 0.6
#: How differently the two may be turned, as the nose's way from the middle in distances of the eyes; the second
#: where there are partners enough to choose.
_TURN_ALIKE, _TURN = 0.15, 0.06
#: With fewer partners that look the same way it would be the same few again and again.
_FEWEST = 4
#: Right eye, left eye, nose, right and left mouth corner, of a mirrored face.
_MIRRORED = [1, 0, 2, 4, 3]


@dataclass(frozen=True)
class Combined:
    """A face of two."""

    image: NDArray[np.uint8]
    """``(160, 160, 3)`` BGR, on the first one's frame: its boxes and landmarks still hold."""
    partner: int
    """The other photo."""
    share: float
    """Part of the face that is of the first, 0 to 1."""
    alike: bool
    """Whether the two are of one race and age group."""


class Recombiner:
    """Finds partners among the photos trained on."""

    def __init__(self, faces: Faces, indices: NDArray[np.int64]) -> None:
        """``indices``: the photos that may be partners; of those without landmarks none is one, nor gets one."""
        self._faces = faces
        known = indices[np.isfinite(faces.landmarks[indices]).all(axis=(1, 2))]
        self._turn = dict(zip(known.tolist(), _turns(faces.landmarks[known]).tolist(), strict=True))
        self._alike = self._sorted(known, np.stack((faces.sex, faces.race, faces.age), axis=1))
        self._any = self._sorted(known, faces.sex[:, None])

    def _sorted(
        self, known: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> dict[tuple[int, ...], tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """By label, the photos and their turns, in the order of these."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for index in sorted(known.tolist(), key=self._turn.__getitem__):
            groups.setdefault(tuple(labels[index].tolist()), []).append(index)
        return {
            label: (np.array(members), np.array([self._turn[member] for member in members]))
            for label, members in groups.items()
        }

    def combine(self, index: int, rng: np.random.Generator) -> Combined | None:
        """Put a photo together with a partner; None if it has no landmarks, or no fitting partner was drawn."""
        turn = self._turn.get(index)
        if turn is None:
            return None
        faces, alike, mirror = self._faces, bool(rng.random() < _ALIKE), bool(rng.random() < 0.5)
        if alike:
            members, turns = self._alike[int(faces.sex[index]), int(faces.race[index]), int(faces.age[index])]
        else:
            members, turns = self._any[(int(faces.sex[index]),)]
        wanted, tolerance = -turn if mirror else turn, _TURN_ALIKE if alike else _TURN
        first, last = np.searchsorted(turns, (wanted - tolerance, wanted + tolerance))
        if last - first < _FEWEST:
            return None
        partner = int(members[int(rng.integers(first, last))])
        other = self._laid_upon(index, partner, mirror=mirror) if partner != index else None
        if other is None:
            return None
        image = np.asarray(faces.pixels[index], np.float32)
        sideways, downwards = _face_axes(faces.landmarks[index])
        kept = _kept(sideways, downwards, rng)
        if rng.random() < 0.8:  # lit alike; else the net may learn to live with the difference
            middle = (abs(sideways) < 0.9) & (downwards > -0.4) & (downwards < 1.3)
            if middle.any():
                gain = image[middle].mean(axis=0) / np.maximum(other[middle].mean(axis=0), 4)
                other = np.clip(other * np.clip(gain, 0.5, 2), 0, 255)
        face = (abs(sideways) < 1.1) & (downwards > -0.9) & (downwards < 2)
        share = float(kept[face].mean()) if face.any() else 1.0
        mixed = image * kept[..., None] + other * (1 - kept[..., None])
        return Combined(mixed.astype(np.uint8), partner, share, alike)

    def _laid_upon(self, index: int, partner: int, *, mirror: bool) -> NDArray[np.float32] | None:
        """The partner's photo, float32, moved so that its landmarks lie on the other's; None if it would be blown
        up or shrunk too much."""
        pixels, points = np.asarray(self._faces.pixels[partner]), self._faces.landmarks[partner]
        if mirror:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
            points = (points * (-1, 1) + (CACHE_SIDE - 1, 0))[_MIRRORED]
        move, _ = cv2.estimateAffinePartial2D(
            points.astype(np.float32), self._faces.landmarks[index].astype(np.float32), method=cv2.LMEDS
        )
        if move is None or not 0.5 < float(np.hypot(move[0, 0], move[1, 0])) < 2:
            return None
        side = (CACHE_SIDE, CACHE_SIDE)
        return np.asarray(cv2.warpAffine(pixels, move, side, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _turns(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far faces look to a side, ``(n,)``: the nose's way from between eyes and mouth, in eye distances."""
    eyes, mouth = landmarks[:, :2].mean(axis=1), landmarks[:, 3:].mean(axis=1)
    across = (landmarks[:, 1] - landmarks[:, 0]).astype(np.float64)
    apart = np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1)
    ways = landmarks[:, 2] - (eyes + mouth) / 2
    return np.asarray((ways * across / apart).sum(axis=1) / apart[:, 0], np.float64)


def _face_axes(landmarks: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each pixel, its place sideways, in eye distances, and downwards, 0 between the eyes, 1 at the mouth."""
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    down, eye_line = (mouth - eyes).astype(np.float64), landmarks[1] - landmarks[0]
    length = max(float(np.linalg.norm(down)), 1.0)
    across = np.array((down[1], -down[0])) / length
    if across @ eye_line < 0:
        across = -across
    y, x = np.mgrid[:CACHE_SIDE, :CACHE_SIDE]
    place = np.stack((x, y), axis=-1) - eyes
    return place @ across / max(float(np.linalg.norm(eye_line)), 0.45 * length), place @ down / length**2


def _kept(
    sideways: NDArray[np.float64], downwards: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """How much of the first face each pixel keeps, 0 to 1, with a soft seam."""
    kind, soft, swap = rng.random(), rng.uniform(0.03, 0.15), rng.random() < 0.5
    if kind < 0.4:  # above or below a line
        distance = downwards - rng.uniform(-0.2, 0.8) - rng.uniform(-0.15, 0.15) * sideways
    elif kind < 0.65:  # on one side of any line through the middle
        angle = rng.uniform(0, 2 * np.pi)
        distance = np.cos(angle) * sideways + np.sin(angle) * (downwards - 0.5) - rng.uniform(-0.3, 0.3)
    else:  # within the face or around it
        width, top, bottom = 1.15 * rng.uniform(0.85, 1.2), -0.9 * rng.uniform(0.7, 1.2), 2 * rng.uniform(0.85, 1.1)
        middle, half = (top + bottom) / 2, (bottom - top) / 2
        distance = 1 - np.hypot(sideways / width, (downwards - middle) / half)
    steepness = np.clip((-distance if swap else distance) / soft, -30, 30)
    return np.asarray(1 / (1 + np.exp(-steepness)), np.float64)

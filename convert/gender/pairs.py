"""Faces put together of two photos that are described as if they were photos themselves.

A network that tells people apart can say of any face what it makes of it, also of one that nobody has: so there are
more faces to learn from than there are photos. They have no label, for the two need not be of one sex.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from convert.errors import ConvertError
from convert.gender.recombine import Combined, Recombiner
from convert.gender.records import UNKNOWN, Faces
from convert.progress import track

#: Parts of the photos trained on; both photos of a pair are of one part, so that a classifier that was trained
#: without that part knows neither.
FOLDS = 5
#: Least and most that may be of the first photo, else only one of the two is to be seen.
_SHARES = (0.1, 0.93)
_SEED = 2026
#: Pairs that are put together at once, to see that they are still the same.
_LOOKED_AT = 20
#: Most pairs that one photo may be the first of.
_ROUNDS = 20


@dataclass(frozen=True)
class Pairs:
    """Which faces are put together, and how; each is the same whenever it is asked for."""

    first: NDArray[np.int64]
    """``(m,)`` the photos on whose frame they are."""
    draws: NDArray[np.int64]
    """``(m,)`` what the partner and the seam are drawn from."""
    partner: NDArray[np.int64]
    """``(m,)`` who came of it: what was said of a pair is of no use if it is another one by now."""

    @classmethod
    def none(cls) -> Pairs:
        return cls(*np.zeros((3, 0), np.int64))


def drawn(faces: Faces, count: int) -> Pairs:
    """Draw ``count`` pairs among the photos trained on, each photo about as often as any other the first.

    Raises:
        ConvertError: too few photos fit together.
    """
    found = list(track(islice(_fitting(faces), count), "pairs", total=count))
    if len(found) < count:
        raise ConvertError(f"only {len(found)} of {count} faces could be put together; ask for fewer --pairs")
    return Pairs(*np.array(found, np.int64).reshape(-1, 3).T)


def _fitting(faces: Faces) -> Iterator[tuple[int, int, int]]:
    """First photo, draw and partner of ever more pairs, until each photo was tried often."""
    recombiner, rng = _recombiner(faces), np.random.default_rng(_SEED)
    draw = 0
    for _ in range(_ROUNDS):
        for first in rng.permutation(faces.split("train")).tolist():
            draw += 1
            combined = _put_together(recombiner, first, draw)
            if combined is not None:
                yield first, draw, combined.partner


def with_pairs(faces: Faces, pairs: Pairs) -> Faces:
    """The photos, and behind them the pairs as if they were photos, made whenever they are looked at.

    Boxes and landmarks are those of the first photo, as is the split; a label has none of them.

    Raises:
        ConvertError: other faces come of the draws than did when they were described.
    """
    first = pairs.first
    pixels = _Pixels(faces, pairs)
    for pair in range(min(len(first), _LOOKED_AT)):
        pixels[len(faces.files) + pair]  # told now, not by the process that cuts faces
    unknown = np.full(len(first), UNKNOWN)
    return replace(
        faces,
        files=[*faces.files, *(f"pair {draw}" for draw in pairs.draws.tolist())],
        pixels=pixels,
        boxes=np.concatenate((faces.boxes, faces.boxes[first])),
        device_boxes=np.concatenate((faces.device_boxes, faces.device_boxes[first])),
        landmarks=np.concatenate((faces.landmarks, faces.landmarks[first])),
        sex=np.concatenate((faces.sex, unknown)),
        age=np.concatenate((faces.age, unknown)),
        race=np.concatenate((faces.race, unknown)),
        bucket=np.concatenate((faces.bucket, faces.bucket[first])),
    )


class _Pixels:
    """Of photos and, behind them, of pairs."""

    def __init__(self, faces: Faces, pairs: Pairs) -> None:
        self._photos = faces.pixels
        self._count = len(faces.files)
        self._recombiner = _recombiner(faces)
        self._pairs = pairs

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """One of them, ``(160, 160, 3)`` BGR."""
        if index < self._count:
            return self._photos[index]
        pair = index - self._count
        combined = _put_together(self._recombiner, int(self._pairs.first[pair]), int(self._pairs.draws[pair]))
        if combined is None or combined.partner != self._pairs.partner[pair]:
            raise ConvertError("the lessons are of pairs that are others by now; run describe-gender again")
        return combined.image


def _recombiner(faces: Faces) -> Recombiner:
    return Recombiner(faces, faces.split("train"), faces.bucket % FOLDS)


def _put_together(recombiner: Recombiner, first: int, draw: int) -> Combined | None:
    combined = recombiner.combine(first, np.random.default_rng((_SEED, draw)))
    return combined if combined is not None and _SHARES[0] < combined.share < _SHARES[1] else None

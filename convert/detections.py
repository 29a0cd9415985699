"""``faces.jsonl``: the faces that a detector found in the photos of a dataset.

One object a line, ``{"file", "faces": [{"box", "score", "landmarks"}]}``, in pixels of the photo; ``score`` and
``landmarks`` (the subject's right eye, left eye, nose tip, right and left corner of the mouth) may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert import tables
from convert.errors import ConvertError

NAME = "faces.jsonl"
Box = tuple[float, float, float, float]
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Found:
    """One face in a photo."""

    box: Box
    """x1, y1, x2, y2."""
    landmarks: Points | None = None
    """Five, x and y; None where the detector gives none."""
    score: float | None = None


def read(path: Path, *, containing: str = "", scored: bool = False) -> Iterator[tuple[str, list[Found]]]:
    """The photos, as they are called in the file, and the faces of each.

    Args:
        path: the file.
        containing: only lines with this text are read.
        scored: every face must have a score.

    Raises:
        ConvertError: the file is missing, or a line cannot be understood.
    """
    for number, entry in tables.lines(path, containing):
        try:
            file, faces = entry["file"], [_found(face, scored=scored) for face in entry["faces"]]
            if not isinstance(file, str):
                raise TypeError("its file is no name")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConvertError(f"{path}, line {number}: not the faces of a photo ({error!r})") from error
        yield file, faces


def _found(face: Mapping[str, Any], *, scored: bool) -> Found:
    x1, y1, x2, y2 = (float(value) for value in face["box"])
    points = tuple((float(x), float(y)) for x, y in face.get("landmarks") or ())
    if len(points) not in (0, 5):
        raise ValueError(f"{len(points)} landmarks instead of five")
    score = float(face["score"]) if scored or face.get("score") is not None else None
    return Found((x1, y1, x2, y2), points or None, score)

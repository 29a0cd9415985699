"""Faces to make films from: two public-domain portraits that packages ship, or a folder of photos."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from edge_agent.types import Box, Image, Verdict

Point = tuple[float, float]


class PortraitError(Exception):
    """A portrait is not there; the message says which package or folder to provide."""


@dataclass(frozen=True)
class Anatomy:
    """Where the parts of a face are, in pixels of its photo; left and right as the viewer sees them."""

    left_eye: Point
    right_eye: Point
    nose: Point
    chin: Point
    left_jaw: Point
    right_jaw: Point
    """The edge of the face beside the mouth."""


@dataclass(frozen=True)
class Portrait:
    """One photo of one person.

    ``image`` is H×W×3 uint8 BGR; ``box`` the face from brow to chin in its pixels; ``worn`` what the person
    in the photo wears. ``anatomy`` is known of the bundled portraits only: masks are painted with it.
    """

    name: str
    image: Image
    box: Box
    worn: Verdict
    anatomy: Anatomy | None = None
    outline: tuple[Point, ...] = ()
    """Corners of head and shoulders, down to the photo's lower edge, to cut the figure out along."""


#: Both photos are works of the United States government and in the public domain; their sources are in
#: `edge_agent/assets/README.md`. The points of the face and the outline were measured by hand, in pixels.
_BUNDLED = Path(__file__).with_name("portraits.json")


def bundled_portraits() -> list[Portrait]:
    """Eileen Collins (NASA) and Grace Hopper (US Navy), both without a mask.

    Raises:
        PortraitError: neither scikit-image nor matplotlib is installed.
    """
    portraits = []
    for name, entry in json.loads(_BUNDLED.read_text(encoding="utf-8")).items():
        spec = find_spec(entry["package"])
        if spec is None or spec.origin is None:
            continue
        image = cv2.imread(str(Path(spec.origin).parent / entry["file"]), cv2.IMREAD_COLOR)
        if image is None:
            continue
        anatomy = Anatomy(**{part: (x, y) for part, (x, y) in entry["anatomy"].items()})
        outline = tuple((x, y) for x, y in entry["outline"])
        pixels = image.astype(np.uint8)
        portraits.append(Portrait(name, pixels, Box(*entry["box"]), Verdict.NO_MASK, anatomy, outline))
    if not portraits:
        raise PortraitError("no portrait found: pip install scikit-image matplotlib")
    return portraits


def flipped(portrait: Portrait) -> Portrait:
    """The same person mirrored."""
    width = portrait.image.shape[1]
    image: Image = np.ascontiguousarray(portrait.image[:, ::-1])
    moved = _moved(portrait, image, lambda point: (width - 1 - point[0], point[1]))
    face = moved.anatomy
    if face is not None:
        face = Anatomy(face.right_eye, face.left_eye, face.nose, face.chin, face.right_jaw, face.left_jaw)
    return replace(moved, name=f"{portrait.name}-flipped", anatomy=face)


def scaled(portrait: Portrait, factor: float) -> Portrait:
    """The same portrait, ``factor`` times as wide and high."""
    if factor == 1.0:
        return portrait
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    image = cv2.resize(portrait.image, None, fx=factor, fy=factor, interpolation=method).astype(np.uint8)
    return _moved(portrait, image, lambda point: (point[0] * factor, point[1] * factor))


def _moved(portrait: Portrait, image: Image, move: Callable[[Point], Point]) -> Portrait:
    """The portrait with another picture, in which each point has been moved."""
    face, box = portrait.anatomy, portrait.box
    if face is not None:
        face = Anatomy(*(move(getattr(face, part.name)) for part in fields(face)))
    (x1, y1), (x2, y2) = move((box.x1, box.y1)), move((box.x2, box.y2))
    return replace(
        portrait,
        image=image,
        box=Box(min(x1, x2), y1, max(x1, x2), y2),
        anatomy=face,
        outline=tuple(move(point) for point in portrait.outline),
    )

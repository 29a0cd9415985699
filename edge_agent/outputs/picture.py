"""The picture of a violation: its box drawn, the faces of everybody else made unrecognisable, bounded in size."""

from __future__ import annotations

import math

import cv2
import numpy as np

from edge_agent.types import Box, Frame, Image, Verdict, Violation

_COLOURS = {Verdict.NO_MASK: (40, 40, 220), Verdict.INCORRECT: (0, 150, 255)}  # BGR
_BLUR_MARGIN = 0.25
"""A face is hidden with this share of its size more on each side: hair, ears and a box that sits badly."""
_BLUR_CELLS = 5
"""A hidden face is averaged down to at most this many cells a side; what lay between them is gone for good."""
_QUALITY_STEP = 10
_LOWEST_QUALITY = 10
_SHRINK = 0.75


def render(frame: Frame, violation: Violation, others: tuple[Box, ...], max_width: int) -> Image:
    """A copy of the frame, at most `max_width` pixels wide, with the violation's box and `others` hidden.

    `others` are in pixels of the frame. Where a hidden face and the violator's overlap, hiding wins.
    """
    height, width = frame.image.shape[:2]
    scale = min(1.0, max_width / width)
    if scale < 1.0:
        image = _resized(frame.image, max(1, round(width * scale)), max(1, round(height * scale)))
    else:
        image = frame.image.copy()
    for box in others:
        hide(image, Box(*(scale * value for value in box)))
    _draw_box(image, violation)
    return image


def hide(image: Image, box: Box) -> None:
    """Make a face unrecognisable in place: averaged to a few cells, then blurred so that these do not show.

    `box` in pixels of `image`; it may reach beyond the picture. The averages are all that is left of the
    face, so no filter can bring it back.
    """
    if not all(map(math.isfinite, box)):
        return
    height, width = image.shape[:2]
    dx, dy = _BLUR_MARGIN * box.width, _BLUR_MARGIN * box.height
    x1, y1 = max(0, math.floor(box.x1 - dx)), max(0, math.floor(box.y1 - dy))
    x2, y2 = min(width, math.ceil(box.x2 + dx)), min(height, math.ceil(box.y2 + dy))
    if x1 >= x2 or y1 >= y2:
        return
    size = (x2 - x1, y2 - y1)
    cells = (min(_BLUR_CELLS, size[0]), min(_BLUR_CELLS, size[1]))
    # INTER_AREA averages whole cells; any other filter would sample single pixels of the face.
    small = cv2.resize(image[y1:y2, x1:x2], cells, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(small, size, interpolation=cv2.INTER_NEAREST)
    image[y1:y2, x1:x2] = cv2.GaussianBlur(coarse, (0, 0), sigmaX=max(1.0, max(size) / (2 * _BLUR_CELLS)))


def encode(image: Image, quality: int, max_bytes: int) -> bytes:
    """JPEG of at most `max_bytes`: first the quality is lowered step by step, then the size.

    `image`: H×W×3, uint8, BGR. Raises ValueError if it can't be encoded.
    """
    while True:
        for attempt in range(quality, min(quality, _LOWEST_QUALITY) - 1, -_QUALITY_STEP):
            jpeg = jpeg_of(image, attempt)
            if len(jpeg) <= max_bytes:
                return jpeg
        height, width = image.shape[:2]
        if max(height, width) == 1:
            raise ValueError(f"no picture fits into {max_bytes} bytes")
        image = _resized(image, max(1, int(width * _SHRINK)), max(1, int(height * _SHRINK)))


def jpeg_of(image: Image, quality: int) -> bytes:
    """JPEG without any metadata. `image`: H×W×3, uint8, BGR. Raises ValueError if it can't be encoded."""
    try:
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise ValueError(f"the picture can't be encoded: {error}") from error
    if not done:
        raise ValueError("the picture can't be encoded")
    return data.tobytes()


def _resized(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _draw_box(image: Image, violation: Violation) -> None:
    height, width = image.shape[:2]
    x1, y1, x2, y2 = violation.box
    thickness = max(1, round(width / 300))
    cv2.rectangle(
        image,
        (round(x1 * width), round(y1 * height)),
        (round(x2 * width), round(y2 * height)),
        _COLOURS.get(violation.kind, _COLOURS[Verdict.NO_MASK]),
        thickness,
    )

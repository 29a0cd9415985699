"""Where the face net that ships sees the faces of the training photos: the device cuts there, and nowhere else."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.finder import Finder, fingerprint, nearest
from convert.progress import track

_log = logging.getLogger(__name__)
#: Height and width of the grey frame that a photo is laid in the middle of, as a face is in a camera's picture.
_FRAME = (360, 480)
_GREY = 114


def device_boxes(pixels: NDArray[np.uint8], boxes: NDArray[np.float32], cache: Path) -> NDArray[np.float32]:
    """Boxes ``(n, 4)`` of the faces at ``boxes`` in photos ``(n, side, side, 3)`` BGR; NaN where none is found.

    Takes some minutes for 20,000 photos, once: they are kept in ``cache`` until the face net or the photos change.

    Raises:
        ModelError: the face net's files are missing or altered.
    """
    # A cell of each photo in fifty tells sets of photos apart as well as all of it would.
    cells = np.ascontiguousarray(pixels[:, ::53, ::53])
    known = hashlib.sha256(np.ascontiguousarray(boxes).tobytes() + cells.tobytes()).hexdigest()
    kept = cache / f"gender_device_boxes_{known[:12]}_{fingerprint()}.npy"
    if kept.is_file():
        return np.asarray(np.load(kept), np.float32)
    finder = Finder()
    side = pixels.shape[1]
    top, left = (_FRAME[0] - side) // 2, (_FRAME[1] - side) // 2
    corner = np.array((left, top, left, top), np.float32)
    frame = np.full((*_FRAME, 3), _GREY, np.uint8)
    found = np.full((len(pixels), 4), np.nan, np.float32)
    for index in track(range(len(pixels)), "finding faces"):
        frame[top : top + side, left : left + side] = pixels[index]
        near = nearest(finder.boxes(frame), boxes[index] + corner)
        if near is not None:
            found[index] = near - corner
    part = kept.with_suffix(".part")
    with part.open("wb") as stream:
        np.save(stream, found)
    part.replace(kept)  # whole or not there
    _log.info("the face net finds %d of %d faces", int(np.isfinite(found[:, 0]).sum()), len(found))
    return found

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


class DeviceEye:
    """Where the device's face net sees a face in a small photo, laid in the middle of a grey frame.

    Raises:
        ModelError: the face net's files are missing or altered.
    """

    def __init__(self) -> None:
        self._finder = Finder()
        self._frame = np.full((*_FRAME, 3), _GREY, np.uint8)

    def box(self, photo: NDArray[np.uint8], near: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The box ``(4,)`` of the face at ``near`` in a photo ``(side, side, 3)`` BGR; None if none is found there.

        All photos must be of one side, for they are laid over each other.
        """
        side = photo.shape[0]
        top, left = (_FRAME[0] - side) // 2, (_FRAME[1] - side) // 2
        corner = np.array((left, top, left, top), np.float32)
        self._frame[top : top + side, left : left + side] = photo
        found = nearest(self._finder.boxes(self._frame), near + corner)
        return None if found is None else found - corner


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
    eye = DeviceEye()
    found = np.full((len(pixels), 4), np.nan, np.float32)
    for index in track(range(len(pixels)), "finding faces"):
        seen = eye.box(pixels[index], boxes[index])
        if seen is not None:
            found[index] = seen
    part = kept.with_suffix(".part")
    with part.open("wb") as stream:
        np.save(stream, found)
    part.replace(kept)  # whole or not there
    _log.info("the face net finds %d of %d faces", int(np.isfinite(found[:, 0]).sum()), len(found))
    return found

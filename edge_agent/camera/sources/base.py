"""What every kind of camera has in common."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from edge_agent.errors import CameraError
from edge_agent.types import Image

Grab = tuple[Image, float]
"""H×W×3 uint8 BGR picture and its moment in seconds of `time.monotonic()`."""


class EndOfStream(Exception):  # noqa: N818 (not an error: a file is meant to end)
    """The last picture of a file or folder was read and it is not to begin again."""


class StalledError(CameraError):
    """The camera is there but sends nothing, and must be opened again before it does."""


class Source(Protocol):
    """A camera or file. One thread opens, reads and closes it; only `interrupt` may come from another.

    The same object may be opened again after `close`.
    """

    live: bool
    """Whether pictures come from the world as it is now: a file may rightly show a still picture for ever."""

    def open(self) -> None:
        """Start to deliver.

        Raises:
            CameraError: saying what is wrong and what to do about it.
        """

    def read(self) -> Grab | None:
        """Return the next picture, or None if none came within the read time-out or the device is gone.

        Raises:
            EndOfStream: a file is over.
            CameraError: nothing more can come from this source until it is opened again.
        """

    def close(self) -> None:
        """Release everything; harmless when not open."""

    def interrupt(self) -> None:
        """Make an `open` or `read` that blocks in another thread return soon, where that can be done safely."""

    def describe(self) -> str:
        """Return what a person would call it, without a password."""


def as_image(pixels: object) -> Image:
    """Return what OpenCV or a camera delivered as H×W×3 uint8 BGR; grey and BGRA pictures are converted.

    Raises:
        CameraError: it is no picture.
    """
    image = np.asarray(pixels)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise CameraError(f"the camera sent {image.dtype} of shape {image.shape}, which is no picture")
    if image.ndim == 3 and image.shape[2] == 3:
        return image
    if image.ndim == 3 and image.shape[2] == 4:
        return np.ascontiguousarray(image[:, :, :3])
    grey = image if image.ndim == 2 else image[:, :, 0]
    return np.repeat(grey[:, :, None], 3, axis=2)

"""The newest frame as the live page shows it."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2

from edge_agent.types import Frame

_QUALITY = 70
_AGE = 3.0
"""Seconds for which a frame is shown: no old face stays on the page."""


class LivePicture:
    """Encodes a frame once, however many look at it.

    `newest` returns the frame to be shown and when it was looked at (monotonic seconds); None: nobody is watched.
    """

    def __init__(self, newest: Callable[[], tuple[Frame, float] | None]) -> None:
        self._newest = newest
        self._encoded: tuple[int, bytes] | None = None

    def __call__(self) -> bytes | None:
        """The newest frame as JPEG; None while there is none to be shown."""
        newest = self._newest()
        if newest is None or time.monotonic() - newest[1] > _AGE:
            return None
        frame = newest[0]
        encoded = self._encoded
        if encoded is None or encoded[0] != frame.index:
            _, jpeg = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            self._encoded = encoded = (frame.index, jpeg.tobytes())
        return encoded[1]

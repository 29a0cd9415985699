"""What V4L2 and network cameras share: an OpenCV capture that decodes no more pictures than are wanted."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from edge_agent.camera.sources.base import Grab, as_image
from edge_agent.types import Image

_PILED = 0.02
"""Seconds in which a picture that lay waiting is fetched; no camera takes them so fast."""
_DRAIN = 1.0
"""Seconds that fetching the pile may take."""
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


class Capture:
    """An open `cv2.VideoCapture`, read at no more than `fps` pictures a second.

    `captured_at(position, arrived)` turns the position that OpenCV tells (seconds) and the moment the picture came
    (monotonic seconds) into the moment it was taken. With a `reduction` of 2, 4 or 8 the capture hands out JPEGs,
    which are decoded at that part of their size: the decoder leaves the finer coefficients out, which saves most of
    its time.
    """

    def __init__(
        self,
        capture: cv2.VideoCapture,
        fps: float,
        captured_at: Callable[[float, float], float],
        reduction: int = 1,
    ) -> None:
        self._reduction = reduction
        self.capture = capture
        self._captured_at = captured_at
        self._interval = 1 / fps
        self._due = 0.0

    def read(self) -> Grab | None:
        """Return the next wanted picture, or None when the camera gave none."""
        while True:
            # Fetching without decoding keeps the camera's queue empty at little cost.
            if not self.capture.grab():
                return None
            arrived = time.monotonic()
            moment = self._captured_at(self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, arrived)
            # A quarter of the interval is forgiven: a camera at the wanted rate trembles around it.
            if arrived >= self._due - self._interval / 4:
                break
        self._due = max(self._due + self._interval, arrived)
        ok, data = self.capture.retrieve()
        if not ok:
            return None
        image = self._decoded(np.asarray(data, np.uint8)) if self._reduction > 1 else as_image(data)
        return (image, moment) if image is not None else None

    def _decoded(self, data: Image) -> Image | None:
        """The picture of a JPEG (one row of bytes) at a part of its size; None if it is broken."""
        if data.shape[0] > 1:
            return as_image(data)  # decoded by the driver after all
        picture = cv2.imdecode(data.reshape(-1), _REDUCED[self._reduction] | cv2.IMREAD_IGNORE_ORIENTATION)
        return None if picture is None else np.asarray(picture, np.uint8)

    def drain(self) -> None:
        """Throw away what piled up while the stream was opened: pictures that come faster than any camera takes."""
        asked = time.monotonic()
        until = asked + _DRAIN
        while self.capture.grab():
            arrived = time.monotonic()
            # Not a part of the wanted interval: a camera may be many times as fast, and would be drained for ever.
            if arrived - asked > min(_PILED, self._interval / 4) or arrived > until:
                break
            asked = arrived

    def release(self) -> None:
        """Let go of the camera."""
        self.capture.release()

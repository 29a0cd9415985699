"""What V4L2 and network cameras share: an OpenCV capture that decodes no more pictures than are wanted."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2

from edge_agent.camera.sources.base import Grab, as_image

_PILE = 120  # pictures at most


class Capture:
    """An open `cv2.VideoCapture`, read at no more than `fps` pictures a second.

    `captured_at(position, arrived)` turns the position that OpenCV tells (seconds) and the moment the picture came
    (monotonic seconds) into the moment it was taken.
    """

    def __init__(self, capture: cv2.VideoCapture, fps: float, captured_at: Callable[[float, float], float]) -> None:
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
        ok, image = self.capture.retrieve()
        return (as_image(image), moment) if ok else None

    def drain(self) -> None:
        """Throw away what piled up while the stream was opened: pictures that come faster than any camera takes."""
        for _ in range(_PILE):
            asked = time.monotonic()
            if not self.capture.grab() or time.monotonic() - asked > self._interval / 4:
                break

    def release(self) -> None:
        """Let go of the camera."""
        self.capture.release()

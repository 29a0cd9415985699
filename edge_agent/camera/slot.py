"""The one place a frame waits: the newest replaces the one nobody took."""

from __future__ import annotations

import threading
import time

from edge_agent.types import Frame


class FrameSlot:
    """Holds one frame between the camera thread and whoever looks at it. Safe for any number of threads.

    `block=False`, for cameras: `put` replaces a frame that was not taken and counts it as dropped.
    `block=True`, for files that are read as fast as frames are taken: `put` waits, so that none is dropped.
    """

    def __init__(self, block: bool = False) -> None:
        self._block = block
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._closed = False
        self._dropped = 0
        self._came = self._waited = 0.0

    def put(self, frame: Frame) -> bool:
        """Leave a frame to be taken; False if the slot is closed and nobody will take it."""
        with self._changed:
            if self._block:
                self._changed.wait_for(lambda: self._frame is None or self._closed)
            if self._closed:
                return False
            if self._frame is not None:
                self._dropped += 1
            self._frame, self._came = frame, time.monotonic()
            self._changed.notify_all()
            return True

    def take(self, timeout: float) -> Frame | None:
        """Return the newest frame, waiting up to `timeout` seconds; None when none came or the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._closed, timeout)
            if self._closed:
                return None
            frame, self._frame = self._frame, None
            self._waited = time.monotonic() - self._came
            self._changed.notify_all()
            return frame

    def wait_taken(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until no frame is left, or the slot is closed; whether it came to that."""
        with self._changed:
            return self._changed.wait_for(lambda: self._frame is None or self._closed, timeout)

    def close(self) -> None:
        """Wake everyone who waits; nothing can be put or taken any more. May be called again."""
        with self._changed:
            self._closed = True
            self._frame = None
            self._changed.notify_all()

    def passed_over(self) -> None:
        """The frame taken last grew too old while it lay here: it counts as dropped."""
        with self._changed:
            self._dropped += 1

    @property
    def waited(self) -> float:
        """Seconds that the frame taken last had lain here: so much of its age is not the camera's doing."""
        with self._changed:
            return self._waited

    @property
    def closed(self) -> bool:
        """Whether the camera has ended or was stopped."""
        with self._changed:
            return self._closed

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced before they were taken, or that were passed over."""
        with self._changed:
            return self._dropped

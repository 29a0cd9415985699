"""Feeds systemd's watchdog with progress only: a thread that merely runs is not a service that works."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from edge_agent.service.notify import Notifier

logger = logging.getLogger(__name__)

_NO_PICTURE = frozenset({"opening", "lost", "frozen"})
EXCUSED = _NO_PICTURE | {"ended"}
"""Camera states in which no new frame is expected: the camera room works on it, or the file is over."""

STUCK = "stuck"
"""The capture thread hangs in the driver: only a new process helps."""


class Patience:
    """With a camera from which no new picture comes, however often it is opened."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`seconds`: how long; 0: for ever."""
        self._seconds = seconds
        self._clock = clock
        self._since = clock()

    def lost(self, *, captured: int, state: str) -> bool:
        """Whether it is at its end; `captured`: new frames since the last call, `state`: the camera room's word."""
        if captured > 0 or state not in _NO_PICTURE | {STUCK}:
            self._since = self._clock()
        return 0 < self._seconds <= self._clock() - self._since


class ProgressWatchdog:
    """Pings systemd when, since its last ping, a new frame was captured *and* one was processed; or when the
    camera honestly has none to give and the worker still goes round. Thread-safe.

    A camera that is `stuck` is excused for `stuck_grace` seconds, in case the driver lets go; after that
    nothing pings any more and systemd starts the service afresh.
    """

    def __init__(
        self,
        notifier: Notifier,
        *,
        stuck_grace: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._notifier = notifier
        self._stuck_grace = stuck_grace
        self._clock = clock
        self._lock = threading.Lock()
        self._state = "opening"
        self._stuck_since: float | None = None
        self._captured = self._processed = self._worker = False
        self._last_ping = clock()
        self._pinged = False
        self._complained = False

    def captured(self, count: int = 1) -> None:
        """`count` new frames came from the camera."""
        with self._lock:
            self._captured = self._captured or count > 0

    def processed(self, count: int = 1) -> None:
        """The worker finished `count` frames: looked at, or found not worth a look by the motion gate."""
        with self._lock:
            self._processed = self._processed or count > 0
            self._worker = self._worker or count > 0

    def worker_alive(self) -> None:
        """The worker went round its loop without a frame to work on."""
        with self._lock:
            self._worker = True

    def camera_state(self, state: str) -> None:
        """What the camera room says of itself, e.g. `ok`, `lost`, `stuck`."""
        with self._lock:
            if state == STUCK and self._state != STUCK:
                self._stuck_since = self._clock()
            self._state = state

    def tick(self) -> bool:
        """Ping if there was progress; whether it did. Called by the main loop, several times in each
        `Notifier.watchdog_interval`; pings that come too soon to be of use are spared."""
        interval = self._notifier.watchdog_interval or 0.0
        with self._lock:
            now = self._clock()
            if self._pinged and now - self._last_ping < interval / 5:
                return False
            if not self._deserved(now):
                self._complain(now)
                return False
            self._captured = self._processed = self._worker = False
            self._last_ping = now
            self._pinged = True
            self._complained = False
        self._notifier.watchdog()
        return True

    def _deserved(self, now: float) -> bool:
        if self._state == STUCK:
            since = self._stuck_since if self._stuck_since is not None else now
            return self._worker and now - since < self._stuck_grace
        if self._state in EXCUSED:
            return self._worker
        return self._captured and self._processed

    def _complain(self, now: float) -> None:
        interval = self._notifier.watchdog_interval
        if interval is None or self._complained or now - self._last_ping < interval:
            return
        self._complained = True
        missing = [
            name
            for name, seen in (
                ("a new frame", self._captured),
                ("a processed frame", self._processed),
                ("the worker's round", self._worker),
            )
            if not seen
        ]
        logger.error(
            "no progress for %.0f s (camera %s; missing: %s): systemd will restart the service",
            now - self._last_ping,
            self._state,
            ", ".join(missing) or "none",
        )

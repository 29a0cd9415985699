"""What the camera's threads write down, and what others may read of it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edge_agent.types import Frame

CameraState = Literal["opening", "ok", "lost", "frozen", "dark", "ended", "stuck"]


@dataclass(frozen=True, slots=True)
class CameraStats:
    """How the camera is at one moment."""

    state: CameraState
    """`lost`: no pictures, being opened again; `frozen`: the same picture again and again; `dark`: black or
    covered; `ended`: a file is over; `stuck`: only a new process can help."""
    reason: str = ""
    """For a person: what is wrong and what to do; empty while all is well."""
    source: str = ""
    """What the camera calls itself, without a password."""
    captured: int = 0
    """Frames handed on since the start."""
    fps: float = 0.0
    """Frames handed on per second, of late; falls to 0 when they stop coming or are always the same."""
    reopened: int = 0
    """How often the camera was opened again."""
    moved: int = 0
    """How often it came back under another number."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Counts of `open_failed`, `no_frames`, `stalled`, `frozen`, `dark`, `resized`, `error`."""
    abandoned: int = 0
    """Reading threads that hang beyond their deadline at this moment."""
    last_frame_at: float | None = None
    """When the latest frame was taken; seconds of `time.monotonic()`."""
    width: int = 0
    height: int = 0
    """Of the latest frame, after rotation."""


class Ledger:
    """The counters behind `CameraStats`; every method may be called from any thread."""

    def __init__(self, clock: Callable[[], float], window: float) -> None:
        self._clock = clock
        self._window = window
        self._lock = threading.Lock()
        self._state: CameraState = "opening"
        self._reason = ""
        self._source = ""
        self._captured = 0
        self._opened = 0
        self._moments: deque[float] = deque()
        self._failures: Counter[str] = Counter()
        self._last: float | None = None
        self._size = (0, 0)

    @property
    def state(self) -> CameraState:
        """The state last written."""
        with self._lock:
            return self._state

    @property
    def captured(self) -> int:
        """Frames handed on so far."""
        with self._lock:
            return self._captured

    def set_state(self, state: CameraState, reason: str = "") -> bool:
        """Write down a state; whether it or its reason differs from before."""
        with self._lock:
            changed = (state, reason) != (self._state, self._reason)
            self._state, self._reason = state, reason
            return changed

    def opened(self, source: str) -> None:
        """The camera was opened."""
        with self._lock:
            self._opened += 1
            self._source = source
            self._moments.clear()

    def failed(self, kind: str) -> None:
        """Something went wrong that is counted."""
        with self._lock:
            self._failures[kind] += 1

    def frame(self, frame: Frame) -> None:
        """A frame was handed on."""
        now = self._clock()
        with self._lock:
            self._captured += 1
            self._last = frame.captured_at
            self._size = (frame.image.shape[1], frame.image.shape[0])
            self._moments.append(now)
            self._forget(now)

    def _forget(self, now: float) -> None:
        while self._moments and self._moments[0] < now - self._window:
            self._moments.popleft()

    def stats(self, abandoned: int, moved: int) -> CameraStats:
        """Return what is known at this moment."""
        now = self._clock()
        with self._lock:
            self._forget(now)
            gaps = len(self._moments) - 1
            # Up to now and not up to the last frame: so the rate falls while nothing comes.
            fps = gaps / (now - self._moments[0]) if gaps > 0 and now > self._moments[0] else 0.0
            return CameraStats(
                state=self._state,
                reason=self._reason,
                source=self._source,
                captured=self._captured,
                fps=fps,
                reopened=max(0, self._opened - 1),
                moved=moved,
                failures=dict(self._failures),
                abandoned=abandoned,
                last_frame_at=self._last,
                width=self._size[0],
                height=self._size[1],
            )

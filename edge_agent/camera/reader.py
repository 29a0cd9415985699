"""The thread that may hang: opens one source, reads it until it fails, closes it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edge_agent.camera.sources import EndOfStream, Source, StalledError
from edge_agent.config import CameraSettings
from edge_agent.errors import CameraError
from edge_agent.types import Image

Phase = Literal["opening", "reading", "handing over", "closing"]

_MISSES = 3  # empty reads in a row after which the camera counts as gone
_MISS_PAUSE = 0.1  # seconds between them: a camera that is unplugged answers at once, for ever
_MARGIN = 1.0  # seconds that a call may overrun its own deadline

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why reading ended: `ended` (a file), `left` (asked to), or a failure's kind."""

    kind: str
    reason: str = ""


class Reader(threading.Thread):
    """Reads one source once. Knows since when it does what, so that someone else can see that it hangs.

    `opened(reader)` is called when the source is open, `hand_over(reader, image, moment)` with each picture (an
    ending that it returns ends the reading), `done` when all is over.
    """

    def __init__(
        self,
        source: Source,
        settings: CameraSettings,
        *,
        opened: Callable[[Reader], None],
        hand_over: Callable[[Reader, Image, float], Ending | None],
        done: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        # A daemon: one that hangs in the kernel must not keep the process from ending.
        super().__init__(name="camera-reader", daemon=True)
        self.source = source
        self.ending: Ending | None = None
        self._settings = settings
        self._opened = opened
        self._hand_over = hand_over
        self._done = done
        self._clock = clock
        self._leave = threading.Event()
        self._phase: tuple[Phase, float] = ("opening", clock())
        self._finished = threading.Event()
        read = settings.read_timeout + _MARGIN
        self._limits: dict[Phase, float] = {
            "opening": settings.open_timeout + read,
            "reading": max(settings.stall_after, 3 / settings.fps),
            "closing": read,
        }

    def leave(self) -> None:
        """Ask the reader to close its source and end; it does so when the call it is in returns."""
        self._leave.set()
        try:
            self.source.interrupt()
        except Exception:
            _log.warning("interrupting %s failed", self.source.describe(), exc_info=True)

    @property
    def finished(self) -> bool:
        """Whether the source is closed and the thread at its end."""
        return self._finished.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait until `finished`."""
        return self._finished.wait(timeout)

    def overdue(self) -> tuple[Phase, float]:
        """Return what the reader is doing and the seconds it is over its limit (negative: still within)."""
        phase, since = self._phase
        limit = self._limits.get(phase)
        return phase, self._clock() - since - limit if limit is not None else -1.0

    def run(self) -> None:
        try:
            self.ending = self._read_all()
        except EndOfStream:
            self.ending = Ending("ended")
        except CameraError as error:
            kind = "stalled" if isinstance(error, StalledError) else "no_frames"
            self.ending = Ending("open_failed" if self._phase[0] == "opening" else kind, str(error))
        except (
            Exception
        ) as error:  # a camera library may raise anything, and the camera must come back all the same
            _log.exception("reading the camera failed")
            self.ending = Ending("error", f"{type(error).__name__}: {error}")
        if self._leave.is_set():
            self.ending = Ending("left")  # whatever went wrong, it went wrong because we were leaving
        self._phase = ("closing", self._clock())
        try:
            self.source.close()
        except Exception:
            _log.exception("closing the camera failed")
        self._finished.set()
        self._done()

    def _read_all(self) -> Ending:
        self.source.open()
        if self._leave.is_set():
            return Ending("left")
        self._opened(self)
        good = self._clock()
        misses = 0
        slow = False
        # One `reading` lasts from picture to picture, however many empty reads lie between.
        self._phase = ("reading", good)
        while not self._leave.is_set():
            asked = self._clock()
            grab = self.source.read()
            if self._leave.is_set():
                break
            now = self._clock()
            if grab is None:
                misses += 1
                slow |= now - asked > self._settings.read_timeout / 2
                if now - good >= self._limits["reading"] or misses >= _MISSES:
                    if slow:
                        return Ending("stalled", "no picture comes any more, though the camera seems to be there")
                    return Ending("no_frames", "no more pictures: unplugged, or its server has ended")
                self._leave.wait(_MISS_PAUSE)
                continue
            misses, slow = 0, False
            self._phase = ("handing over", now)
            ending = self._hand_over(self, *grab)
            if ending is not None:
                return ending
            good = self._clock()
            self._phase = ("reading", good)
        return Ending("left")

"""The camera's life: opened, read, judged, opened again; and what is done about a read that never returns."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from edge_agent.camera.pictures import PictureWatch
from edge_agent.camera.reader import Ending, Phase, Reader
from edge_agent.camera.slot import FrameSlot
from edge_agent.camera.sources import Memory, Source, create
from edge_agent.camera.sources.base import as_image
from edge_agent.camera.stats import CameraState, CameraStats, Ledger
from edge_agent.camera.transform import Transform
from edge_agent.config import CameraSettings
from edge_agent.errors import CameraError
from edge_agent.types import Frame, Image

MAX_ABANDONED = 2
"""Hanging readers that are borne at once; then only a new process can help."""
_TRIES_BESIDE_ABANDONED = 3
_RATE_WINDOW = 5.0

_log = logging.getLogger(__name__)


class CameraThread:
    """Keeps a slot filled with the newest frame, whatever the camera does.

    Two threads: a reader, which may hang in a driver, and a supervisor, which sees that it does. A hanging reader
    is asked to stop, its source interrupted from outside where that is safe, then left behind and replaced. It
    releases its camera itself should its call ever return: to release under a running read crashes the process.
    """

    def __init__(
        self,
        settings: CameraSettings,
        slot: FrameSlot,
        *,
        clock: Callable[[], float] = time.monotonic,
        open_source: Callable[[], Source] | None = None,
    ) -> None:
        """`open_source` makes the source of each attempt; None: the one that `settings.source` names."""
        self._settings = settings
        self._slot = slot
        self._clock = clock
        self._memory = Memory()
        self._shift = 0.0  # what is added to a file's time, in seconds
        self._latest = float("-inf")
        self._create = open_source or (lambda: create(settings, self._memory))
        self._transform = Transform(settings)
        self._ledger = Ledger(clock, max(_RATE_WINDOW, 3 / settings.fps))
        self._watch: PictureWatch | None = None
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._current: Reader | None = None
        self._abandoned: list[Reader] = []
        self._supervisor = threading.Thread(target=self._run, name="camera", daemon=True)
        self._pause = settings.reopen_min
        self._index = 0
        self._lost_at: float | None = None
        self._good_since: float | None = None
        self._good_until = 0.0
        self._announced = ""
        self._unforeseen = ""
        self._tries = 0
        self._unbearable = False

    def start(self) -> None:
        """Begin to open the camera; returns at once."""
        self._supervisor.start()

    def stop(self, timeout: float) -> bool:
        """Close the slot and the camera, waiting up to `timeout` seconds; False if something hangs on."""
        self._stopping.set()
        self._slot.close()
        reader = self._current
        if reader is not None:
            reader.leave()
        self._wake.set()
        if self._supervisor.ident is not None:
            self._supervisor.join(timeout)
        return not self._supervisor.is_alive() and not any(reader.is_alive() for reader in self._abandoned)

    def stats(self) -> CameraStats:
        """Return how the camera is at this moment."""
        abandoned = sum(reader.is_alive() for reader in self._abandoned)
        return self._ledger.stats(abandoned, self._memory.moved)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self._bearable():
                    continue
                ending = self._session()
                if ending.kind == "ended":
                    self._end()
                    return
                if ending.kind != "left":
                    self._failed(ending)
                    self._stopping.wait(self._pause_after())
        except Exception:
            _log.exception("the camera's supervisor failed")
            self._ledger.set_state("stuck", "an error in the program; it needs to be started again")

    def _bearable(self) -> bool:
        self._abandoned = [reader for reader in self._abandoned if not reader.finished]
        if len(self._abandoned) < MAX_ABANDONED:
            if self._unbearable:
                self._unbearable = False
                self._ledger.set_state("lost", "a read that hung has returned; opening the camera again")
            return True
        self._unbearable = True
        reason = f"the camera's driver hangs ({len(self._abandoned)} reads never returned); a new process is needed"
        if self._ledger.set_state("stuck", reason):
            _log.error("camera stuck: %s", reason)
        self._wake.wait(1.0)
        self._wake.clear()
        return False

    def _session(self) -> Ending:
        """Open the camera and watch over its reader until it ends or hangs; whatever goes wrong is an ending."""
        try:
            return self._watch_over(self._create())
        except CameraError as error:
            return Ending("open_failed", str(error))
        except Exception as error:  # foreseen or not: the camera must come back all the same
            reason = f"{type(error).__name__}: {error}"
            if reason != self._unforeseen:
                self._unforeseen = reason
                _log.exception("opening the camera or watching over it failed")
            reader = self._current
            if reader is not None and reader.is_alive() and reader not in self._abandoned:
                self._dismiss(reader)  # else it would read beside the next one
            return Ending("error", reason)
        finally:
            self._current = None

    def _watch_over(self, source: Source) -> Ending:
        if self._watch is None:
            self._watch = PictureWatch(self._settings, source.live)
        self._good_since = None
        self._tries += 1
        self._wake.clear()
        reader = Reader(
            source,
            self._settings,
            opened=self._opened,
            hand_over=self._hand_over,
            done=self._wake.set,
            clock=self._clock,
        )
        self._current = reader
        reader.start()
        return self._supervise(reader)

    def _supervise(self, reader: Reader) -> Ending:
        while not reader.finished:
            phase, over = reader.overdue()
            if self._stopping.is_set() or over >= 0:
                return self._part(reader, phase)
            self._wake.wait(-over)
            self._wake.clear()
        return reader.ending or Ending("error", "the reading thread died")

    def _part(self, reader: Reader, phase: Phase) -> Ending:
        """End a reader that is late, or no longer wanted."""
        if not self._dismiss(reader):
            _log.error("%s hangs while %s and is left behind", reader.source.describe(), phase)
        if self._stopping.is_set():
            return Ending("left")
        kind = "open_failed" if phase == "opening" else "stalled"
        return Ending(
            kind, f"{reader.source.describe()}: no answer while {phase}; if it lasts, unplug it or restart it"
        )

    def _dismiss(self, reader: Reader) -> bool:
        """Ask a reader to end and wait a little; False if it doesn't, and is left behind."""
        reader.leave()
        if reader.wait(self._settings.read_timeout + 0.5):
            return True
        self._abandoned.append(reader)
        self._tries = 0
        return False

    def _opened(self, reader: Reader) -> None:
        if reader is not self._current or self._watch is None:
            return
        self._ledger.opened(reader.source.describe())
        self._watch.reopened(self._clock())
        # A camera that opens time and again without a picture is announced once.
        description = reader.source.describe()
        _log.log(logging.DEBUG if description == self._announced else logging.INFO, "camera open: %s", description)
        self._announced = description

    def _hand_over(self, reader: Reader, image: Image, moment: float) -> Ending | None:
        """Judge a picture and put it into the slot; runs in the reader's thread."""
        if reader is not self._current or self._watch is None:
            return Ending("left")  # it hung, was replaced, and woke up
        try:
            image = self._transform(as_image(image))
        except CameraError as error:
            return Ending("error", str(error))
        now = self._clock()
        finding = self._watch.look(image, now)
        if finding.resized and reader.source.live:
            self._ledger.failed("resized")
            _log.warning("the camera's picture is now %d×%d", image.shape[1], image.shape[0])
        if finding.frozen:
            # Old news: nobody shall look at it as if it were the entrance of this moment.
            reason = f"the camera has sent the very same picture for {self._settings.freeze_after:g} s or more"
            if self._ledger.set_state("frozen", reason):
                self._lost_at = self._lost_at or now
                _log.warning("%s", reason)
            return Ending("frozen", reason) if finding.reopen else None
        if not reader.source.live:
            # A file that is opened again goes on in time where it ended, and does not begin with the clock.
            self._shift = max(self._shift, self._latest - moment)
            moment += self._shift
            self._latest = moment
        wall_time = datetime.now(timezone.utc) - timedelta(seconds=now - moment)
        frame = Frame(self._index, image, moment, wall_time)
        self._index += 1
        self._good(now, finding.dark)
        if not self._slot.put(frame):
            return Ending("left")
        self._ledger.frame(frame)
        return Ending("dark", "black without any noise") if finding.reopen else None

    def _good(self, now: float, dark: bool) -> None:
        if self._good_since is None:
            self._good_since = now
            self._tries = 0
        self._good_until = now
        if dark:
            reason = "the picture is black or covered: look at the lens, its cap and the light"
            if self._ledger.set_state("dark", reason):
                self._ledger.failed("dark")
                _log.warning("%s", reason)
        elif self._ledger.set_state("ok") and self._lost_at is not None:
            _log.info("camera back after %.1f s", now - self._lost_at)
        self._lost_at = None

    def _failed(self, ending: Ending) -> None:
        if ending.kind == "dark":
            return  # said and counted already, and nothing is lost: it is opened again on a suspicion
        self._ledger.failed(ending.kind)
        self._lost_at = self._lost_at or self._clock()
        if ending.kind == "frozen":
            return  # said already; the state lasts until another picture comes
        if self._abandoned and self._tries >= _TRIES_BESIDE_ABANDONED:
            # The reader that hangs holds the camera: no other will get it.
            state: CameraState = "stuck"
            reason = f"{ending.reason}; an earlier read hangs and holds the camera"
        else:
            state, reason = "lost", ending.reason
        if self._ledger.set_state(state, reason):
            _log.warning("camera %s: %s", state, reason)

    def _pause_after(self) -> float:
        """Seconds until the next attempt: twice the last, unless the camera had been well for a while."""
        if self._good_since is not None and self._good_until - self._good_since >= self._settings.stall_after:
            self._pause = self._settings.reopen_min
        pause = self._pause
        self._pause = min(2 * pause, self._settings.reopen_max)
        return pause

    def _end(self) -> None:
        self._ledger.set_state("ended")
        _log.info("the camera's file has ended")
        while not self._stopping.is_set() and not self._slot.wait_taken(1.0):
            pass
        self._slot.close()

"""Pictures of violations on their way out: made and kept in threads of their own, the events never lost."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from edge_agent.config import SnapshotSettings
from edge_agent.outputs.picture import encode, render
from edge_agent.outputs.snapshot_ring import SnapshotRing
from edge_agent.types import ViolationNotice, ViolationType

_log = logging.getLogger(__name__)

_MAX_FRAMES = 8
"""Frames that may wait for their picture; each is a whole camera image in memory."""
_MAX_UNSAVED = 16
"""Pictures that may wait for the disk."""
_TELLING = 0.5
"""Seconds that a notice which is just being told may take at a stop, before the next ones are told all the same."""


class SnapshotMaker:
    """Makes the JPEG of a violation within the bounds of the settings."""

    def __init__(self, settings: SnapshotSettings) -> None:
        self._settings = settings

    def make(self, notice: ViolationNotice) -> bytes | None:
        """JPEG of at most `max_width` pixels and `max_bytes`, faces of others hidden, the violator's boxed.

        None for an event without a frame, such as an end. Raises ValueError if the frame can't be encoded.
        """
        if notice.frame is None or notice.violation.type is not ViolationType.STARTED:
            return None
        image = render(notice.frame, notice.violation, notice.others, self._settings.max_width)
        return encode(image, self._settings.quality, self._settings.max_bytes)


@dataclass(frozen=True, slots=True)
class SnapshotStats:
    """Counters since the start."""

    made: int
    saved: int
    failed: int
    """Pictures that could not be made or kept."""
    skipped: int
    """Pictures not made or not kept because too many waited; their events were forwarded all the same."""


class SnapshotOutput:
    """Makes each violation's picture in its own thread, forwards event and picture in order, then keeps it.

    `forward` gets every notice exactly once, without its frame, and the JPEG for MQTT or None. The folder is
    written by a second thread, so a disk that hangs delays no event.
    """

    def __init__(
        self, settings: SnapshotSettings, forward: Callable[[ViolationNotice, bytes | None], None]
    ) -> None:
        self._settings = settings
        self._forward = forward
        self._maker = SnapshotMaker(settings)
        self._ring = SnapshotRing(settings.directory, settings.keep) if settings.directory else None
        # Held while a notice is taken and told, so that none overtakes another; before _changed.
        self._order = threading.Lock()
        self._changed = threading.Condition()
        # All below is guarded by _changed.
        self._notices: deque[ViolationNotice] = deque()
        self._unsaved: deque[tuple[bytes, str, datetime]] = deque()
        self._frames = 0
        self._working: ViolationNotice | None = None  # whose picture is being made; whoever takes it tells it
        self._stopping = False
        self._draining = False  # from here on `stop` alone tells what waits
        self._closed = False
        self._made = self._saved = self._failed = self._skipped = 0
        self._thread: threading.Thread | None = None
        self._keeper: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work; notices handed over before wait until then."""
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)
        self._thread.start()
        if self._ring is not None:
            self._keeper = threading.Thread(
                target=self._keep, args=(self._ring,), name="snapshot-ring", daemon=True
            )
            self._keeper.start()

    def handle(self, notice: ViolationNotice) -> None:
        """Take over a notice; returns at once. After `stop()` it is forwarded straight away, without a picture."""
        with self._changed:
            late = self._closed
            if not late:
                if notice.frame is not None and self._frames >= _MAX_FRAMES:
                    notice = _without_frame(notice)
                    self._skipped += 1
                self._frames += notice.frame is not None
                self._notices.append(notice)
                self._changed.notify_all()
        if late:
            self._tell(_without_frame(notice), None)

    def stats(self) -> SnapshotStats:
        """Counters as of now."""
        with self._changed:
            return SnapshotStats(self._made, self._saved, self._failed, self._skipped)

    @property
    def trouble(self) -> str | None:
        """What the folder did not take; None: nothing, or there is none."""
        return self._ring.trouble if self._ring is not None else None

    def stop(self, timeout: float = 3.0) -> None:
        """Finish what waits; after `timeout` seconds the events left are forwarded without their pictures."""
        deadline = time.monotonic() + timeout
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
        ordered = self._order.acquire(timeout=_TELLING)
        try:
            self._drain()
        finally:
            if ordered:
                self._order.release()
        if self._keeper is not None:
            self._keeper.join(max(0.0, deadline - time.monotonic()))
            if self._keeper.is_alive():
                _log.warning("The latest snapshots could not be kept: the disk does not answer")

    def _drain(self) -> None:
        """Forward what is left without pictures, the one in work first: an end must not overtake its start."""
        while True:
            with self._changed:
                self._draining = True
                left = [self._working] if self._working is not None else []
                left += self._notices
                self._working = None
                self._notices.clear()
                self._skipped += sum(notice.frame is not None for notice in left)
                if not left:
                    self._closed = True
                    self._changed.notify_all()
                    return
            for notice in left:
                self._tell(_without_frame(notice), None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._notices or self._stopping)
                if self._draining or not self._notices:
                    return
                notice = self._notices.popleft()
                self._frames -= notice.frame is not None
                self._working = notice
            jpeg = self._make(notice)
            with self._order:
                with self._changed:
                    mine = self._working is not None
                    self._working = None
                if mine:
                    self._tell(_without_frame(notice), jpeg if self._settings.mqtt else None)
            if jpeg is not None and self._ring is not None:
                self._enqueue(jpeg, notice)

    def _make(self, notice: ViolationNotice) -> bytes | None:
        try:
            jpeg = self._maker.make(notice)
        except Exception:  # the event counts for more than its picture
            _log.exception("The snapshot of event %s could not be made", notice.violation.event_id)
            with self._changed:
                self._failed += 1
            return None
        with self._changed:
            self._made += jpeg is not None
        return jpeg

    def _tell(self, notice: ViolationNotice, jpeg: bytes | None) -> None:
        try:
            self._forward(notice, jpeg)
        except Exception:  # one event that fails must not keep the following ones back
            _log.exception("Event %s could not be handed on", notice.violation.event_id)

    def _enqueue(self, jpeg: bytes, notice: ViolationNotice) -> None:
        with self._changed:
            if len(self._unsaved) >= _MAX_UNSAVED:
                self._unsaved.popleft()
                self._skipped += 1
            self._unsaved.append((jpeg, notice.violation.event_id, notice.violation.occurred_at))
            self._changed.notify_all()

    def _keep(self, ring: SnapshotRing) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unsaved or self._closed)
                if not self._unsaved:
                    return
                jpeg, event_id, moment = self._unsaved.popleft()
            saved = ring.save(jpeg, event_id, moment)
            with self._changed:
                self._saved += saved is not None
                self._failed += saved is None


def _without_frame(notice: ViolationNotice) -> ViolationNotice:
    return replace(notice, frame=None, others=())

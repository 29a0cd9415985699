"""What the MQTT worker is told: one queue for all its news, bounded where others fill it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass

from edge_agent.types import ViolationNotice

_LOG = logging.getLogger(__name__)

MOST_NOTICES = 10_000
MOST_PICTURE_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Notice:
    notice: ViolationNotice
    jpeg: bytes | None
    clock_synced: bool


@dataclass(frozen=True, slots=True)
class Up:
    session: int


@dataclass(frozen=True, slots=True)
class Down:
    session: int


@dataclass(frozen=True, slots=True)
class Ack:
    session: int
    mid: int
    refusal: str | None
    """The name of the reason code with which the broker refused it; None: it was taken."""


@dataclass(frozen=True, slots=True)
class Incoming:
    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True)
class SwitchChanged:
    name: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Look at what has changed elsewhere: a new status, or the end."""


News = Notice | Up | Down | Ack | Incoming | SwitchChanged | Wake


class Inbox:
    """Thread-safe; putting never waits, not even while the worker is stuck in a slow disk."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._notices = 0
        self._picture_bytes = 0
        self._left_at: float | None = time.monotonic()
        self.dropped = 0
        """Events that found no room because the worker was stuck for too long."""

    @property
    def unattended(self) -> float:
        """Seconds for which nobody has asked for news; 0: somebody waits for them."""
        left_at = self._left_at
        return 0.0 if left_at is None else time.monotonic() - left_at

    def attended(self) -> None:
        """Somebody is there, though not yet for news."""
        self._left_at = time.monotonic()

    def put(self, news: News) -> None:
        if isinstance(news, Notice):
            size = len(news.jpeg or b"")
            with self._lock:
                if self._notices >= MOST_NOTICES:
                    self.dropped += 1
                    return
                if self._picture_bytes + size > MOST_PICTURE_BYTES:
                    news, size = Notice(news.notice, None, news.clock_synced), 0
                self._notices += 1
                self._picture_bytes += size
        self._queue.put(news)

    def take(self, timeout: float | None) -> list[News]:
        """All that is there, waiting up to `timeout` seconds (None: for ever) for the first."""
        found: list[News] = []
        self._left_at = None
        try:
            found.append(self._queue.get(timeout=timeout))
            while len(found) < 500:
                found.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        with self._lock:
            for news in found:
                if isinstance(news, Notice):
                    self._notices -= 1
                    self._picture_bytes -= len(news.jpeg or b"")
        self._left_at = time.monotonic()
        return found

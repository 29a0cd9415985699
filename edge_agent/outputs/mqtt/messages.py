"""What the outbox keeps: messages, before and after they have their numbers, and violations that are still open."""

from __future__ import annotations

from dataclasses import dataclass

ROW_OVERHEAD = 160
"""Bytes that a message is reckoned to take on the disk besides its body."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message that waits for the broker."""

    seq: int
    picture: bool
    """A snapshot's JPEG; otherwise a violation's JSON."""
    body: bytes
    boot_id: str
    monotonic: float
    """Monotonic seconds, within `boot_id`, of the moment it tells of."""
    clock_synced: bool
    """Whether the wall clock was right when the body was written."""

    @property
    def cost(self) -> int:
        """Bytes that count towards the cap."""
        return len(self.body) + ROW_OVERHEAD


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it has its number."""

    body: bytes
    monotonic: float
    """Monotonic seconds of the moment it tells of."""
    clock_synced: bool
    """Whether the wall clock was right at that moment."""
    picture: bool = False
    boot_id: str | None = None
    """The boot of `monotonic`; None: the present one."""
    opens: str | None = None
    """Id of the violation that begins with this message."""
    closes: str | None = None
    """Id of the violation that is over with it."""

    def numbered(self, seq: int, boot_id: str) -> Entry:
        """The message with its number; `boot_id`: the present boot."""
        return Entry(seq, self.picture, self.body, self.boot_id or boot_id, self.monotonic, self.clock_synced)


@dataclass(frozen=True, slots=True)
class OpenViolation:
    """A violation whose end was not reported yet, as its `started` message told of it."""

    event_id: str
    body: bytes
    boot_id: str
    monotonic: float
    clock_synced: bool

    @classmethod
    def begun_by(cls, started: Entry, event_id: str) -> OpenViolation:
        return cls(event_id, started.body, started.boot_id, started.monotonic, started.clock_synced)

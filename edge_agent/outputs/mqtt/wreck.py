"""A damaged outbox file: it is set aside, and what can still be read of it is told a little at a time."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

from edge_agent.outputs.mqtt.store import Entry, sound_entry

_LOG = logging.getLogger(__name__)

_KEEP = 2
_BATCH_BYTES = 1_000_000
_BATCH_ROWS = 1000
_CHUNK = 1_000_000
_JPEG = b"\xff\xd8\xff"
"""How every JPEG begins."""


class Wreck:
    """A damaged file's messages: from its start up to the damage, and from its end back to it.

    A text that is none any more is taken as well as it can be, and the columns by their places, not their names.
    No method raises for the file's sake; never more than a batch of it is held in memory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._batches = _batches(path)
        self._batch: list[Entry] | None = None

    def batch(self) -> list[Entry]:
        """The messages that come next, the same until `taken` is called; empty: there are no more."""
        if self._batch is None:
            self._batch = next(self._batches, [])
        return self._batch

    def taken(self) -> None:
        """The batch is safe elsewhere. A number may come twice."""
        self._batch = None

    def counters(self) -> dict[str, int]:
        """The counters, or none if they can't be read."""
        try:
            with closing(_connect(self.path)) as db:
                return {str(name): int(value) for name, value in db.execute("SELECT name, value FROM counter")}
        except (sqlite3.Error, ValueError, TypeError) as error:
            _LOG.debug("%s: no counters left: %s", self.path, error)
            return {}


def _connect(path: Path) -> sqlite3.Connection:
    # a generator that holds it may be thrown away in any thread
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return db


def _batches(path: Path) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entry in _entries(path):
        batch.append(entry)
        size += entry.cost
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_ROWS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _entries(path: Path) -> Iterator[Entry]:
    try:
        db = _connect(path)
    except sqlite3.Error as error:
        _LOG.debug("%s can't be opened: %s", path, error)
        return
    with closing(db):
        for direction in ("ASC", "DESC"):
            try:
                for row in db.execute(f"SELECT rowid, * FROM message ORDER BY rowid {direction}"):
                    entry = sound_entry((row[0], *row[2:]))  # the number is the row's own
                    if entry is not None:
                        yield entry
            except sqlite3.Error as error:
                _LOG.debug("%s: reading %s ended at the damage: %s", path, direction, error)
            else:
                return  # nothing was in the way: from the other end there is nothing else


def set_aside(path: Path, now: datetime) -> Path:
    """Rename a damaged file to carry its date, keeping the latest few, and return its new name.

    Raises:
        OSError: the folder is read-only or broken.
    """
    stamp = now.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    path.replace(aside)
    for side in ("-wal", "-shm"):
        companion = path.with_name(path.name + side)
        if companion.exists():
            companion.replace(aside.with_name(aside.name + side))
    kept = sorted(p for p in path.parent.glob(f"{path.name}.damaged-*") if p.name.endswith("Z"))
    for old in kept[:-_KEEP]:
        for leftover in path.parent.glob(old.name + "*"):
            leftover.unlink(missing_ok=True)
    return aside


def forget_damaged_pictures(path: Path) -> None:
    """Remove of what was set aside the files that hold pictures; one that can't be read or removed is a warning."""
    for leftover in path.parent.glob(f"{path.name}.damaged-*"):
        try:
            if _holds_jpeg(leftover):
                leftover.unlink()
        except OSError as error:
            _LOG.warning("%s may hold pictures and can't be removed: %s", leftover, error.strerror or error)


def _holds_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        end = b""
        while chunk := file.read(_CHUNK):
            if _JPEG in end + chunk[: len(_JPEG)] or _JPEG in chunk:
                return True
            end = chunk[1 - len(_JPEG) :]
    return False

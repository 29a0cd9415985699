"""A damaged outbox file: it is set aside, and what can still be read of it is saved a little at a time."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_agent.outputs.mqtt.messages import Entry, OpenViolation
from edge_agent.outputs.mqtt.store import Store, sound_entry, sound_violation

_LOG = logging.getLogger(__name__)

_KEEP = 2
_BATCH_BYTES = 1_000_000
_BATCH_ROWS = 1000
_CHUNK = 1_000_000
_JPEG = b"\xff\xd8\xff"
"""How every JPEG begins."""


class Wreck:
    """A file that was set aside: its messages, the violations that are open by it, and its counters.

    A text that is none any more is taken as well as it can be, and the columns by their places, not their names.
    Nothing is raised for the file's sake, and never more than a batch of it is held in memory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._batches = _batches(path)
        self._batch: list[Entry] = []  # read, but not safe elsewhere yet

    def bring_over(self, store: Store, wanted: Callable[[Entry], bool]) -> None:
        """Copy what can still be read and is wanted. A number may be read twice.

        Raises what `store` raises; where its disk fails, the next call goes on with the same batch.
        """
        while batch := self._batch or next(self._batches, []):
            self._batch = batch
            store.change(add=[entry for entry in batch if wanted(entry)])
            self._batch = []
        store.change(begun=self._open_violations(), counters=self._counters().items())

    def _open_violations(self) -> list[OpenViolation]:
        found: dict[str, OpenViolation] = {}
        for row in _rows(self.path, "SELECT * FROM open_violation ORDER BY rowid"):
            violation = sound_violation(row)
            if violation is not None:
                found.setdefault(violation.event_id, violation)
        return list(found.values())

    def _counters(self) -> dict[str, int]:
        found = {}
        for name, value in _rows(self.path, "SELECT name, value FROM counter ORDER BY name"):
            if isinstance(name, str) and isinstance(value, int):
                found[name] = value
        return found


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
    for row in _rows(path, "SELECT rowid, * FROM message ORDER BY rowid"):
        entry = sound_entry((row[0], *row[2:]))  # the number is the row's own
        if entry is not None:
            yield entry


def _rows(path: Path, select: str) -> Iterator[tuple[Any, ...]]:
    """The rows from the start up to the damage, and from the end back to it."""
    try:
        db = _connect(path)
    except sqlite3.Error as error:
        _LOG.debug("%s can't be opened: %s", path, error)
        return
    with closing(db):
        for direction in ("ASC", "DESC"):
            try:
                yield from db.execute(f"{select} {direction}")
            except sqlite3.Error as error:
                _LOG.debug("%s: %s %s ended at the damage: %s", path, select, direction, error)
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

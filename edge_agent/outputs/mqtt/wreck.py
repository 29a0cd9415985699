"""What becomes of a damaged outbox file: it is set aside, and what can still be read of it is saved bit by bit.

While that lasts it is called `<outbox>.saving-<date>-<try>`, so that the next start finds it if the process dies
over it; then `<outbox>.damaged-<date>`.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_agent.files import sync_folder
from edge_agent.outputs.mqtt.messages import Entry, OpenViolation
from edge_agent.outputs.mqtt.store import Store, sound_entry, sound_violation

_LOG = logging.getLogger(__name__)

_KEEP = 2
_TRIES = 3
"""A file over which the process died so often is not read again."""
_NAME = re.compile(r"(?P<outbox>.+)\.saving-(?P<stamp>[0-9T.]+Z)-(?P<tries>[0-9])")
_SIDES = ("-wal", "-shm")
_BATCH_BYTES = 1_000_000
_BATCH_ROWS = 1000
_CHUNK = 1_000_000
_JPEG = b"\xff\xd8\xff"
"""How every JPEG begins."""


class Wreck:
    """A file that was set aside: its messages, the violations that are open by it, and its counters.

    A text that is none any more is taken as well as it can be, and the columns by their places, not their names.
    Nothing is raised for a damage's sake, and never more than a batch of it is held in memory.
    """

    def __init__(self, path: Path, *, earlier: bool = False) -> None:
        """`earlier`: an earlier run began to save it."""
        self.path = path
        self.earlier = earlier
        self._db: sqlite3.Connection | None = None
        self._batches = self._in_batches()
        self._batch: list[Entry] = []  # read, but not safe elsewhere yet
        self._entries = self._sound_entries()
        self._ahead: Entry | None = None  # read, but not given to the caller of `events` yet

    def bring_over(self, store: Store, wanted: Callable[[Entry], bool]) -> None:
        """Copy what can still be read and is wanted. A number may be read twice.

        Raises what `store` raises; where its disk fails, the next call goes on with the same batch. And
        `sqlite3.OperationalError` while another process reads the file.
        """
        self._lock()
        while batch := self._batch or next(self._batches, []):
            self._batch = batch
            store.change(salvaged=[entry for entry in batch if wanted(entry)])
            self._batch = []
        # the new file may have counted on since an earlier run began to save this one
        reached = store.counters()
        counters = [(name, max(value, reached.get(name, 0))) for name, value in self._counters().items()]
        store.change(begun=self._open_violations(), counters=counters)

    def events(self, room: int, wanted: Callable[[Entry], bool]) -> Iterator[Entry]:
        """Wanted events of so many bytes, from where the last call ended on; `bring_over` copies them all the same.

        Raises what `wanted` raises, and `sqlite3.OperationalError` while another process reads the file.
        """
        self._lock()
        while entry := self._ahead or next(self._entries, None):
            self._ahead = entry
            if not entry.picture and wanted(entry):
                if entry.cost > room:
                    return
                room -= entry.cost
                yield entry
            self._ahead = None

    def upcoming(self) -> int:
        """The number that the next message was to have; 0: unknown."""
        return self._counters().get("next_seq", 0)

    def finish(self) -> bool:
        """Nothing more is to be had of it. False: the next start will try all the same, for it can't be renamed."""
        self.close()
        name = _NAME.fullmatch(self.path.name)
        if name is not None:
            try:
                self.path = _finished(self.path, name)
            except OSError as error:
                _LOG.warning("%s was saved, but can't be renamed: %s", self.path, error.strerror or error)
                return False
        return True

    def release(self) -> None:
        """The service ends in good order before all is saved: that is no try at which the process died."""
        self.close()
        name = _NAME.fullmatch(self.path.name)
        if name is not None:
            try:
                self.path = _renumber(self.path, name, max(0, int(name["tries"]) - 1))
            except OSError as error:
                _LOG.warning("%s can't be renamed: %s", self.path, error.strerror or error)

    def close(self) -> None:
        """Let go of the file; it would be read from its start again."""
        self._batches.close()
        self._entries.close()
        if self._db is not None:
            self._db.close()
            self._db = None
        self._batches, self._batch = self._in_batches(), []
        self._entries, self._ahead = self._sound_entries(), None

    def _lock(self) -> None:
        """Open the file, unless it is; it stays locked until `close`.

        Raises:
            sqlite3.OperationalError: another process reads it; that would pass for damage later.
        """
        if self._db is not None:
            return
        db = None
        try:
            db = _connect(self.path)
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            if db is not None and "locked" in str(error):
                db.close()
                raise
        self._db = db

    def _open_violations(self) -> list[OpenViolation]:
        found: dict[str, OpenViolation] = {}
        for row in self._rows("SELECT * FROM open_violation ORDER BY rowid"):
            violation = sound_violation(row)
            if violation is not None:
                found.setdefault(violation.event_id, violation)
        return list(found.values())

    def _counters(self) -> dict[str, int]:
        found = {}
        for name, value in self._rows("SELECT name, value FROM counter ORDER BY name"):
            if isinstance(name, str) and isinstance(value, int):
                found[name] = value
        return found

    def _in_batches(self) -> Generator[list[Entry], None, None]:
        batch: list[Entry] = []
        size = 0
        for entry in self._sound_entries():
            batch.append(entry)
            size += entry.cost
            if size >= _BATCH_BYTES or len(batch) >= _BATCH_ROWS:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _sound_entries(self) -> Generator[Entry, None, None]:
        for row in self._rows("SELECT rowid, * FROM message ORDER BY rowid"):
            entry = sound_entry((row[0], *row[2:]))  # the number is the row's own
            if entry is not None:
                yield entry

    def _rows(self, select: str) -> Iterator[tuple[Any, ...]]:
        """The rows from the start up to the damage, and from the end back to it."""
        for direction in ("ASC", "DESC"):
            try:
                if self._db is None:
                    self._db = _connect(self.path)
                yield from self._db.execute(f"{select} {direction}")
            except sqlite3.Error as error:
                _LOG.debug("%s: %s %s ended at the damage: %s", self.path, select, direction, error)
            else:
                return  # nothing was in the way: from the other end there is nothing else


def _connect(path: Path) -> sqlite3.Connection:
    # whoever throws it away may do so in any thread
    db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    # needs no shared memory file: a full disk has no room for one, and that would pass for damage
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    return db


def set_aside(path: Path, now: datetime) -> Path:
    """Rename a damaged file to carry its date, and return its new name.

    Raises:
        OSError: the folder is read-only or broken.
    """
    stamp = now.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    # A disk that damages every new file would fill up with such. The first ones hold the most.
    if len(_unfinished(path)) < _KEEP:
        aside = path.with_name(f"{path.name}.saving-{stamp}-1")
    else:
        aside = path.with_name(f"{path.name}.damaged-{stamp}")
    _rename(path, aside)
    _keep_the_latest(path)
    return aside


def take_up(path: Path, known: Collection[Path]) -> list[Wreck]:
    """What earlier runs have not saved to the end, besides `known`; only for who holds the lock of the outbox.

    Each is a try, noted in the name before the file is read; after the last one it is left alone. Raises nothing:
    one that can't be renamed is a warning, and is not read, for it could kill the process at each start.
    """
    found = []
    for aside in _unfinished(path):
        name = _NAME.fullmatch(aside.name)
        if name is None or aside in known:
            continue
        tries = int(name["tries"])
        try:
            if tries >= _TRIES:
                left = _finished(aside, name)
                _LOG.error("the service ended %d times while it saved %s: it is left alone", tries, left)
            else:
                found.append(Wreck(_renumber(aside, name, tries + 1), earlier=True))
        except OSError as error:
            _LOG.warning("%s can't be renamed, and so not be saved: %s", aside, error.strerror or error)
    return found


def _unfinished(path: Path) -> list[Path]:
    """In the order of their dates."""
    names = path.parent.glob(f"{path.name}.saving-*")
    return sorted(p for p in names if (m := _NAME.fullmatch(p.name)) and m["outbox"] == path.name)


def _finished(aside: Path, name: re.Match[str]) -> Path:
    done = aside.with_name(f"{name['outbox']}.damaged-{name['stamp']}")
    _rename(aside, done)
    _keep_the_latest(aside.with_name(name["outbox"]))
    return done


def _renumber(aside: Path, name: re.Match[str], tries: int) -> Path:
    renamed = aside.with_name(f"{name['outbox']}.saving-{name['stamp']}-{tries}")
    _rename(aside, renamed)
    return renamed


def _rename(path: Path, renamed: Path) -> None:
    """Rename a file and its journal, and have it on the disk before anything is done with the file."""
    if path == renamed:
        return
    name = _NAME.fullmatch(path.name)
    path.replace(renamed)
    for side in _SIDES:
        companions = [path.with_name(path.name + side)]
        if name is not None:  # a process that died between the two renames left it under the number before
            companions += path.parent.glob(f"{name['outbox']}.saving-{name['stamp']}-[0-9]{side}")
        for companion in companions:
            if companion.exists():
                companion.replace(renamed.with_name(renamed.name + side))
    sync_folder(path.parent)


def _keep_the_latest(path: Path) -> None:
    kept = sorted(p for p in path.parent.glob(f"{path.name}.damaged-*") if p.name.endswith("Z"))
    for old in kept[:-_KEEP]:
        for leftover in path.parent.glob(old.name + "*"):
            leftover.unlink(missing_ok=True)


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

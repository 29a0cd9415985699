"""Messages in an SQLite file: what the outbox keeps on the disk."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from edge_agent.outputs.mqtt.messages import ROW_OVERHEAD, Entry, OpenViolation

_LOG = logging.getLogger(__name__)

_COLUMNS = "seq, picture, body, boot_id, monotonic, clock_synced"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
  seq INTEGER PRIMARY KEY,
  picture INTEGER NOT NULL,
  body BLOB NOT NULL,
  boot_id TEXT NOT NULL,
  monotonic REAL NOT NULL,
  clock_synced INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS open_violation (
  event_id TEXT PRIMARY KEY,
  body BLOB NOT NULL,
  boot_id TEXT NOT NULL,
  monotonic REAL NOT NULL,
  clock_synced INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS brought_over (seq INTEGER PRIMARY KEY);
"""
"""A file of a version that knew fewer tables gets the others when it is opened."""


class DamagedError(Exception):
    """The file is no sound database."""


class Store:
    """One open file; not thread-safe. Every method commits before it returns.

    All methods raise `DamagedError` if the file turns out to be corrupt, and `sqlite3.Error` or `OSError` if the
    disk is full, read-only or broken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._traces = True
        """Whether the journal may hold pictures, of an earlier run too."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # the owner alone may read who was seen when; SQLite gives its side files the same mode
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            with _damage():
                # EXCLUSIVE: two services on one file would send everything twice; and no shared memory file
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA secure_delete = ON")  # no delivered picture in free pages
                self._db.execute("PRAGMA synchronous = FULL")  # a commit is on the disk, not only on its way
                self._db.execute("PRAGMA wal_autocheckpoint = 256")
                self._db.execute("PRAGMA journal_size_limit = 1048576")
                self._db.executescript(_SCHEMA)
                (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
                if verdict != "ok":
                    raise DamagedError(verdict)
        except BaseException:
            self._db.close()
            raise

    def counters(self) -> dict[str, int]:
        """What `change` has set."""
        with _damage():
            counters = dict(self._db.execute("SELECT name, value FROM counter").fetchall())
        if not all(isinstance(value, int) for value in counters.values()):
            raise DamagedError("a counter is no number")
        return counters

    def contents(self) -> Iterator[tuple[int, bool, int]]:
        """(seq, picture, cost) of every message in order, read while it is iterated."""
        with _damage():
            rows = self._db.execute("SELECT seq, picture, length(body) FROM message ORDER BY seq")
            for seq, picture, length in rows:
                yield seq, bool(picture), length + ROW_OVERHEAD

    def open_violations(self) -> list[OpenViolation]:
        """The violations that have begun and are not over, in the order in which they began."""
        with _damage():
            rows = self._db.execute("SELECT * FROM open_violation ORDER BY rowid").fetchall()
        found = [violation for row in rows if (violation := sound_violation(row)) is not None]
        if len(found) < len(rows):
            raise DamagedError("an open violation holds values of other types")
        return found

    def change(
        self,
        *,
        add: Sequence[Entry] = (),
        remove: Iterable[int] = (),
        begun: Iterable[OpenViolation] = (),
        over: Iterable[str] = (),
        counters: Iterable[tuple[str, int]] = (),
        salvaged: Sequence[Entry] = (),
        settled: Iterable[int] = (),
    ) -> None:
        """Add and remove messages and open violations, and set counters: all of it or nothing.

        `salvaged`: messages of a damaged file; each number is taken once, delivered or not, until
        `forget_brought_over`. `settled`: numbers that will not be taken from a damaged file any more.
        """
        # also if it fails half-way
        self._traces = self._traces or any(entry.picture for entry in (*add, *salvaged))
        with _damage():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                # removed first, so that a full disk finds the room
                self._db.executemany("DELETE FROM message WHERE seq = ?", [(seq,) for seq in remove])
                self._db.executemany(
                    f"INSERT OR REPLACE INTO message ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
                    [_values(entry) for entry in add],
                )
                self._db.executemany(
                    f"INSERT OR REPLACE INTO message ({_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6 "
                    "WHERE NOT EXISTS (SELECT 1 FROM brought_over WHERE seq = ?1)",
                    [_values(entry) for entry in salvaged],
                )
                self._db.executemany(
                    "INSERT OR IGNORE INTO brought_over VALUES (?)",
                    [(seq,) for seq in (*settled, *(entry.seq for entry in salvaged))],
                )
                self._db.executemany("DELETE FROM open_violation WHERE event_id = ?", [(each,) for each in over])
                self._db.executemany(
                    "INSERT OR REPLACE INTO open_violation VALUES (?, ?, ?, ?, ?)",
                    [(v.event_id, v.body, v.boot_id, v.monotonic, v.clock_synced) for v in begun],
                )
                self._db.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", list(counters))
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def brought_over(self, seq: int) -> bool:
        """Whether a message of a damaged file was taken already, or is settled."""
        with _damage():
            found = self._db.execute("SELECT 1 FROM brought_over WHERE seq = ?", (seq,)).fetchone()
        return found is not None

    def forget_brought_over(self) -> None:
        """No damaged file is left to take messages from. Raises nothing: what stays noted does no harm."""
        try:
            self._db.execute("DELETE FROM brought_over")
        except sqlite3.Error as error:
            _LOG.debug("%s: what was brought over stays noted: %s", self._path, error)

    def forget_traces(self) -> None:
        """Empty the journal: pictures that were deleted from the file stand there still. For when none waits.

        Where the disk will not have it, the next call tries again; it raises nothing.
        """
        if not self._traces:
            return
        try:
            (busy, _, _) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            _LOG.debug("%s: the journal can't be emptied: %s", self._path, error)
        else:
            self._traces = bool(busy)

    def read(self, seqs: Sequence[int]) -> list[Entry]:
        """The messages with these numbers, in order; unknown ones are left out."""
        with _damage():
            marks = ", ".join("?" * len(seqs))
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM message WHERE seq IN ({marks}) ORDER BY seq", list(seqs)
            ).fetchall()
        entries = [entry for row in rows if (entry := sound_entry(row)) is not None]
        if len(entries) < len(rows):
            raise DamagedError("a message holds values of other types")
        return entries

    def close(self) -> None:
        self._db.close()


def _values(entry: Entry) -> tuple[int, bool, bytes, str, float, bool]:
    return entry.seq, entry.picture, entry.body, entry.boot_id, entry.monotonic, entry.clock_synced


def sound_entry(row: tuple[object, ...]) -> Entry | None:
    """The entry, if the file gave every value in its type."""
    if len(row) != 6:
        return None
    seq, picture, body, boot_id, monotonic, clock_synced = row
    sound = (
        isinstance(seq, int)
        and seq > 0
        and isinstance(body, bytes)
        and isinstance(boot_id, str)
        and isinstance(monotonic, float)
    )
    if not sound:
        return None
    return Entry(seq, bool(picture), body, boot_id, monotonic, bool(clock_synced))  # type: ignore[arg-type]


def sound_violation(row: tuple[object, ...]) -> OpenViolation | None:
    """The open violation, if the file gave every value in its type."""
    if len(row) != 5 or not isinstance(row[0], str) or sound_entry((1, False, *row[1:])) is None:
        return None
    event_id, body, boot_id, monotonic, clock_synced = row
    return OpenViolation(event_id, body, boot_id, monotonic, bool(clock_synced))  # type: ignore[arg-type]


_DISK_CODES = frozenset({3, 5, 6, 7, 8, 9, 10, 13, 14, 15})
"""https://www.sqlite.org/rescode.html: no permission, busy, locked, out of memory, read-only, interrupted, I/O
error, full, can't be opened, locking protocol."""
_DISK_WORDS = (
    "full",
    "readonly",
    "read-only",
    "locked",
    "busy",
    "i/o error",
    "unable to open",
    "out of memory",
    "interrupted",
    "locking protocol",
    "permission",
)


def _is_damage(error: BaseException | None) -> bool:
    """Whether the file itself is to blame, so that a new one would mend it.

    Whatever is not known to come from the disk is taken for damage: SQLite has many words for what a flipped bit
    does, and a file taken for sound with such a row would never be read beyond it again.
    """
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):  # this program's own fault
        return False
    code = getattr(error, "sqlite_errorcode", None)  # from Python 3.11 on, and only where SQLite itself complains
    if isinstance(code, int):
        return code & 0xFF not in _DISK_CODES
    text = str(error).lower()
    # the first quotes what is in the column, which may be any word
    return text.startswith("could not decode") or not any(word in text for word in _DISK_WORDS)


class _damage:  # noqa: N801 - used as a statement
    """Turns what SQLite says of a corrupt file into `DamagedError`; other errors pass."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if _is_damage(error):
            raise DamagedError(str(error)) from error

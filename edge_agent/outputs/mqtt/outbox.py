"""The durable queue between a violation and the broker: on disk, in order, within its cap, in memory if it must."""

from __future__ import annotations

import heapq
import logging
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_agent.outputs.mqtt.backlog import Backlog, SequenceMark
from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.memory import Memory
from edge_agent.outputs.mqtt.messages import Draft, Entry, OpenViolation
from edge_agent.outputs.mqtt.open_violations import OpenViolations
from edge_agent.outputs.mqtt.store import DamagedError, Store
from edge_agent.outputs.mqtt.wreck import forget_damaged_pictures, set_aside
from edge_agent.outputs.mqtt.wrecks import Wrecks

_LOG = logging.getLogger(__name__)

MEMORY_BYTES = 8_000_000
"""Cap of what waits in memory while the disk is full or broken; never more than the outbox's own cap."""

DISK_RETRY = 5.0
"""Seconds between attempts to use a disk that failed."""


class Outbox:
    """Keeps messages until the broker has acknowledged them; not thread-safe.

    No method raises for the disk's sake: without it the messages wait in memory, `alarm` says why, and they move
    to the disk as soon as it takes them.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        *,
        clock: Clock | None = None,
        memory_bytes: int = MEMORY_BYTES,
        pictures: bool = True,
    ) -> None:
        """Open the file, or begin a new one.

        `max_bytes`: cap of the waiting messages, each with `ROW_OVERHEAD`; beyond it pictures are dropped first,
        then the oldest events. `pictures`: False forgets those that are found waiting, for snapshots were
        switched off; whenever the file can be read, that is, not only now.
        """
        self._pictures = pictures
        self._path = path
        self._max_bytes = max_bytes
        self._clock = clock or Clock.system()
        self._mark = SequenceMark(path.with_name(path.name + ".seq"))
        self._store: Store | None = None
        self._backlog = Backlog()
        self._memory = Memory(min(memory_bytes, max_bytes))  # not on the disk yet
        self._gone: set[int] = set()  # still on the disk, though delivered or dropped
        self._violations = OpenViolations()
        self._next = 1
        self._retry_at = 0.0
        self._trouble: str | None = None
        self._note: str | None = None
        self._unreadable = 0
        self._wrecks = Wrecks(path)
        self.dropped = 0
        """Events given up since the file was created: for the cap, or as nobody could read them."""
        self.dropped_pictures = 0
        """Pictures given up for the cap, or because the broker would not have them."""
        self.committed = 0
        """Messages of this run that have been brought to the disk."""
        self.openings = 0
        """How often a file's messages were taken up: after it was out of reach, old numbers wait again."""
        self._open()

    @property
    def depth(self) -> int:
        """Messages that wait."""
        return len(self._backlog)

    @property
    def bytes(self) -> int:
        """What they count towards the cap."""
        return self._backlog.bytes

    @property
    def last_seq(self) -> int:
        """Number of the newest message ever appended; 0: none."""
        return self._next - 1

    @property
    def alarm(self) -> str | None:
        """What is wrong; None: nothing. That the file or an event had been damaged is told until the next start."""
        lost = f"events that could not be read and were given up: {self._unreadable}" if self._unreadable else None
        return "; ".join(text for text in (self._trouble, self._note, lost) if text) or None

    @property
    def left_open(self) -> list[OpenViolation]:
        """Violations that began in an earlier run, which died before it could report their end.

        None of them is here any more once a message that `closes` it is appended.
        """
        return list(self._violations.left.values())

    def append(self, drafts: Sequence[Draft]) -> list[int]:
        """Take messages in this order and return their numbers. They are on the disk when this returns, unless
        `alarm` tells otherwise."""
        first = self._next
        for draft in drafts:
            entry = draft.numbered(self._next, self._clock.boot_id)
            if draft.opens is not None:
                self._violations.begin(OpenViolation.begun_by(entry, draft.opens))
            if draft.closes is not None:
                self._violations.end(draft.closes)
            self._backlog.add(entry.seq, entry.picture, entry.cost)
            self._memory.add(entry)
            self._next += 1
        self._drop(self._backlog.victims(self._backlog.bytes - self._max_bytes))
        self._mark.reserve(self._next)
        self._sync()
        return list(range(first, self._next))

    def pending(self, *, after: int = 0, limit: int = 1) -> list[Entry]:
        """Up to `limit` waiting messages with a number above `after`, in order."""
        seqs = self._backlog.after(after, limit)
        on_disk = [seq for seq in seqs if seq not in self._memory]
        found: dict[int, Entry] = {}
        if on_disk and self._store is not None:
            try:
                found = {entry.seq: entry for entry in self._store.read(on_disk)}
            except DamagedError as error:
                self._begin_anew(error)
                return self.pending(after=after, limit=limit)
            except (sqlite3.Error, OSError) as error:
                self._close_store()
                self._fail(error)
                return self.pending(after=after, limit=limit)
        return [entry for seq in seqs if (entry := self._memory.get(seq) or found.get(seq)) is not None]

    def forget_violation(self, event_id: str) -> None:
        """This violation is over, though no message says so."""
        self._violations.end(event_id)
        self._sync()

    def delivered(self, *seqs: int) -> None:
        """The broker has acknowledged these messages: they are forgotten. Unknown numbers are fine."""
        self._forget(seqs)
        self._sync()

    def drop_picture(self, seq: int) -> None:
        """Give up a picture that the broker will not have."""
        if seq in self._backlog.pictures:
            self._drop([seq])
            self._sync()

    def drop_unreadable(self, seq: int) -> None:
        """Give up an event of which no message can be made; it is counted, and an alarm until the next start."""
        if seq in self._backlog:
            self._drop([seq], full=False)
            self._unreadable += 1
            self._sync()

    def tend(self) -> None:
        """Try the disk again if it is due, and clear up after delivered pictures; call every few seconds."""
        self._sync()
        if self._store is not None and self._trouble is None and not self._backlog.pictures:
            self._store.forget_traces()

    def close(self) -> None:
        """Bring to the disk what can be, and close the file."""
        self._retry_at = 0.0
        self._sync()
        if lost := self._memory.events_at_risk:
            _LOG.error("%d events waited in memory only and end with the service: %s", lost, self._trouble)
        self._wrecks.release()
        self._close_store()

    def _forget(self, seqs: Iterable[int]) -> None:
        for seq in tuple(seqs):
            known = self._backlog.remove(seq)
            # Without the file, or while one is to be saved, not all is known of what they hold.
            alone = self._memory.remove(seq)
            if not alone and (known or self._store is None or self._wrecks):
                self._gone.add(seq)

    def _drop(self, victims: Sequence[int], *, full: bool = True) -> None:
        events = sum(1 for seq in victims if seq not in self._backlog.pictures)
        if full and events and not self.dropped:
            _LOG.warning("the outbox has reached its cap of %d bytes: the oldest events go", self._max_bytes)
        self.dropped += events
        self.dropped_pictures += len(victims) - events
        self._forget(victims)

    def _open(self, *, fresh: bool = False) -> None:
        """Take up what the file holds; `fresh`: it was made a moment ago, and damage to it is the disk's."""
        try:
            if self._store is None:
                self._store = Store(self._path)
            aside = self._bring_over(self._store)
            if not self._pictures:
                forget_damaged_pictures(self._path)
            self._adopt(self._store)
            if aside is not None:
                where = f"set aside as {aside.name}" if aside.exists() else "removed, as it held pictures"
                saved = len(self._backlog) - len(self._memory)
                self._note = f"the file was damaged and {where}; {saved} messages were saved"
                _LOG.error("outbox: %s", self._note)
        except DamagedError as error:
            if fresh:
                self._wrecks.forget()
                self._memory.keep_lent()
                self._close_store()
                self._fail(error)
            else:
                self._begin_anew(error)
        except (sqlite3.Error, OSError, MemoryError) as error:
            self._next = max(self._next, self._mark.read(), self._wrecks.upcoming())
            if not self._wrecks or isinstance(error, MemoryError):
                self._close_store()
                self._fail(error)
            else:
                self._reach_what_can_be(error)
        except BaseException:
            self._close_store()  # it is taken up by half
            self._wrecks.close()
            raise

    def _reach_what_can_be(self, error: Exception) -> None:
        """The file takes nothing more of a damaged one: go on with what it holds, and lend events to the memory."""
        self._adopt_or_close()
        self._fail(error)
        # without the file nobody knows which events of earlier runs' wrecks went out already
        lent = self._wrecks.lend(self._memory.room, self._out_of_reach, earlier=self._store is not None)
        if lent:
            self._memory.lend(lent)
            self._adopt_or_close()

    def _out_of_reach(self, entry: Entry) -> bool:
        if entry.seq in self._backlog or not self._wanted(entry):
            return False
        return self._store is None or not self._store.brought_over(entry.seq)

    def _adopt_or_close(self) -> None:
        if self._store is not None:
            try:
                self._adopt(self._store)
            except (DamagedError, sqlite3.Error, OSError) as error:
                _LOG.debug("%s can't be read: %s", self._path, error)
                self._close_store()
            else:
                return
        self._backlog = Backlog((entry.seq, entry.picture, entry.cost) for entry in self._memory)
        self.openings += 1

    def _adopt(self, store: Store) -> None:
        """Take up what a file holds beside what waits in memory."""
        counters = store.counters()
        on_disk = (row for row in store.contents() if row[0] not in self._gone and row[0] not in self._memory)
        in_memory = ((entry.seq, entry.picture, entry.cost) for entry in self._memory)
        self._backlog = Backlog(heapq.merge(on_disk, in_memory))  # both ascend
        self._violations.found(store.open_violations())
        self.openings += 1
        self.dropped = max(self.dropped, counters.get("dropped", 0))
        self.dropped_pictures = max(self.dropped_pictures, counters.get("dropped_pictures", 0))
        upcoming = counters.get("next_seq", 0) or self._mark.read()
        self._next = max(self._next, upcoming, self._backlog.last + 1)
        if not self._pictures:
            self._forget(self._backlog.pictures)

    def _sync(self) -> None:
        """Make the disk agree with what is known here, unless it failed a moment ago."""
        pending = self._memory or self._gone or self._wrecks or self._violations.begun or self._violations.over
        if not pending and self._store is not None and self._trouble is None:
            return
        if self._trouble is not None and self._clock.monotonic() < self._retry_at:
            self._limit_memory()
            return
        if self._store is None or self._wrecks:
            self._open()
        self._write_if_whole()

    def _write_if_whole(self, *, fresh: bool = False) -> None:
        """What is new goes into the file only once it holds all that was saved of the one before."""
        if self._store is not None and not self._wrecks:
            self._write(self._store, fresh=fresh)

    def _write(self, store: Store, *, fresh: bool = False) -> None:
        counters = (
            ("next_seq", self._next),
            ("dropped", self.dropped),
            ("dropped_pictures", self.dropped_pictures),
        )
        try:
            store.change(
                add=tuple(self._memory),
                remove=tuple(self._gone),
                begun=tuple(self._violations.begun.values()),
                over=tuple(self._violations.over),
                counters=counters,
            )
        except DamagedError as error:
            if fresh:  # a disk that damages a new file at once is tried again later, not for ever
                self._close_store()
                self._fail(error)
            else:
                self._begin_anew(error)
            return
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            return
        self.committed += len(self._memory)
        self._memory.clear()
        self._gone.clear()
        self._violations.written()
        if self._trouble is not None:
            _LOG.info("the outbox is on the disk again")
            self._trouble = None

    def _fail(self, error: Exception) -> None:
        """Go on in memory."""
        text = str(error) or type(error).__name__
        if self._trouble is None:
            what_to_do = "make room, mend the disk, or give this user its folder"
            _LOG.error("the outbox can't use %s: %s; %s", self._path, text, what_to_do)
        self._trouble = f"events wait in memory only: {text}"
        self._retry_at = self._clock.monotonic() + DISK_RETRY
        self._limit_memory()

    def _limit_memory(self) -> None:
        for seq in self._memory.give_back(-self._memory.room):  # they are copied when the disk is back
            self._backlog.remove(seq)
        self._drop(self._backlog.victims(-self._memory.room, self._memory))

    def _begin_anew(self, damage: DamagedError) -> None:
        """Set a damaged file aside with its date, and begin a new one with what can still be read of it.

        In this order: should the damage kill the process, it will not do so at each start.
        """
        self._close_store()
        try:
            aside = set_aside(self._path, self._clock.wall())
        except OSError as error:
            self._fail(error)
            return
        _LOG.error("the outbox is damaged (%s) and set aside as %s", damage, aside)
        self._note = f"the file was damaged and set aside as {aside.name}"
        self._wrecks.add(aside)
        self._violations.begin_anew()
        self._open(fresh=True)
        self._write_if_whole(fresh=True)

    def _bring_over(self, store: Store) -> Path | None:
        """Copy what can still be read of files that were set aside; returns the latest of these, if any."""
        self._wrecks.look()
        if self._wrecks and self._gone:  # first, for it makes room on a full disk
            store.change(remove=tuple(self._gone), settled=tuple(self._gone))
        aside = self._wrecks.bring_over(store, self._wanted)
        self._memory.give_back()
        return aside

    def _wanted(self, entry: Entry) -> bool:
        return entry.seq not in self._gone and (self._pictures or not entry.picture)

    def _close_store(self) -> None:
        """Close the file; what is in it alone is out of reach until it opens again."""
        if self._store is None:
            return
        try:
            self._store.close()
        except sqlite3.Error as error:
            _LOG.warning("closing %s: %s", self._path, error)
        self._store = None
        for seq in [seq for seq in self._backlog if seq not in self._memory]:
            self._backlog.remove(seq)

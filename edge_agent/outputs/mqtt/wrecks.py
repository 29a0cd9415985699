"""The damaged files of one outbox that are not saved to the end yet."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

from edge_agent.outputs.mqtt.messages import Entry
from edge_agent.outputs.mqtt.store import DamagedError, Store
from edge_agent.outputs.mqtt.wreck import Wreck, take_up

_LOG = logging.getLogger(__name__)


class Wrecks:
    """In the order in which they were damaged; those of earlier runs are found when the first is brought over."""

    def __init__(self, path: Path) -> None:
        """`path`: the outbox's file, after which they are named."""
        self._path = path
        self._wrecks: list[Wreck] = []
        self._looked = False  # for those of earlier runs

    def __len__(self) -> int:
        return len(self._wrecks)

    def add(self, aside: Path) -> None:
        """One more, which was just set aside."""
        self._wrecks.append(Wreck(aside))

    def look(self) -> None:
        """Find those of earlier runs, once; only for who holds the lock of the outbox."""
        if not self._looked:
            self._looked = True
            self._wrecks[:0] = take_up(self._path, {wreck.path for wreck in self._wrecks})

    def bring_over(self, store: Store, wanted: Callable[[Entry], bool]) -> Path | None:
        """Copy what can still be read and is wanted; returns the latest file that was saved, if any.

        Raises what `Wreck.bring_over` raises; the next call goes on where this one stopped.
        """
        aside = None
        finished = True
        while self._wrecks:
            self._wrecks[0].bring_over(store, wanted)
            wreck = self._wrecks.pop(0)
            finished = wreck.finish() and finished
            aside = wreck.path
        if aside is not None and finished:
            store.forget_brought_over()
        return aside

    def lend(self, room: int, wanted: Callable[[Entry], bool], *, earlier: bool) -> list[Entry]:
        """Wanted events of so many bytes, from where the last call ended on, as far as they can be read.

        `earlier`: also those of files that an earlier run began to save.
        """
        lent: list[Entry] = []
        try:
            for wreck in self._wrecks:
                if wreck.earlier and not earlier:
                    continue
                for entry in wreck.events(room, wanted):
                    room -= entry.cost
                    lent.append(entry)
        except (DamagedError, sqlite3.Error, OSError, MemoryError) as why:
            _LOG.debug("no more of a damaged file can be lent: %s", why)  # the next attempt will see to it
        return lent

    def upcoming(self) -> int:
        """The number that the next message was to have; 0: unknown."""
        return max((wreck.upcoming() for wreck in self._wrecks), default=0)

    def close(self) -> None:
        """Let go of the files: else they would look locked to the next outbox."""
        for wreck in self._wrecks:
            wreck.close()

    def forget(self) -> None:
        """Nothing of them is saved in this run; the next start will try."""
        self.close()
        self._wrecks.clear()

    def release(self) -> None:
        """The service ends in good order: that is no try at which it died."""
        for wreck in self._wrecks:
            wreck.release()

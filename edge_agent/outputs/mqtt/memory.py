"""What waits in memory: messages that the disk has not taken yet, and those lent from a damaged file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edge_agent.outputs.mqtt.messages import Entry


class Memory:
    """Messages by their numbers, ascending.

    Some are only lent: a damaged file still holds them, and they go out from here until the disk takes them.
    """

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes`: what all of them together should cost at most; who fills it must see to that."""
        self._max_bytes = max_bytes
        self._entries: dict[int, Entry] = {}
        self._lent: set[int] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, seq: object) -> bool:
        return seq in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    @property
    def room(self) -> int:
        """Bytes that are left; below zero: too much is here."""
        return self._max_bytes - sum(entry.cost for entry in self._entries.values())

    @property
    def events_at_risk(self) -> int:
        """Events that are nowhere else."""
        return sum(not entry.picture and seq not in self._lent for seq, entry in self._entries.items())

    def get(self, seq: int) -> Entry | None:
        """The message, if it is here."""
        return self._entries.get(seq)

    def add(self, entry: Entry) -> None:
        """Append a message; its number must be the highest so far."""
        self._entries[entry.seq] = entry

    def remove(self, seq: int) -> bool:
        """Forget a message; True if it was nowhere else."""
        alone = self._entries.pop(seq, None) is not None and seq not in self._lent
        self._lent.discard(seq)
        return alone

    def clear(self) -> None:
        """Forget all: the disk has taken them."""
        self._entries.clear()
        self._lent.clear()

    def lend(self, entries: Iterable[Entry]) -> None:
        """Take messages that a damaged file holds as well; of one that is here already, the first is as good."""
        lent = {entry.seq: entry for entry in entries}
        self._lent.update(lent)
        self._entries = dict(sorted((lent | self._entries).items()))

    def keep_lent(self) -> None:
        """What was lent is nowhere else from now on."""
        self._lent.clear()

    def give_back(self, excess: int | None = None) -> list[int]:
        """Forget what was lent, newest first, until `excess` bytes are won, or all; no loss. Their numbers."""
        back: list[int] = []
        for seq in sorted(self._lent, reverse=True):
            if excess is not None:
                if excess <= 0:
                    break
                excess -= self._entries[seq].cost
            self.remove(seq)
            back.append(seq)
        return back

"""The outbox's table of contents: what waits, how big it is, and who must go first; and its numbering."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from edge_agent.files import replace_durably

_LOG = logging.getLogger(__name__)

_SEQ_BLOCK = 1000
_SEQ_RETRY = 20


class Backlog:
    """Numbers of the waiting messages in ascending order with their cost in bytes; holds no bodies."""

    def __init__(self, rows: Iterable[tuple[int, bool, int]] = ()) -> None:
        """`rows`: (seq, whether it is a picture, cost), ascending by seq."""
        self._costs: dict[int, int] = {}
        self.pictures: dict[int, None] = {}
        self.bytes = 0
        for seq, picture, cost in rows:
            self.add(seq, picture, cost)

    def __len__(self) -> int:
        return len(self._costs)

    def __iter__(self) -> Iterator[int]:
        return iter(self._costs)

    def __contains__(self, seq: int) -> bool:
        return seq in self._costs

    @property
    def last(self) -> int:
        """The highest number; 0: nothing waits."""
        return next(reversed(self._costs), 0)

    def add(self, seq: int, picture: bool, cost: int) -> None:
        """Append a message; its number must be the highest so far."""
        self._costs[seq] = cost
        self.bytes += cost
        if picture:
            self.pictures[seq] = None

    def remove(self, seq: int) -> bool:
        """Forget a message; False if it did not wait."""
        cost = self._costs.pop(seq, None)
        if cost is None:
            return False
        self.bytes -= cost
        self.pictures.pop(seq, None)
        return True

    def after(self, seq: int, limit: int) -> list[int]:
        """The first `limit` numbers above `seq`."""
        return list(islice((other for other in self._costs if other > seq), max(0, limit)))

    def victims(self, excess: int, among: Container[int] | None = None) -> list[int]:
        """Who has to go so that at least `excess` bytes are won: pictures first, then events, oldest first."""
        found: list[int] = []
        events = (seq for seq in self._costs if seq not in self.pictures)
        for seq in chain(self.pictures, events):
            if excess <= 0:
                break
            if among is None or seq in among:
                excess -= self._costs[seq]
                found.append(seq)
        return found


class SequenceMark:
    """A small file beside the outbox that says where the numbers go on after the outbox itself was lost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserved = 0

    def read(self) -> int:
        """First number that was surely never given; 0: unknown."""
        try:
            return int(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def reserve(self, upcoming: int) -> None:
        """Keep the mark above `upcoming`; writes once in a thousand numbers, or soon again where it can't."""
        if upcoming < self._reserved:
            return
        reserved = (upcoming // _SEQ_BLOCK + 1) * _SEQ_BLOCK
        try:
            replace_durably(self._path, str(reserved))
            self._reserved = reserved
        except OSError as error:
            self._reserved = upcoming + _SEQ_RETRY  # not at each message: a worn card takes its time to fail
            _LOG.debug("%s can't be written: %s", self._path, error)

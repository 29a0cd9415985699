"""Which violations have started and not ended: kept with the messages, for a start after a crash to end them."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent.outputs.mqtt.messages import OpenViolation

MOST = 1000
"""More are never open at once, unless ends got lost on their way; then the oldest is forgotten."""


class OpenViolations:
    """What is known here, and what of it the disk does not know yet."""

    def __init__(self) -> None:
        self._own: dict[str, OpenViolation] = {}  # begun in this run
        self.begun: dict[str, OpenViolation] = {}
        """Not on the disk yet."""
        self.over: set[str] = set()
        """Ids of those that may be on the disk still."""
        self.left: dict[str, OpenViolation] = {}
        """An earlier run began them, and they were found on the disk without an end."""

    def begin(self, violation: OpenViolation) -> None:
        if len(self._own) >= MOST:
            self.end(next(iter(self._own)))
        self._own[violation.event_id] = self.begun[violation.event_id] = violation
        self.over.discard(violation.event_id)

    def end(self, event_id: str) -> None:
        """One that is not known here may be known to the disk, so it is remembered as over."""
        self._own.pop(event_id, None)
        self.left.pop(event_id, None)
        if self.begun.pop(event_id, None) is None:
            self.over.add(event_id)

    def found(self, on_disk: Iterable[OpenViolation]) -> None:
        """Take up what a file holds."""
        self.left.update((v.event_id, v) for v in on_disk if v.event_id not in self.over | self._own.keys())

    def begin_anew(self) -> None:
        """The file is another one: it knows nothing of this run."""
        self.begun.update(self._own)

    def written(self) -> None:
        """The disk knows it all."""
        self.begun.clear()
        self.over.clear()

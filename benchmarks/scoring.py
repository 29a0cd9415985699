"""Compare the violations that were reported with those that happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge_agent.types import Box, Verdict

#: An event may come this many seconds after its person was last seen: a verdict needs a few looks.
_LATE = 1.0
#: Event and person belong together if their middles are less than this apart, in heights of the face.
_NEAR = 0.75


class Truth(Protocol):
    """One person's visit as it really was. Seconds are of the film, boxes in fractions of its frames."""

    @property
    def worn(self) -> Verdict: ...

    @property
    def visible(self) -> tuple[float, float]:
        """First and last second at which the whole face is in the picture."""
        ...

    def box(self, at: float) -> Box | None:
        """Where the face is, also if part of it lies outside the picture; None if the person is away."""
        ...


@dataclass(frozen=True)
class Reported:
    """The start of a violation as the program told it."""

    at: float
    """Second of the film."""
    kind: Verdict
    box: tuple[float, float, float, float]
    """In fractions of the frame."""


@dataclass
class Score:
    """What was found, missed and imagined; scores of several films can be added up with `+=`."""

    seconds: float = 0.0
    violations: int = 0
    """Visits without a mask, or with one worn badly."""
    compliant: int = 0
    """Visits with a mask worn well."""
    found: int = 0
    """Violating visits that were reported at least once."""
    wrong_kind: int = 0
    """Found, but as the other kind of violation."""
    repeated: int = 0
    """Further reports of a visit already reported."""
    false: int = 0
    """Reports of people who wear a mask well."""
    ghosts: int = 0
    """Reports where nobody is."""
    delays: list[float] = field(default_factory=list)
    """Seconds from the face being wholly visible to its first report."""
    missed: list[str] = field(default_factory=list)
    """What was not found: film, person and kind."""
    alarms: list[str] = field(default_factory=list)
    """The same of the false reports."""

    @property
    def found_share(self) -> float:
        """1.0 if there was nothing to find."""
        return self.found / self.violations if self.violations else 1.0

    @property
    def false_share(self) -> float:
        """False reports for each visit with a mask worn well; 0.0 if there was none."""
        return self.false / self.compliant if self.compliant else 0.0

    @property
    def false_per_hour(self) -> float:
        """False reports and ghosts in an hour of film."""
        return (self.false + self.ghosts) / self.seconds * 3600 if self.seconds else 0.0

    def __iadd__(self, other: Score) -> Score:
        self.seconds += other.seconds
        for name in ("violations", "compliant", "found", "wrong_kind", "repeated", "false", "ghosts"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("delays", "missed", "alarms"):
            getattr(self, name).extend(getattr(other, name))
        return self


def score(truths: Sequence[Truth], events: Iterable[Reported], seconds: float, name: str = "") -> Score:
    """Judge the starts of violations reported for one film.

    Args:
        truths: everybody who came.
        events: what was reported, in any order.
        seconds: length of the film.
        name: of the film, for the lists of what was missed and imagined.
    """
    result = Score(seconds=seconds)
    first: dict[int, Reported] = {}
    for event in sorted(events, key=lambda event: event.at):
        index = _whose(truths, event)
        if index is None:
            result.ghosts += 1
            result.alarms.append(f"{name} {event.at:.1f} s: {event.kind.value} where nobody is")
        elif not truths[index].worn.is_violation:
            result.false += 1
            result.alarms.append(f"{name} {event.at:.1f} s: {event.kind.value} of visit {index}, who wears a mask")
        elif index in first:
            result.repeated += 1
        else:
            first[index] = event
    for index, truth in enumerate(truths):
        if not truth.worn.is_violation:
            result.compliant += 1
            continue
        result.violations += 1
        event_of = first.get(index)
        if event_of is None:
            result.missed.append(f"{name} visit {index}: {truth.worn.value}")
            continue
        result.found += 1
        result.wrong_kind += event_of.kind is not truth.worn
        result.delays.append(max(event_of.at - truth.visible[0], 0.0))
    return result


def _whose(truths: Sequence[Truth], event: Reported) -> int | None:
    """Index of the person nearest to where the event was; None if nobody is near."""
    x, y = (event.box[0] + event.box[2]) / 2, (event.box[1] + event.box[3]) / 2
    nearest: tuple[float, int] | None = None
    for index, truth in enumerate(truths):
        start, end = truth.visible
        # The box is looked up at the last moment the person was there, if the report came later.
        if event.at > end + _LATE:
            continue
        box = truth.box(event.at) or (truth.box(end) if event.at > start else None)
        if box is None:
            continue
        across = (x - (box.x1 + box.x2) / 2) / box.width
        down = (y - (box.y1 + box.y2) / 2) / box.height
        distance = (across**2 + down**2) ** 0.5
        if distance < _NEAR and (nearest is None or distance < nearest[0]):
            nearest = distance, index
    return nearest[1] if nearest else None

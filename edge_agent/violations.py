"""When a verdict becomes an event: one violation with one id, from its start to its end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edge_agent.config import QuietHours, ViolationSettings
from edge_agent.types import Box, Frame, Person, Verdict, Violation, ViolationNotice, ViolationType

_SAME_FACE = 0.5
"""Overlap from which a found face is the violator's own."""


@dataclass(slots=True)
class _Open:
    violation: Violation
    started: float


class Violations:
    """The violations going on now. Called from one thread, once a frame, with everybody in view."""

    def __init__(
        self,
        settings: ViolationSettings,
        *,
        gender: bool = True,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """`gender`: whether events carry one at all; without, it is null."""
        self._settings = settings
        self._gender = gender
        self._new_id = new_id
        self._open: dict[int, _Open] = {}
        self._alarm_at = float("-inf")
        self.cooldown = settings.cooldown
        """Seconds after an alarm in which no other sounds; may be set at any time."""

    @property
    def active(self) -> list[Violation]:
        """Violations that have started and not ended."""
        # Asked for by other threads while the watching one adds and removes: the copy is made in one step.
        return [entry.violation for entry in list(self._open.values())]

    def update(self, persons: Sequence[Person], frame: Frame, faces: Sequence[Box] = ()) -> list[ViolationNotice]:
        """What has started or ended with this frame, in the order it is to be told.

        `faces`: every face found in it, watched or not: bystanders are made unrecognisable in a snapshot.
        """
        return self._judge(persons, frame.captured_at, frame, faces)

    def update_without_frame(self, persons: Sequence[Person], now: float) -> list[ViolationNotice]:
        """The same while the camera delivers nothing: people can only leave (monotonic `now`)."""
        return self._judge(persons, now, None, ())

    def end_all(self, now: float) -> list[ViolationNotice]:
        """Close everything, as when detection is switched off or the service stops."""
        return [self._end(person_id, None, now) for person_id in list(self._open)]

    def _judge(
        self, persons: Sequence[Person], now: float, frame: Frame | None, faces: Sequence[Box]
    ) -> list[ViolationNotice]:
        if not persons and not self._open:
            return []
        by_id = {person.id: person for person in persons}
        notices = []
        for person_id in list(self._open):
            person = by_id.get(person_id)
            if person is None or person.verdict is Verdict.MASK:
                notices.append(self._end(person_id, person, now))
        if frame is None:
            return notices
        for person in persons:
            if person.id not in self._open and person.verdict.value in self._settings.kinds:
                notices.append(self._start(person, persons, frame, faces))
        return notices

    def _start(
        self, person: Person, persons: Sequence[Person], frame: Frame, faces: Sequence[Box]
    ) -> ViolationNotice:
        height, width = frame.image.shape[:2]
        violation = Violation(
            event_id=self._new_id(),
            type=ViolationType.STARTED,
            kind=person.verdict,
            person=person.id,
            confidence=person.confidence,
            votes=person.votes,
            gender=self._gender_of(person),
            box=_fractions(person.box, width, height),
            occurred_at=frame.wall_time,
            monotonic=frame.captured_at,
        )
        # Before it counts as begun: should this fail, no end may be told of what was never told to begin.
        alarm = self._alarm(frame.captured_at, frame.wall_time)
        self._open[person.id] = _Open(violation, frame.captured_at)
        # People who turned away for a moment are followed without being found in this frame.
        others = (
            *(other.box for other in persons if other.id != person.id),
            *(box for box in faces if _overlap(box, person.box) < _SAME_FACE),
        )
        return ViolationNotice(violation, alarm, frame, others)

    def _end(self, person_id: int, person: Person | None, now: float) -> ViolationNotice:
        entry = self._open.pop(person_id)
        # The wall clock may have been set meanwhile; how long it lasted is known all the same.
        ended_at = entry.violation.occurred_at + timedelta(seconds=max(0.0, now - entry.started))
        gender = self._gender_of(person) if person else entry.violation.gender
        violation = replace(
            entry.violation,
            type=ViolationType.ENDED,
            gender=gender,
            ended_at=ended_at,
            monotonic=now,
        )
        return ViolationNotice(violation, alarm=False)

    def _alarm(self, now: float, wall_time: datetime) -> bool:
        if now - self._alarm_at < self.cooldown or is_quiet(self._settings.quiet_hours, wall_time):
            return False
        self._alarm_at = now
        return True

    def _gender_of(self, person: Person) -> str | None:
        return person.gender if self._gender else None


def is_quiet(hours: Sequence[QuietHours], moment: datetime) -> bool:
    """Whether `moment` (timezone-aware) lies in one of the quiet hours, by this machine's local time."""
    local = moment.astimezone().time()
    for quiet in hours:
        if quiet.start <= quiet.end:
            if quiet.start <= local < quiet.end:
                return True
        elif local >= quiet.start or local < quiet.end:  # over midnight
            return True
    return False


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    if width <= 0 or height <= 0:
        return 0.0
    inside = width * height
    return inside / (one.width * one.height + other.width * other.height - inside)


def _fractions(box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    def clip(value: float) -> float:
        return round(min(max(value, 0.0), 1.0), 4)

    return clip(box.x1 / width), clip(box.y1 / height), clip(box.x2 / width), clip(box.y2 / height)

"""Violations for the tests of the outputs."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta, timezone

from edge_agent.types import Verdict, Violation, ViolationNotice, ViolationType

JPEG = b"\xff\xd8\xff\xe0" + b"picture" * 400 + b"\xff\xd9"


def make_end(person: int = 1, *, of: ViolationNotice | None = None, **changes: object) -> ViolationNotice:
    """The end, now, of a violation: of the one that `of` began, or of one that nobody heard of."""
    now = time.monotonic()
    fields: dict[str, object] = {"ended_at": datetime.now(timezone.utc), "monotonic": now}
    if of is not None:
        begun = of.violation
        person = begun.person
        lasted = timedelta(seconds=now - begun.monotonic)
        fields.update(event_id=begun.event_id, occurred_at=begun.occurred_at, ended_at=begun.occurred_at + lasted)
    fields.update(changes)
    return make_notice(person, type=ViolationType.ENDED, **fields)  # type: ignore[arg-type]


def make_notice(person: int = 1, *, event_id: str | None = None, **changes: object) -> ViolationNotice:
    """A person without a mask, now; `changes` are fields of `Violation`."""
    fields: dict[str, object] = {
        "event_id": event_id or str(uuid.uuid4()),
        "type": ViolationType.STARTED,
        "kind": Verdict.NO_MASK,
        "person": person,
        "confidence": 0.93,
        "votes": 8,
        "gender": "unknown",
        "box": (0.1, 0.2, 0.3, 0.4),
        "occurred_at": datetime.now(timezone.utc),
        "monotonic": time.monotonic(),
        **changes,
    }
    return ViolationNotice(Violation(**fields), alarm=True)  # type: ignore[arg-type]

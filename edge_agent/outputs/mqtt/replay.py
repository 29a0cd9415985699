"""From what the outbox keeps to what is published: numbers, the replay mark, and times set right."""

from __future__ import annotations

from datetime import timedelta

from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.payloads import ViolationFacts, ViolationPayload
from edge_agent.outputs.mqtt.store import Entry


def compose(entry: Entry, *, replayed: bool, clock: Clock) -> ViolationPayload:
    """The message of an event as it is published now.

    An event that was recorded while the wall clock was wrong gets its true times, if the clock has become right
    since and the boot is still the same: the monotonic clock tells how long ago it was.

    Raises:
        pydantic.ValidationError: the stored body is no violation of this version.
    """
    facts = ViolationFacts.model_validate_json(entry.body)
    occurred_at, ended_at, synced = facts.occurred_at, facts.ended_at, entry.clock_synced
    if not synced and entry.boot_id == clock.boot_id and clock.synced():
        moment = clock.wall() - timedelta(seconds=clock.monotonic() - entry.monotonic)
        shift = moment - (ended_at or occurred_at)
        occurred_at += shift
        ended_at = ended_at + shift if ended_at else None
        synced = True
    return ViolationPayload(
        **facts.model_dump(exclude={"occurred_at", "ended_at"}),
        occurred_at=occurred_at,
        ended_at=ended_at,
        boot_id=entry.boot_id,
        seq=entry.seq,
        replayed=replayed,
        clock_synced=synced,
    )

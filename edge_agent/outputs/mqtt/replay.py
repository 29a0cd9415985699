"""From what the outbox keeps to what is published: numbers, the replay mark, times set right, and late ends."""

from __future__ import annotations

from datetime import timedelta

from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.messages import Draft, Entry, OpenViolation
from edge_agent.outputs.mqtt.payloads import ViolationFacts, ViolationPayload


def compose(entry: Entry, *, replayed: bool, clock: Clock) -> ViolationPayload:
    """The message of an event as it is published now.

    An event that was recorded while the wall clock was wrong gets its true times, if the clock has become right
    since and the boot is still the same: the monotonic clock tells how long ago it was.

    Raises:
        ValueError: the stored body is no violation.
        OverflowError: its times are beyond all calendars.
    """
    facts = ViolationFacts.stored(entry.body)
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


def late_end(left: OpenViolation, clock: Clock) -> Draft:
    """The `ended` message of a violation whose end nobody saw: it is over by now, that is all that is known.

    Within one boot the monotonic clock tells how long after its start that is, as for any other end. After another
    boot only the wall clock can tell; the message keeps the boot of its `started`, and with it, by `compose`, the
    times as they are.

    Raises:
        ValueError: the stored body is no violation.
        OverflowError: its times are beyond all calendars.
    """
    facts = ViolationFacts.stored(left.body)
    if left.boot_id == clock.boot_id:
        monotonic = max(left.monotonic, clock.monotonic())
        ended_at = facts.occurred_at + timedelta(seconds=monotonic - left.monotonic)
        synced = left.clock_synced
    else:
        monotonic = left.monotonic
        ended_at = max(facts.occurred_at, clock.wall())
        synced = left.clock_synced and clock.synced()
    end = facts.model_copy(update={"type": "ended", "ended_at": ended_at})
    return Draft(end.to_json(), monotonic, synced, boot_id=left.boot_id, closes=left.event_id)

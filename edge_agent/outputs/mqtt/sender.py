"""Empties the outbox over one connection: in order, few at a time, paced while it catches up."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.messages import Entry
from edge_agent.outputs.mqtt.outbox import Outbox
from edge_agent.outputs.mqtt.paho_client import TooLargeError
from edge_agent.outputs.mqtt.replay import compose
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.mqtt.troubles import explain_too_large, remedy_of_untaken

_LOG = logging.getLogger(__name__)

LIVE_FOR = 10.0
"""Seconds after which an event is not called live any more."""

PICTURE_TRIES = 3
"""Connections that may break on one picture before it is given up, so that it does not hold back its event."""

Publish = Callable[[str, bytes], "int | None"]
"""(topic, payload) to the message's id; None: there is no connection. Raises `TooLargeError`: the broker takes
nothing of that length."""


class Sender:
    """Decides which message goes out when; owned by one thread."""

    def __init__(
        self,
        outbox: Outbox,
        topics: Topics,
        publish: Publish,
        *,
        clock: Clock,
        window: int,
        replay_rate: float,
        refused_retry: float,
        ack_timeout: float,
        give_up: Callable[[str], None],
    ) -> None:
        """`window`: messages on their way at once; `replay_rate`: replayed events a second.

        `refused_retry`: seconds to wait after the broker would not take a message; `ack_timeout`: seconds it may
        take to answer one. `give_up`: told the reason when it took longer, must end the connection.
        """
        self._outbox = outbox
        self._topics = topics
        self._publish = publish
        self._clock = clock
        self._window = window
        self._gap = 1.0 / replay_rate
        self._refused_retry = refused_retry
        self._ack_timeout = ack_timeout
        self._give_up = give_up
        self._up = False
        self._flying: dict[int, int] = {}  # message id -> seq, in the order in which they were sent
        # A broker answers in order, so its time for a message begins when it has answered the one before: where
        # many are on their way over a slow line, the last may take long without anything being wrong.
        self._oldest_since = 0.0
        self._cursor = 0  # highest seq sent over this connection
        self._openings = outbox.openings
        self._sent = 0  # highest seq ever sent by this process
        self._backlog = outbox.last_seq  # up to here nothing is live
        self._next_replay = 0.0
        self._tries: dict[int, int] = {}
        self._told_of_size = False  # whether this connection's log tells of a picture that is too large,
        self._told_of_refusal = False  # or of one that was refused
        self.refusal: str | None = None
        """Why the broker does not take the events, though connected; None: it does."""

    def connected(self) -> None:
        self._up = True
        self._told_of_size = self._told_of_refusal = False
        self._flying.clear()
        self._cursor = 0
        self._backlog = self._outbox.last_seq
        self._next_replay = 0.0

    def not_live(self, seq: int) -> None:
        """What was appended up to this number is no news, however young it looks."""
        self._backlog = max(self._backlog, seq)

    def disconnected(self) -> None:
        self._up = False
        head = min(self._flying.values(), default=0)
        self._flying.clear()
        entries = self._outbox.pending(after=head - 1, limit=1) if head else []
        if entries and entries[0].seq == head and entries[0].picture:
            self._tries[head] = self._tries.get(head, 0) + 1
            if self._tries[head] >= PICTURE_TRIES:
                _LOG.warning("the connection broke %d times on picture %d: it is dropped", PICTURE_TRIES, head)
                self._outbox.drop_picture(head)
                del self._tries[head]

    def acknowledged(self, acks: list[tuple[int, str | None]]) -> None:
        """The broker answered: (message id, refusal) each; only a message without refusal is delivered."""
        delivered: list[int] = []
        oldest = next(iter(self._flying), None)
        for mid, refusal in acks:
            seq = self._flying.pop(mid, None)
            if seq is None:
                continue
            if refusal is None:
                delivered.append(seq)
                self._tries.pop(seq, None)
                self.refusal = None
            else:
                self._refused(seq, refusal)
        if delivered:
            self._outbox.delivered(*delivered)
        if next(iter(self._flying), None) != oldest:
            # only now: what the disk took for that is not the broker's time
            self._oldest_since = self._clock.monotonic()

    def pump(self, heard_until: float | None = None) -> float:
        """Send what may go now; returns seconds until there may be more to send (infinite: only after news).

        `heard_until`: monotonic seconds; whatever the broker had answered by then was passed to `acknowledged`.
        None: by now. It is judged by its silence up to then alone, for later answers may wait behind a slow disk.
        """
        if not self._up:
            return math.inf
        now = self._clock.monotonic()
        heard = now if heard_until is None else min(heard_until, now)
        if self._flying and heard - self._oldest_since >= self._ack_timeout:
            self._leave()
            return math.inf
        wait = self._fill()
        return min(wait, self._overdue_in()) if self._flying else wait

    def _overdue_in(self) -> float:
        return self._oldest_since + self._ack_timeout - self._clock.monotonic()

    def _leave(self) -> None:
        """End a connection on which the broker answers pings, perhaps, but no messages."""
        self._up = False
        self.refusal = (
            f"the broker does not acknowledge events: it left one unanswered for {self._ack_timeout:g} s, "
            "look into its log"
        )
        self._give_up(self.refusal)

    def _fill(self) -> float:
        """Send up to a full window; returns seconds as `pump` does."""
        if self._openings != self._outbox.openings:
            # Messages that were out of reach wait again, below what went out meanwhile.
            self._openings = self._outbox.openings
            self._cursor = 0
        flying = set(self._flying.values())
        while len(self._flying) < self._window:
            entries = self._outbox.pending(after=self._cursor, limit=self._window - len(self._flying))
            if not entries:
                return math.inf
            for entry in entries:
                if entry.seq in flying:
                    self._cursor = entry.seq
                    continue
                wait = self._send(entry)
                if wait > 0:
                    return wait
        return math.inf

    def _send(self, entry: Entry) -> float:
        """Send one message, or say how many seconds to wait before it may be sent."""
        now = self._clock.monotonic()
        replayed = (
            entry.seq <= max(self._backlog, self._sent)
            or entry.boot_id != self._clock.boot_id
            or now - entry.monotonic > LIVE_FOR
        )
        if now < self._next_replay and (replayed or self.refusal is not None):
            return self._next_replay - now
        if entry.picture:
            topic, body = self._topics.snapshot, entry.body
        else:
            try:
                body = compose(entry, replayed=replayed, clock=self._clock).to_json()
            except (ValueError, OverflowError) as error:  # pydantic's are ValueErrors
                _LOG.error("event %d in the outbox can't be read and is dropped: %s", entry.seq, error)
                self._outbox.drop_unreadable(entry.seq)
                return 0.0
            topic = self._topics.violation
        try:
            mid = self._publish(topic, body)
        except TooLargeError as error:
            return self._too_large(entry, error)
        if mid is None:
            self._up = False  # the news of it is on its way
            return math.inf
        if not self._flying:
            self._oldest_since = now
        self._flying[mid] = entry.seq
        self._cursor = entry.seq
        self._sent = max(self._sent, entry.seq)
        if replayed and not entry.picture:
            self._next_replay = now + self._gap
        return 0.0

    def _too_large(self, entry: Entry, error: TooLargeError) -> float:
        """See to a message that the broker would break the connection over; returns seconds as `_send` does."""
        if not entry.picture:
            self._hold(entry.seq, str(explain_too_large("an event", error.limit)))
            return self._refused_retry
        if not self._told_of_size:
            trouble = explain_too_large(f"picture {entry.seq}, with {error.size} bytes,", error.limit)
            _LOG.warning("%s, or lower snapshots.max_bytes; such pictures are dropped", trouble)
            self._told_of_size = True
        self._cursor = entry.seq
        self._outbox.drop_picture(entry.seq)
        return 0.0

    def _refused(self, seq: int, refusal: str) -> None:
        entries = self._outbox.pending(after=seq - 1, limit=1)
        if entries and entries[0].seq == seq and entries[0].picture:
            if not self._told_of_refusal:
                remedy = remedy_of_untaken(refusal, self._topics.snapshot)
                _LOG.warning("the broker does not take pictures (%s), they are dropped: %s", refusal, remedy)
                self._told_of_refusal = True
            self._outbox.drop_picture(seq)
            return
        remedy = remedy_of_untaken(refusal, self._topics.violation)
        self._hold(seq, f"the broker does not take events ({refusal}): {remedy}")

    def _hold(self, seq: int, reason: str) -> None:
        """Keep this event and all after it until the next try, in a while."""
        if self.refusal != reason:
            _LOG.error("%s", reason)
        self.refusal = reason
        self._cursor = min(self._cursor, seq - 1)
        self._next_replay = self._clock.monotonic() + self._refused_retry

"""The thread behind the MQTT output: it alone touches the outbox and decides what is sent."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.client import Link
from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.commands import Commands
from edge_agent.outputs.mqtt.inbox import Ack, Down, Inbox, Incoming, News, Notice, SwitchChanged, Up
from edge_agent.outputs.mqtt.messages import Draft
from edge_agent.outputs.mqtt.outbox import Outbox
from edge_agent.outputs.mqtt.payloads import StatusPayload, ViolationFacts
from edge_agent.outputs.mqtt.presence import Presence
from edge_agent.outputs.mqtt.replay import late_end
from edge_agent.outputs.mqtt.sender import Sender
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.switches import Switches
from edge_agent.types import Violation, ViolationType

_LOG = logging.getLogger(__name__)

OUTBOX_FILE = "outbox.sqlite3"

TEND_EVERY = 2.0
"""Seconds after which the disk is looked after even if nothing happens."""

REOPEN_AFTER = 5.0
"""Seconds after which an outbox that could not even be made is tried again."""

_MOST_OPEN = 1000


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What others may know of the worker."""

    depth: int = 0
    committed: int = 0
    dropped: int = 0
    dropped_pictures: int = 0
    alarm: str | None = None
    refusal: str | None = None
    """Why the broker does not take events."""
    untaken: str | None = None
    """What else the broker does not take, and why."""


class Worker:
    """Runs in its own thread from `start` to `stop`."""

    def __init__(
        self,
        settings: MqttSettings,
        device: DeviceSettings,
        *,
        state_dir: Path,
        switches: Switches,
        on_buzzer_test: Callable[[], None],
        snapshots: bool,
        inbox: Inbox,
        link: Link,
        topics: Topics,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._path = state_dir / OUTBOX_FILE
        self._snapshots = snapshots
        self._inbox = inbox
        self._link = link
        self._topics = topics
        self._clock = clock
        self.presence = Presence(
            settings, device, topics=topics, switches=switches, snapshots=snapshots, link=link, clock=clock
        )
        self._commands = Commands(
            topics, switches, on_buzzer_test=on_buzzer_test, publish_state=self.presence.switch
        )
        self._stopping = threading.Event()
        self._stop_at: float | None = None
        self._end_at = 0.0
        self._fault: str | None = None
        self._session = 0
        self._start_synced: dict[str, bool] = {}
        self._thread = threading.Thread(target=self._run, name="mqtt-worker", daemon=True)
        self.state = WorkerState()

    def start(self) -> None:
        self._thread.start()

    def status(self, status: StatusPayload, *, connected: bool) -> None:
        """The latest status (:meth:`Presence.inform`); the caller wakes the worker through the inbox."""
        self.presence.inform(status, connected=connected)

    def stop(self, flush_until: float, end_at: float) -> None:
        """Have the worker stop sending once all is delivered, or at `flush_until`, and end by `end_at`.

        Both are monotonic seconds.
        """
        self._end_at = end_at
        self._stop_at = flush_until
        self._stopping.set()

    def join(self, timeout: float) -> bool:
        """Wait for the worker's end; False if it takes longer."""
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        outbox = self._open()
        if outbox is None:
            return
        sender = Sender(
            outbox,
            self._topics,
            self._link.publish,
            clock=self._clock,
            window=self._settings.outbox.inflight,
            replay_rate=self._settings.outbox.replay_rate,
            refused_retry=self._settings.refused_retry,
            ack_timeout=self._settings.outbox.ack_timeout,
            give_up=lambda reason: self._link.give_up(self._session, reason),
        )
        wait = 0.0
        heard_until = self._clock.monotonic()
        try:
            while True:
                looked_at = self._clock.monotonic()
                news = self._inbox.take(max(0.001, min(wait, TEND_EVERY)))
                if not news:  # else there may be more, for it does not give all at once
                    heard_until = looked_at
                try:
                    self._take_in(outbox, sender, news)
                    wait = min(sender.pump(heard_until), self.presence.wait)
                except Exception as error:  # a fault here must not end the reports of all that is to come
                    _LOG.exception("MQTT worker")
                    self._fault = f"a fault in the MQTT worker: {error!r}"
                    wait = 1.0
                self.state = WorkerState(
                    outbox.depth,
                    outbox.committed,
                    outbox.dropped,
                    outbox.dropped_pictures,
                    "; ".join(text for text in (outbox.alarm, self._fault) if text) or None,
                    sender.refusal,
                    self.presence.untaken,
                )
                stop_at = self._stop_at
                if stop_at is not None:
                    idle = not news and (outbox.depth == 0 or not self._link.connected)
                    if idle or time.monotonic() >= stop_at:
                        break
                    wait = min(wait, 0.05)
            self._say_offline(outbox, sender)
        finally:
            self._take_in_at_the_end(outbox, sender, self._inbox.take(0.001))  # handed over during the goodbye
            outbox.close()

    def _open(self) -> Outbox | None:
        """The outbox, however often it takes; None if the end comes before."""
        while True:
            self._inbox.attended()
            try:
                outbox = Outbox(
                    self._path, self._settings.outbox.max_bytes, clock=self._clock, pictures=self._snapshots
                )
            except Exception as error:  # a MemoryError too: this thread's end would go unnoticed
                _LOG.exception("MQTT worker: no outbox")
                self._fault = f"events wait in memory only: a fault with the outbox: {error!r}"
                self.state = WorkerState(alarm=self._fault)
                if self._stopping.wait(REOPEN_AFTER):
                    return None
            else:
                self._fault = None
                return outbox

    def _take_in(self, outbox: Outbox, sender: Sender, news: list[News]) -> None:
        """See to the news in their order; what must not be lost is committed in as few steps as that allows."""
        drafts: list[Draft] = []
        acks: list[tuple[int, str | None]] = []

        def settle() -> None:
            if drafts:
                outbox.append(drafts)
                drafts.clear()
            if acks:
                sender.acknowledged(acks)
                acks.clear()

        def take(item: News) -> None:
            if isinstance(item, Notice):
                drafts.extend(self._drafts(item))
            elif isinstance(item, Ack):
                if item.session == self._session and not self.presence.answered(item.mid, item.refusal):
                    acks.append((item.mid, item.refusal))
            elif isinstance(item, Up):
                settle()  # what was recorded before the connection counts as replayed, what comes after as live
                self._session = item.session
                try:
                    self.presence.introduce()
                finally:
                    sender.connected()  # whatever the introduction chokes on, events go out
            elif isinstance(item, Down):
                settle()
                if item.session == self._session:
                    sender.disconnected()
            elif isinstance(item, Incoming):
                self._receive(item)
            elif isinstance(item, SwitchChanged):
                self.presence.switch(item.name)

        fault: Exception | None = None
        steps: list[Callable[[], None]] = [partial(self._end_what_was_left_open, outbox, sender)]
        steps += [partial(take, item) for item in news]
        for step in (*steps, settle):
            try:
                step()
            except Exception as error:  # whatever goes wrong with one, none of the others is lost
                fault = fault or error
        if fault is not None:
            raise fault
        self.presence.tell()
        outbox.tend()

    def _end_what_was_left_open(self, outbox: Outbox, sender: Sender) -> None:
        """Report the ends that an earlier run could not, for it was killed or lost its power."""
        drafts = []
        for left in outbox.left_open:
            try:
                drafts.append(late_end(left, self._clock))
            except (ValueError, OverflowError) as error:  # pydantic's are ValueErrors
                _LOG.error("the open violation %s can't be read and is forgotten: %s", left.event_id, error)
                outbox.forget_violation(left.event_id)
        if drafts:
            _LOG.info("violations that were open when the service last ended, and are over now: %d", len(drafts))
            sender.not_live(outbox.append(drafts)[-1])

    def _drafts(self, item: Notice) -> list[Draft]:
        """The picture, if there is one, and the event."""
        violation = item.notice.violation
        synced = self._believed(violation, item.clock_synced)
        try:
            facts = ViolationFacts.from_violation(violation)
        except ValidationError as error:
            _LOG.error("violation %s can't be reported: %s", violation.event_id, error)
            self._fault = f"a violation could not be put into words: {violation.event_id}"
            return []
        starts = violation.type is ViolationType.STARTED
        event = Draft(
            facts.to_json(),
            violation.monotonic,
            synced,
            opens=violation.event_id if starts else None,
            closes=None if starts else violation.event_id,
        )
        if item.jpeg is None:
            return [event]
        return [Draft(item.jpeg, violation.monotonic, synced, picture=True), event]

    def _believed(self, violation: Violation, clock_synced: bool) -> bool:
        """Whether the violation's times can be believed; an end is told by the clock of its start."""
        if violation.type is ViolationType.STARTED:
            if len(self._start_synced) >= _MOST_OPEN:
                self._start_synced.pop(next(iter(self._start_synced)))
            self._start_synced[violation.event_id] = clock_synced
            return clock_synced
        return self._start_synced.pop(violation.event_id, True) and clock_synced

    def _receive(self, item: Incoming) -> None:
        if self._commands.handle(item.topic, item.payload, retained=item.retained):
            return
        # a retained birth message is an old one: Home Assistant reads what is retained by itself
        if item.topic == self._topics.home_assistant_status and item.payload == b"online" and not item.retained:
            _LOG.info("Home Assistant has started: the device is described again")
            self.presence.describe()

    def _say_offline(self, outbox: Outbox, sender: Sender) -> None:
        """Say `offline` and wait a little for the broker to take it: the goodbye to come voids the will."""
        mid = self.presence.leave()
        while mid is not None and self._link.connected and time.monotonic() < self._end_at:
            news = self._inbox.take(0.02)
            self._take_in_at_the_end(outbox, sender, news)
            if any(isinstance(item, Ack) and item.mid == mid for item in news):
                return

    def _take_in_at_the_end(self, outbox: Outbox, sender: Sender, news: list[News]) -> None:
        """See to what must not be lost: events, and the broker's word for those it has taken."""
        try:
            self._take_in(outbox, sender, [item for item in news if isinstance(item, (Notice, Ack))])
        except Exception:  # the goodbye is said, and the file closed, whatever happens
            _LOG.exception("MQTT worker")

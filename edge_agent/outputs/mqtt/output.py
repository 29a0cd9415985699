"""The MQTT output: takes violations and status without ever waiting, and reports how it is doing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.files import SLOW
from edge_agent.outputs.mqtt.client import Link
from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.factory import client_id
from edge_agent.outputs.mqtt.inbox import Ack, Down, Inbox, Incoming, Notice, SwitchChanged, Up, Wake
from edge_agent.outputs.mqtt.payloads import OFFLINE, StatusPayload
from edge_agent.outputs.mqtt.session import Will
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.mqtt.worker import Worker
from edge_agent.outputs.switches import Switches, SwitchValues
from edge_agent.types import ViolationNotice

_LOG = logging.getLogger(__name__)

_FAREWELL = 0.8
"""Seconds of the time to stop that are kept for `offline` and the goodbye."""

_LONGEST_COMMAND = 256

_HANGS = "the disk does not answer: events wait in memory; if it lasts, start the device anew or exchange the card"


@dataclass(frozen=True, slots=True)
class MqttStats:
    """How the output is doing."""

    connected: bool
    reason: str | None
    """Why there is no connection, or what the broker does not take though connected; None: all is well."""
    failures: int
    """Attempts to connect that failed, and connections that were lost, since the start."""
    depth: int
    """Messages in the outbox."""
    committed: int
    """Messages of this run that were brought to the disk."""
    dropped: int
    """Events given up: for the cap or as damaged since the outbox was created, for a stuck disk since the start."""
    dropped_pictures: int
    alarm: str | None
    """What keeps the outbox from doing its work: the disk, or a broker that refuses events; None: nothing."""


class MqttOutput:
    """Has two threads of its own: a worker, the only one that touches the disk, and the connection's."""

    def __init__(
        self,
        settings: MqttSettings,
        device: DeviceSettings,
        *,
        state_dir: Path,
        switches: Switches,
        on_buzzer_test: Callable[[], None],
        snapshots: bool,
        clock: Clock | None = None,
    ) -> None:
        """`on_buzzer_test`: called in the worker for the test beep, must be quick.

        `snapshots`: whether pictures may leave the device: without it `handle` ignores them, and those still
        waiting are forgotten.
        """
        self._snapshots = snapshots
        self._switches = switches
        self._clock = clock or Clock.system()
        self._inbox = Inbox()
        self._hung = False
        self._ear = _Ear(self._inbox)
        topics = Topics(device.id, settings.discovery.prefix)
        self._link = Link(settings, client_id(settings, device.id), Will(topics.availability, OFFLINE), self._ear)
        self._worker = Worker(
            settings,
            device,
            state_dir=state_dir,
            switches=switches,
            on_buzzer_test=on_buzzer_test,
            snapshots=snapshots,
            inbox=self._inbox,
            link=self._link,
            topics=topics,
            clock=self._clock,
        )

    def start(self) -> None:
        """Begin: the outbox is opened and the broker looked for in the output's own threads."""
        self._switches.observe(self._on_switch)
        self._worker.start()
        self._link.start()

    def handle(self, notice: ViolationNotice, jpeg: bytes | None = None) -> None:
        """Take a violation and, for a start, its picture; never waits for the disk or the network."""
        self._inbox.put(Notice(notice, jpeg if self._snapshots else None, self._clock.synced()))

    def publish_status(self, status: StatusPayload, *, connected: bool = True) -> None:
        """Publish the status if connected; the latest is published again at each connect. Never waits.

        `connected`: what `stats` said when it was taken.
        """
        self._worker.status(status, connected=connected)
        self._inbox.put(Wake())
        hangs = self._hangs
        if hangs != self._hung:
            self._hung = hangs
            if hangs:
                _LOG.error("outbox: %s", _HANGS)
            else:
                _LOG.info("outbox: the disk answers again")
        if hangs:
            self._worker.presence.insist()

    def stats(self) -> MqttStats:
        """How it is doing now; never waits."""
        state = self._worker.state
        untaken = (state.refusal, state.untaken, self._ear.refusal)
        hangs = _HANGS if self._hangs else None
        return MqttStats(
            connected=self._link.connected,
            reason=self._link.reason or "; ".join(text for text in untaken if text) or None,
            failures=self._link.failures,
            depth=state.depth,
            committed=state.committed,
            dropped=state.dropped + self._inbox.dropped,
            dropped_pictures=state.dropped_pictures,
            alarm="; ".join(text for text in (hangs, state.alarm, state.refusal) if text) or None,
        )

    @property
    def _hangs(self) -> bool:
        """Whether the worker has long been at one piece of work: what can hold it up is a disk."""
        return self._inbox.unattended >= SLOW and not self._worker.join(0.0)

    def stop(self, timeout: float = 2.5, disk_timeout: float = 0.0) -> None:
        """Commit what was handed over, deliver what time allows, say `offline`; ends within `timeout` seconds.

        Where the disk needs longer, it has `disk_timeout` seconds more for the events that are not on it yet.
        """
        deadline = time.monotonic() + timeout
        farewell = min(_FAREWELL, timeout / 2)
        self._worker.stop(deadline - farewell, deadline - farewell / 2)
        self._inbox.put(Wake())
        done = self._worker.join(max(0.0, deadline - farewell / 4 - time.monotonic()))
        if not done:
            # The worker did not come to it, and the goodbye voids the will: the device would be online for ever.
            self._worker.presence.leave()
        self._link.stop(max(0.1, deadline - time.monotonic()))
        if not done and not self._worker.join(disk_timeout):
            _LOG.error("the outbox's disk hangs: the latest events may not be on it")

    def _on_switch(self, name: str, _values: SwitchValues) -> None:
        self._inbox.put(SwitchChanged(name))


class _Ear:
    """Carries the connection's news from the network thread to the worker."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.refusal: str | None = None

    def on_up(self, session: int) -> None:
        self.refusal = None
        self._inbox.put(Up(session))

    def on_down(self, session: int) -> None:
        self._inbox.put(Down(session))

    def on_message(self, topic: str, payload: bytes, retained: bool) -> None:
        # no command is long; whoever sends more shall not fill the memory
        self._inbox.put(Incoming(topic, payload[:_LONGEST_COMMAND], retained))

    def on_ack(self, session: int, mid: int, refusal: str | None) -> None:
        self._inbox.put(Ack(session, mid, refusal))

    def on_subscription_refused(self) -> None:
        self.refusal = "the broker refuses a subscription: give this user the right to read the command topics"
        _LOG.warning("MQTT: %s", self.refusal)

"""What the broker retains of the device: that it is there, its description, its switches and its status."""

from __future__ import annotations

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.client import Link
from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.commands import state_text
from edge_agent.outputs.mqtt.discovery import discovery_message
from edge_agent.outputs.mqtt.payloads import OFFLINE, ONLINE, StatusPayload
from edge_agent.outputs.mqtt.retained import Retained
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.switches import NAMES, Switches

STATUS_AFTER = 1.0
"""Seconds that a new connection waits for a status that knows of a connection, before it tells what there is."""


class Presence:
    """Publishes it; without a connection that does nothing. Used by the worker's thread alone, but for `inform`,
    and `insist` and `leave` if that thread hangs.

    `online` comes last, after a status of now: Home Assistant would else show, as the present state, what the
    status from before the outage said.
    """

    def __init__(
        self,
        settings: MqttSettings,
        device: DeviceSettings,
        *,
        topics: Topics,
        switches: Switches,
        snapshots: bool,
        link: Link,
        clock: Clock,
    ) -> None:
        self._discovery = settings.discovery.enabled
        self._device = device
        self._topics = topics
        self._switches = switches
        self._snapshots = snapshots
        self._link = link
        self._clock = clock
        self._retained = Retained(
            lambda topic, payload: link.publish(topic, payload, retain=True),
            clock=clock,
            retry=settings.refused_retry,
        )
        self._latest: tuple[StatusPayload | None, bool] = None, False
        self._told: StatusPayload | None = None
        self._online_by: float | None = None  # `online` is yet to be said, by then at the latest
        self._left = False

    def inform(self, status: StatusPayload, *, connected: bool) -> None:
        """The latest status, to be told; may be called by any thread.

        `connected`: whether it was taken with a connection; else it says that there is none, and is not told at a
        connect, for the next one comes within a moment.
        """
        self._latest = status, connected

    @property
    def wait(self) -> float:
        """Seconds until `tell` has something to say even if nothing happens."""
        online = float("inf") if self._online_by is None else self._online_by - self._clock.monotonic()
        return max(0.0, min(online, self._retained.wait))

    @property
    def untaken(self) -> str | None:
        """What the broker does not take, why, and what to do about it; None: nothing."""
        return self._retained.untaken

    def introduce(self) -> None:
        """At a connect: the commands are subscribed to, and all is told but the status and `online`."""
        self._retained.connected()
        self._told = None
        self._online_by = self._clock.monotonic() + STATUS_AFTER
        subscriptions = self._topics.commands()
        if self._discovery:
            subscriptions += (self._topics.home_assistant_status,)
        self._link.subscribe(subscriptions)
        self._describe()

    def describe(self) -> None:
        """To a Home Assistant that has just started: all of it."""
        self._describe()
        if self._online_by is None:  # else it follows in a moment
            self._come_online()

    def switch(self, name: str) -> None:
        """The state of this switch."""
        self._retained.publish(self._topics.switch_state(name), state_text(name, self._switches.get()))

    def tell(self) -> None:
        """What is new or due: the status, `online`, and what the broker refused."""
        status, connected = self._latest
        news = status is not self._told
        if self._online_by is None:
            if news:
                self._tell_status()
        elif (news and connected) or self._clock.monotonic() >= self._online_by:
            self._come_online()
        self._retained.retry()

    def insist(self) -> None:
        """The status, while the worker that would tell it hangs. After a connect `online` has to wait."""
        status, connected = self._latest
        if connected and status is not self._told:
            self._tell_status()

    def answered(self, mid: int, refusal: str | None) -> bool:
        """The broker's answer to a publication (:class:`Ack`); False: it was none of these."""
        return self._retained.answered(mid, refusal)

    def leave(self) -> int | None:
        """The last status and `offline`; the number of the latter's publication, None if it can't be sent."""
        self._left = True
        if self._online_by is not None or self._latest[0] is not self._told:
            self._tell_status()
        self._online_by = None
        return self._retained.publish(self._topics.availability, OFFLINE)

    def _describe(self) -> None:
        if self._discovery:
            message = discovery_message(
                self._topics, self._device, snapshots=self._snapshots, ranges=self._switches.ranges
            )
            self._retained.publish(self._topics.discovery, message)
        for name in NAMES:
            self.switch(name)

    def _come_online(self) -> None:
        self._tell_status()
        self._online_by = None
        if not self._left:
            self._retained.publish(self._topics.availability, ONLINE)

    def _tell_status(self) -> None:
        status, _ = self._latest
        if status is not None:
            self._retained.publish(self._topics.status, status.to_json())
        self._told = status

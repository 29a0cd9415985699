"""What the broker retains of the device: that it is there, its description, its switches and its status."""

from __future__ import annotations

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.client import Link
from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.commands import state_text
from edge_agent.outputs.mqtt.discovery import discovery_message
from edge_agent.outputs.mqtt.payloads import OFFLINE, ONLINE, StatusPayload
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.switches import NAMES, Switches

STATUS_AFTER = 1.0
"""Seconds that a new connection waits for a status that knows of it, before it tells the one from before."""


class Presence:
    """Publishes it; without a connection that does nothing. Used by the worker's thread alone, but for `status`,
    and `leave` if that thread hangs.
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
        self.status: StatusPayload | None = None
        """The latest one; may be set by any thread."""
        self._told: StatusPayload | None = None
        self._retell_at: float | None = None

    @property
    def wait(self) -> float:
        """Seconds until `tell` has something to say even if nothing happens."""
        return float("inf") if self._retell_at is None else max(0.0, self._retell_at - self._clock.monotonic())

    def introduce(self) -> None:
        """At a connect: the commands are subscribed to, and all is told but the status."""
        subscriptions = self._topics.commands()
        if self._discovery:
            subscriptions += (self._topics.home_assistant_status,)
        self._link.subscribe(subscriptions)
        self._describe()
        # The status from before says that there is no connection; the next one comes within a moment.
        self._told = self.status
        self._retell_at = self._clock.monotonic() + STATUS_AFTER

    def describe(self) -> None:
        """To a Home Assistant that has just started: all of it."""
        self._describe()
        self._tell_status()

    def switch(self, name: str) -> None:
        """The state of this switch."""
        text = state_text(name, self._switches.get())
        self._link.publish(self._topics.switch_state(name), text, retain=True)

    def tell(self) -> None:
        """The status, if it is new or due."""
        if self.wait <= 0 or self.status is not self._told:
            self._tell_status()

    def leave(self) -> int | None:
        """The last status and `offline`; the number of the latter's publication, None if there is no connection."""
        if self._retell_at is not None or self.status is not self._told:
            self._tell_status()
        return self._link.publish(self._topics.availability, OFFLINE, retain=True)

    def _describe(self) -> None:
        if self._discovery:
            message = discovery_message(
                self._topics, self._device, snapshots=self._snapshots, ranges=self._switches.ranges
            )
            self._link.publish(self._topics.discovery, message, retain=True)
        self._link.publish(self._topics.availability, ONLINE, retain=True)
        for name in NAMES:
            self.switch(name)

    def _tell_status(self) -> None:
        status = self.status
        if status is not None:
            self._link.publish(self._topics.status, status.to_json(), retain=True)
        self._told, self._retell_at = status, None

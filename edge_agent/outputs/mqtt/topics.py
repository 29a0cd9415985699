"""Where everything is published: the topics below `edge_agent/<device_id>`, and Home Assistant's."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.outputs.switches import NAMES


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one device."""

    device_id: str
    discovery_prefix: str = "homeassistant"

    @property
    def base(self) -> str:
        return f"edge_agent/{self.device_id}"

    @property
    def availability(self) -> str:
        return f"{self.base}/availability"

    @property
    def status(self) -> str:
        return f"{self.base}/status"

    @property
    def violation(self) -> str:
        return f"{self.base}/violation"

    @property
    def snapshot(self) -> str:
        return f"{self.base}/snapshot"

    @property
    def buzzer_test(self) -> str:
        return f"{self.base}/buzzer/test"

    @property
    def check(self) -> str:
        """For `edge-agent check` alone; nothing stays there."""
        return f"{self.base}/check"

    @property
    def discovery(self) -> str:
        return f"{self.discovery_prefix}/device/edge_agent_{self.device_id}/config"

    @property
    def home_assistant_status(self) -> str:
        """Where Home Assistant says `online` when it starts: its birth message."""
        return f"{self.discovery_prefix}/status"

    def switch_set(self, name: str) -> str:
        return f"{self.base}/{name}/set"

    def switch_state(self, name: str) -> str:
        return f"{self.base}/{name}/state"

    def switch_sets(self) -> tuple[str, ...]:
        return tuple(self.switch_set(name) for name in NAMES)

    def commands(self) -> tuple[str, ...]:
        """What the device listens to; never anything that it publishes itself."""
        return (*self.switch_sets(), self.buzzer_test)

    def retained(self) -> tuple[str, ...]:
        """What stays at the broker after the device is gone."""
        return (self.availability, self.status, *(self.switch_state(name) for name in NAMES), self.discovery)

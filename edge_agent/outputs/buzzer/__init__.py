"""The buzzer: one pattern at a time on a GPIO line or a loudspeaker, and silence whenever in doubt."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.config import BuzzerSettings
from edge_agent.outputs.buzzer.choice import open_driver
from edge_agent.outputs.buzzer.drivers import Driver, DriverError
from edge_agent.outputs.buzzer.output import BeepEvent, BuzzerOutput, BuzzerStats
from edge_agent.outputs.buzzer.probe import BuzzerProbe, probe

__all__ = [
    "BeepEvent",
    "BuzzerOutput",
    "BuzzerProbe",
    "BuzzerStats",
    "Driver",
    "DriverError",
    "create",
    "open_driver",
    "probe",
]


def create(settings: BuzzerSettings, *, on_beep: Callable[[BeepEvent], None] | None = None) -> BuzzerOutput:
    """Build the buzzer that the settings ask for; nothing is opened before its `start()`.

    `on_beep` is called in the buzzer's thread at the moment a pattern begins to sound.
    """
    return BuzzerOutput(settings, lambda: open_driver(settings), on_beep=on_beep)

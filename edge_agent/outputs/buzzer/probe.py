"""What `edge-agent check` says of the buzzer, without a sound."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.config import BuzzerSettings
from edge_agent.outputs.buzzer.choice import detect, open_driver
from edge_agent.outputs.buzzer.drivers import DriverError


@dataclass(frozen=True, slots=True)
class BuzzerProbe:
    """Outcome of a look at the buzzer."""

    ok: bool
    driver: str
    """The driver that the service would use; `none` if the buzzer is switched off or there is none."""
    detail: str
    hint: str | None = None
    """What to do about it, if not `ok`."""


def probe(settings: BuzzerSettings) -> BuzzerProbe:
    """Open the configured device as the service would, silent, and let go of it again."""
    if not settings.enabled:
        return BuzzerProbe(True, "none", "switched off in the configuration")
    driver = "none"
    try:
        driver = detect() if settings.driver == "auto" else settings.driver
        device = open_driver(settings)
        try:
            _try_out(device)
        finally:
            device.close()
    except DriverError as error:
        return BuzzerProbe(False, driver, str(error), error.hint)
    return BuzzerProbe(True, driver, _describe(settings, driver))


def _try_out(device: object) -> None:
    from edge_agent.outputs.buzzer.sound import SoundBuzzer

    if isinstance(device, SoundBuzzer):
        device.try_out()


def _describe(settings: BuzzerSettings, driver: str) -> str:
    if driver == "sound":
        return f"loudspeaker {settings.sound_device!r} plays"
    level = "high" if settings.active_high else "low"
    state = "simulated: it makes no sound" if driver == "simulated" else "the line is free"
    numbering = "board pin" if driver == "jetson" else "GPIO"
    return f"{settings.kind} buzzer on {numbering} {settings.pin}, sounds at {level} level; {state}"

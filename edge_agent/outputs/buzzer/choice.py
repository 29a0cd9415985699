"""Which driver sounds the buzzer on this board."""

from __future__ import annotations

from pathlib import Path

from edge_agent import board
from edge_agent.config import BuzzerSettings
from edge_agent.outputs.buzzer.drivers import Driver, DriverError


def open_driver(settings: BuzzerSettings) -> Driver:
    """Open the device that the settings name, once, and leave it silent.

    Raises DriverError if that one can't be used; no other is tried in its place, so that a wrong
    setting is seen at the entrance and not taken for a working buzzer.
    """
    # Imported here: each of these pulls in a library that the other boards do not have.
    driver = detect() if settings.driver == "auto" else settings.driver
    if driver == "gpio":
        from edge_agent.outputs.buzzer.gpio import open_gpio

        return open_gpio(settings)
    if driver == "jetson":
        from edge_agent.outputs.buzzer.jetson import open_jetson

        return open_jetson(settings)
    if driver == "sound":
        from edge_agent.outputs.buzzer.sound import open_sound

        return open_sound(settings)
    from edge_agent.outputs.buzzer.gpio import open_simulated

    return open_simulated(settings)


def detect(root: Path = board.ROOT) -> str:
    """Name the driver for this board: `gpio` on a Raspberry Pi, `jetson` on a Jetson.

    Raises DriverError on any other machine.
    """
    family = board.family(root)
    if family == "jetson":
        return "jetson"
    if family == "raspberry-pi":
        return "gpio"
    raise DriverError(
        "no GPIO pins known on this machine: neither a Raspberry Pi nor a Jetson",
        "set buzzer.driver to `sound` (loudspeaker) or `simulated` (a trial), or buzzer.enabled to false",
        lasting=True,
    )

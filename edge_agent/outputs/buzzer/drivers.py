"""What every way of making noise has in common, and the choice between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from threading import Event
from typing import Protocol

from edge_agent.config import BuzzerSettings, Pattern
from edge_agent.errors import EdgeAgentError

_MODEL = Path("/proc/device-tree/model")
_CPUINFO = Path("/proc/cpuinfo")
_TEGRA_RELEASE = Path("/etc/nv_tegra_release")


class DriverError(EdgeAgentError):
    """The buzzer can't be used: `str()` says why, `hint` what to do about it.

    `lasting` is True where trying again is pointless until something is mended, as for a missing package.
    """

    def __init__(self, reason: str, hint: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.hint = hint
        self.lasting = lasting


class Driver(Protocol):
    """Something that can sound a pattern."""

    name: str

    def play(self, pattern: Pattern, halt: Event) -> None:
        """Sound the pattern once and return at its end, or soon after `halt` is set; silent either way.

        Raises DriverError if the device fails.
        """

    def close(self) -> None:
        """Fall silent and let go of the device; never raises, may be called again."""


class LineDriver(ABC):
    """A buzzer on one line that is either on or off."""

    name: str

    @abstractmethod
    def on(self) -> None:
        """Make noise until `off()`. Raises DriverError."""

    @abstractmethod
    def off(self) -> None:
        """Be silent. Raises DriverError."""

    @abstractmethod
    def close(self) -> None:
        """Be silent and let go of the line; never raises."""

    def play(self, pattern: Pattern, halt: Event) -> None:
        """Switch the line as the pattern says; off at the end, whatever happens (see `Driver.play`)."""
        try:
            for repeat in range(pattern.repeats):
                if repeat and halt.wait(pattern.off):
                    return
                self.on()
                halted = halt.wait(pattern.on)
                self.off()
                if halted:
                    return
        except BaseException:
            self.off()
            raise


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


def detect(model: Path = _MODEL, cpuinfo: Path = _CPUINFO, tegra_release: Path = _TEGRA_RELEASE) -> str:
    """Name the driver for this board: `gpio` on a Raspberry Pi, `jetson` on a Jetson.

    Raises DriverError on any other machine.
    """
    name = _read(model)
    if "nvidia" in name.lower() or "jetson" in name.lower() or tegra_release.exists():
        return "jetson"
    # The same two places in which gpiozero looks for the board (gpiozero/pins/local.py, get_pi_revision).
    revision = any(line.startswith("Revision") for line in _read(cpuinfo).splitlines())
    if "Raspberry Pi" in name or revision:
        return "gpio"
    raise DriverError(
        "no GPIO pins known on this machine: neither a Raspberry Pi nor a Jetson",
        "set buzzer.driver to `sound` (loudspeaker) or `simulated` (a trial), or buzzer.enabled to false",
        lasting=True,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").rstrip("\0\n")
    except OSError:
        return ""

"""What every way of making noise has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from threading import Event
from typing import Protocol

from edge_agent.config import Pattern
from edge_agent.errors import EdgeAgentError


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

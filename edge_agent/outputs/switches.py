"""What can be changed at run time: detection, mute, threshold and cooldown; kept over restarts."""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_agent.config import Settings
from edge_agent.files import Disk, replace_durably

_LOG = logging.getLogger(__name__)

NAMES = ("detection", "mute", "threshold", "cooldown")


@dataclass(frozen=True, slots=True)
class SwitchValues:
    """The switches at one moment."""

    detection: bool = True
    """Whether people are watched at all."""
    mute: bool = False
    """Whether the buzzer is silent."""
    threshold: float = 0.65
    """Share of the votes that makes a verdict."""
    cooldown: float = 10.0
    """Seconds after an alarm in which no other sounds."""


Observer = Callable[[str, SwitchValues], None]
"""Called with the name that changed and all values after the change, in the thread that changed it."""


class Switches:
    """Validated and persisted values; thread-safe. Only what was switched by somebody is kept in the file, so that
    a new default in the configuration still counts for the rest."""

    def __init__(
        self,
        path: Path | None,
        *,
        defaults: SwitchValues | None = None,
        threshold_range: tuple[float, float] = (0.5, 1.0),
        cooldown_range: tuple[float, float] = (0.0, 86_400.0),
    ) -> None:
        """`path`: JSON file, read now and written at each change; None: nothing is kept.

        A file that can't be read or holds a wrong value costs that value only: a warning, and the default.
        """
        self._path = path
        self._values = defaults or SwitchValues()
        self.ranges: Mapping[str, tuple[float, float]] = {
            "threshold": threshold_range,
            "cooldown": cooldown_range,
        }
        self._kept: dict[str, bool | float] = {}
        lost = f"the switches can't be kept in {path} and hold until the next start"
        self._disk = Disk(lost, f"the switches are kept in {path}", _LOG)
        self._observers: list[Observer] = []
        self._lock = threading.Lock()
        self._read()

    @classmethod
    def from_settings(cls, path: Path | None, settings: Settings) -> Switches:
        """Defaults from the configuration; the threshold stays above `people.release`."""
        people = settings.people
        defaults = SwitchValues(threshold=people.threshold, cooldown=settings.violations.cooldown)
        # the next hundredth above release (rounded first: 0.57 * 100 is a little less than 57)
        lowest = max(0.5, (math.floor(round(people.release * 100, 6)) + 1) / 100)
        return cls(path, defaults=defaults, threshold_range=(min(lowest, people.threshold), 1.0))

    @property
    def trouble(self) -> str | None:
        """Why the latest change is not on the disk; None: it is, or there was none."""
        return self._disk.trouble

    def get(self) -> SwitchValues:
        """All values as they are now; never waits, not even while a change is being written to the disk."""
        return self._values

    def set(self, name: str, value: object) -> SwitchValues:
        """Change one value, keep it, and tell the observers; nothing happens if it has this value already, but that
        what the disk did not take is tried again.

        Raises:
            ValueError: no switch has this name, or the value is of the wrong type or out of range.
        """
        valid = self._valid(name, value)
        with self._lock:
            changed = getattr(self._values, name) != valid
            if changed:
                self._kept[name] = valid
                self._values = SwitchValues(**{**asdict(self._values), name: valid})
            if changed or self.trouble is not None:
                self._write()
            values, observers = self._values, tuple(self._observers)
        if changed:
            _LOG.info("%s is now %s", name, valid)
            for observer in observers:
                observer(name, values)
        return values

    def observe(self, observer: Observer) -> None:
        """Have `observer` called after each change; it must be quick and must not raise."""
        with self._lock:
            self._observers.append(observer)

    def _valid(self, name: str, value: object) -> bool | float:
        if name not in NAMES:
            raise ValueError(f"there is no switch {name!r}; there are {', '.join(NAMES)}")
        if name not in self.ranges:
            if not isinstance(value, bool):
                raise ValueError(f"{name} is on or off, not {value!r}")
            return value
        low, high = self.ranges[name]
        # a bool is an int in Python, but "threshold: true" is a slip
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{name} is a number, not {value!r}")
        if not low <= value <= high:  # NaN lies nowhere, and an integer may be too large for a float
            raise ValueError(f"{name} lies between {low:g} and {high:g}")
        return float(value)

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            stored: Any = json.loads(self._path.read_bytes())
            if not isinstance(stored, dict):
                raise ValueError("not a JSON object")
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:
            _LOG.warning("%s can't be read (%s): the switches begin with their defaults", self._path, error)
            return
        for name, value in stored.items():
            try:
                self._kept[name] = self._valid(name, value)
            except ValueError as error:
                _LOG.warning("%s: %s; its default counts", self._path, error)
        self._values = SwitchValues(**{**asdict(self._values), **self._kept})

    def _write(self) -> None:
        if self._path is None:
            return
        with self._disk.attempt():
            replace_durably(self._path, json.dumps(self._kept))

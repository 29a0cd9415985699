"""Looks at the board every few seconds, and has fewer frames looked at while it can't keep up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent import board
from edge_agent.service.governor import Governor

_log = logging.getLogger(__name__)

_EVERY = 5.0
"""Seconds between two looks: one may start `vcgencmd`."""


@dataclass(frozen=True, slots=True)
class BoardState:
    """What the latest look found; None: the board does not tell, or was not asked yet."""

    temperature: float | None = None
    """Degrees Celsius."""
    throttled: tuple[str, ...] = ()
    """What the board holds back now, e.g. `under-voltage`."""
    clock_synced: bool | None = None


class BoardWatch:
    """Keeps the board's state and the frame rate that suits it. Used by one thread only.

    Args:
        max_fps: frames a second while all is well.
        temperature_limit: degrees Celsius from which fewer are looked at.
        max_age: seconds after which a frame is stale.
        clock_synced: whether the wall clock can be believed.
    """

    def __init__(
        self, max_fps: float, *, temperature_limit: float, max_age: float, clock_synced: Callable[[], bool]
    ) -> None:
        self._max_fps = max_fps
        self._governor = Governor(temperature_limit, max_age)
        self._clock_synced = clock_synced
        self._looked_at = float("-inf")
        self.state = BoardState()

    @property
    def max_fps(self) -> float:
        """Frames to look at in a second now."""
        return self._max_fps * self._governor.factor

    @property
    def slowed(self) -> str | None:
        """Why `max_fps` is lowered; None: it is not."""
        return self._governor.reason

    def tick(self, latency: float | None) -> None:
        """Look, if it is time; `latency`: median age in seconds of a frame when it is done."""
        now = time.monotonic()
        if now - self._looked_at < _EVERY:
            return
        self._looked_at = now
        flags = board.throttling()
        self.state = BoardState(board.temperature(), flags.now if flags else (), self._clock_synced())
        if self._governor.look(
            temperature=self.state.temperature, throttled=self.state.throttled, latency=latency
        ):
            why = self.slowed or "all is well again"
            _log.warning("now looking at %.1f frames a second at most: %s", self.max_fps, why)

"""Lowers the frame rate while the board is hot, throttled or can't keep up, and raises it again."""

from __future__ import annotations

from collections.abc import Collection

_COOL_BY = 5.0
"""Degrees below the limit at which the full rate returns: a limit without hysteresis would flutter."""
_HELD_BACK = frozenset({"under-voltage", "frequency capped", "throttled", "soft temperature limit"})
_FACTORS = (1.0, 0.7, 0.5, 0.3)


class Governor:
    """One step down for each unhappy look at the board, one step up for each happy one."""

    def __init__(self, temperature_limit: float, max_age: float) -> None:
        """`temperature_limit`: degrees Celsius; `max_age`: seconds after which a frame is stale."""
        self._limit = temperature_limit
        self._max_age = max_age
        self._step = 0
        self.reason: str | None = None
        """Why the rate is lowered; None while it is not."""

    @property
    def factor(self) -> float:
        """Share of the configured frame rate to use now."""
        return _FACTORS[self._step]

    def look(
        self, *, temperature: float | None, throttled: Collection[str] = (), latency: float | None = None
    ) -> bool:
        """Take the board's state, `latency` being the median age in seconds of a frame when it is done.

        Returns whether the rate changed. Meant to be called every few seconds.
        """
        held = sorted(_HELD_BACK.intersection(throttled))
        hot = temperature is not None and temperature >= self._limit
        slow = latency is not None and latency > 0.6 * self._max_age
        before = self._step
        if hot or held or slow:
            self._step = min(self._step + 1, len(_FACTORS) - 1)
            self.reason = (
                f"{temperature:.0f} °C hot" if hot else f"the board reports {held[0]}" if held else "frames get old"
            )
        elif self._step and not (temperature is not None and temperature > self._limit - _COOL_BY):
            self._step -= 1
            self.reason = self.reason if self._step else None
        return self._step != before

"""Lowers the frame rate while the board is hot, throttled or can't keep up, and raises it again."""

from __future__ import annotations

from collections.abc import Collection

_COOL_BY = 5.0
"""Degrees below the limit at which the full rate returns: a limit without hysteresis would flutter."""
_HELD_BACK = frozenset({"under-voltage", "frequency capped", "throttled", "soft temperature limit"})
_FACTORS = (1.0, 0.7, 0.5, 0.3)
_PATIENCE = 6
_LONGEST_PATIENCE = 120


class Governor:
    """One step down for each unhappy look at the board, one step up after some happy ones in a row.

    A board that is unhappy again after each step up gets there ever more slowly: else the rate, and the log, would
    go up and down every few seconds for as long as it lives.
    """

    def __init__(self, temperature_limit: float, max_age: float) -> None:
        """`temperature_limit`: degrees Celsius; `max_age`: seconds after which a frame is stale."""
        self._limit = temperature_limit
        self._max_age = max_age
        self._step = 0
        self._happy = 0  # looks in a row
        self._patience = _PATIENCE
        self._rose = False  # the latest change was a step up
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
            self._happy = 0
            if self._rose:
                self._patience = min(2 * self._patience, _LONGEST_PATIENCE)
                self._rose = False
            self._step = min(self._step + 1, len(_FACTORS) - 1)
            self.reason = (
                f"{temperature:.0f} °C hot" if hot else f"the board reports {held[0]}" if held else "frames get old"
            )
        elif self._step and temperature is not None and temperature > self._limit - _COOL_BY:
            self._happy = 0
        else:
            self._happy += 1
            if self._step and self._happy >= self._patience:
                self._step -= 1
                self._happy, self._rose = 0, True
                self.reason = self.reason if self._step else None
            elif not self._step and self._happy >= _LONGEST_PATIENCE:
                self._patience, self._rose = _PATIENCE, False
        return self._step != before

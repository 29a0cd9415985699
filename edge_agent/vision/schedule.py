"""When the face net runs: as often as what is in view asks for, and no oftener."""

from __future__ import annotations

from typing import Literal

Power = Literal["low", "balanced", "full"]

# Seconds between runs of the face net while: somebody's verdict is open; everybody's is settled; something
# moves but nobody is seen; nothing moves (a look now and then, for whoever stood still from the beginning).
_INTERVALS: dict[Power, tuple[float, float, float, float]] = {
    "full": (0.0, 0.0, 0.0, 0.0),
    "balanced": (0.0, 0.25, 0.15, 2.0),
    "low": (0.15, 0.5, 0.3, 4.0),
}
_AFTER_MOTION = 1.0
"""Seconds for which motion is remembered: who has just stopped is worth another look."""


class DetectionSchedule:
    """Decides frame by frame, by the frames' own monotonic times."""

    def __init__(self, power: Power) -> None:
        self._unsure, self._settled, self._moving, self._idle = _INTERVALS[power]
        self._last_run = float("-inf")
        self._last_motion = float("-inf")

    def due(self, now: float, *, moved: bool, present: bool, unsure: bool) -> bool:
        """Whether the face net should run on the frame captured at `now`; a yes is counted as a run.

        `moved`: the motion gate's word; `present`: somebody is being followed; `unsure`: without a verdict.
        """
        if moved:
            self._last_motion = now
        if unsure:
            interval = self._unsure
        elif present:
            interval = self._settled
        elif now - self._last_motion <= _AFTER_MOTION:
            interval = self._moving
        else:
            interval = self._idle
        if now - self._last_run < interval:
            return False
        self._last_run = now
        return True

"""Time of pictures: playing a file at its own pace, and when a streamed picture was taken."""

from __future__ import annotations

import threading
import time


class Pacer:
    """Waits until a picture is due, for files that play in real time; `stop`, from any thread, ends that."""

    def __init__(self, realtime: bool) -> None:
        self._realtime = realtime
        self._stopped = threading.Event()
        self._zero: float | None = None

    def restart(self) -> None:
        """Forget what was played: the next picture is due at once."""
        self._zero = None
        self._stopped.clear()

    def wait_for(self, position: float) -> float:
        """Wait until the picture at `position` seconds of the file is due; return its moment (monotonic).

        Whoever is more than a second late starts from here instead of rushing through what was missed.
        """
        now = time.monotonic()
        if not self._realtime:
            return now
        if self._zero is None or self._zero + position - now < -1.0:
            self._zero = now - position
        due = self._zero + position
        if due > now:
            self._stopped.wait(due - now)
        return due

    def stop(self) -> None:
        """Let whoever waits go on at once."""
        self._stopped.set()


class StreamClock:
    """Tells when a streamed picture was taken, from its presentation time and when it arrived.

    Network and decoder delay a picture by a varying time. The least delay of late is taken as the unavoidable one;
    a picture that is later than that has waited in some buffer, and is that much older. The two clocks drift apart
    (50 ppm are four seconds a day), so only the last minute or two count.
    """

    def __init__(self, window: float = 60.0) -> None:
        self._window = window
        self.restart()

    def restart(self) -> None:
        """Forget the stream: a new connection counts its time from anew."""
        self._started = 0.0
        self._last: float | None = None
        self._previous = self._current = float("inf")

    def captured_at(self, position: float, arrived: float) -> float:
        """Return the moment of a picture with presentation time `position` (seconds) that came at `arrived`."""
        if self._last is None or not 0.0 < position - self._last < 10.0:
            self._previous = self._current = float("inf")  # a jump, or a stream that does not tell the time
            self._started = arrived
        self._last = position
        if arrived - self._started > self._window:
            self._previous, self._current, self._started = self._current, float("inf"), arrived
        self._current = min(self._current, arrived - position)
        return min(arrived, position + min(self._previous, self._current))

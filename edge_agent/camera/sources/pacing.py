"""Time of pictures: playing a file at its own pace, and when a streamed picture was taken."""

from __future__ import annotations

import threading
import time


class Pacer:
    """Says when the pictures of a file are due and, if it plays in real time, waits until then.

    Otherwise its time runs ahead of the clock: what lies between two pictures is the file's time all the same, for
    people in it must not seem to be gone in a moment. `stop`, from any thread, ends the waiting.
    """

    def __init__(self, realtime: bool) -> None:
        self._realtime = realtime
        self._stopped = threading.Event()
        self._zero: float | None = None
        self._latest = float("-inf")

    def restart(self) -> None:
        """Forget what was played: the next picture is due at once."""
        self._zero = None
        self._stopped.clear()

    def wait_for(self, position: float) -> float:
        """Return the moment (monotonic) at which the picture at `position` seconds of the file is due.

        In real time it is waited for, and whoever is more than a second late starts from here instead of rushing
        through what was missed.
        """
        now = time.monotonic()
        if not self._realtime:
            if self._zero is None:
                self._zero = max(now, self._latest) - position  # time does not run backwards over a restart
            self._latest = self._zero + position
            return self._latest
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

    Network and decoder delay a picture by a varying time. The least delay of late is taken as the unavoidable
    one; a picture that is later than that has waited in some buffer, and is that much older. Only the last seconds
    count, since two clocks drift apart (50 ppm are four seconds a day). A stream whose time runs at another speed
    than ours invents it, as FFmpeg does for MJPEG over HTTP: then a picture counts as taken when it arrives.
    """

    _WINDOW = 5.0  # seconds
    _DRIFT = 0.02  # by which the least delay may grow or shrink within a window, as a share of it

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget the stream: a new connection counts its time from anew."""
        self._last: float | None = None
        self._begin(0.0)

    def _begin(self, arrived: float) -> None:
        self._started = arrived
        self._trusted = False
        self._least = float("inf")
        self._before: float | None = None

    def captured_at(self, position: float, arrived: float) -> float:
        """Return the moment of a picture with presentation time `position` (seconds) that came at `arrived`."""
        if self._last is None or not 0.0 < position - self._last < 10.0:
            self._begin(arrived)  # a jump, or a stream that does not tell the time
        self._last = position
        if arrived - self._started > self._WINDOW:
            if self._before is not None:
                self._trusted = abs(self._least - self._before) < self._DRIFT * self._WINDOW
            self._before, self._least, self._started = self._least, float("inf"), arrived
        self._least = min(self._least, arrived - position)
        if not self._trusted or self._before is None:
            return arrived
        return min(arrived, position + min(self._before, self._least))

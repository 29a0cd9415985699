"""Counters and rates of the running service, in memory that does not grow with time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from statistics import median

WINDOW = 10
"""Seconds over which frames are counted for a rate."""

STAGE_SAMPLES = 128
"""Latest times of a stage that its median is taken from."""


@dataclass(frozen=True, slots=True)
class StatisticsSnapshot:
    """The figures of one moment."""

    uptime: float
    """Seconds since the service began."""
    fps_captured: float
    fps_processed: float
    fps_dropped: float
    """Frames a second over the last `WINDOW` seconds."""
    captured: int
    processed: int
    dropped: int
    """Frames since the service began."""
    frame_age: float | None
    """Seconds since the newest frame was captured; None: there was none yet."""
    latency_ms: float | None
    """Median from a frame's capture to the end of its processing, or until it was found too old for it, less what
    it waited for its turn; of those done in the last `WINDOW` seconds; None: none was. An older figure says nothing
    of how the board keeps up."""
    late: float | None = None
    """Age in seconds of the latest frame, if none of the last `WINDOW` seconds was new enough to be looked at."""
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    """Median milliseconds of each stage over its latest `STAGE_SAMPLES` runs."""
    today: Mapping[str, int] = field(default_factory=dict)
    """Violations since local midnight by kind."""
    day: date | None = None
    """The local day that `today` counts."""


class _Rate:
    """Events in whole seconds, of which the last `WINDOW` are kept."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._buckets: deque[tuple[int, int]] = deque(maxlen=WINDOW + 1)
        self.total = 0

    def add(self, now: float, count: int) -> None:
        self.total += count
        second = int(now)
        if self._buckets and self._buckets[-1][0] == second:
            self._buckets[-1] = (second, self._buckets[-1][1] + count)
        else:
            self._buckets.append((second, count))

    def per_second(self, now: float) -> float:
        oldest = int(now) - WINDOW  # the running second counts with the part of it that has passed
        count = sum(number for second, number in self._buckets if second >= oldest)
        return count / max(1.0, min(now - oldest, now - self._started))


class Statistics:
    """Told by all threads what happened; asked by those who report. Thread-safe."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        local_now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """`clock`: monotonic seconds; `local_now`: local wall time, whose date begins a new day's counts."""
        self._clock = clock
        self._local_now = local_now
        self._lock = threading.Lock()
        self._started = clock()
        self._captured = _Rate(self._started)
        self._processed = _Rate(self._started)
        self._too_old = _Rate(self._started)
        self._late = 0.0
        self._dropped = _Rate(self._started)
        self._newest: float | None = None
        self._latency: deque[tuple[float, float]] = deque(maxlen=STAGE_SAMPLES)
        """When each of the latest frames was done, and its milliseconds until then."""
        self._stages: dict[str, deque[float]] = {}
        self._day = local_now().date()
        self._today: dict[str, int] = {}
        self._ahead: tuple[date, Mapping[str, int]] | None = None
        """Restored counts of a day that the clock has not reached."""

    def frames_captured(self, count: int = 1, *, captured_at: float | None = None) -> None:
        """`count` frames came; `captured_at`: monotonic seconds of the newest, now if left out."""
        with self._lock:
            now = self._clock()
            self._captured.add(now, count)
            if count > 0:
                self._newest = now if captured_at is None else captured_at

    def frames_dropped(self, count: int = 1) -> None:
        """`count` frames were replaced by a newer one before anybody looked at them."""
        with self._lock:
            self._dropped.add(self._clock(), count)

    def frame_processed(
        self, stage_ms: Mapping[str, float] | None = None, *, captured_at: float | None = None
    ) -> None:
        """A frame is done; `stage_ms`: milliseconds of each stage that ran for it."""
        with self._lock:
            now = self._clock()
            self._processed.add(now, 1)
            if captured_at is not None:
                self._latency.append((now, (now - captured_at) * 1000.0))
            for stage, milliseconds in (stage_ms or {}).items():
                self._stages.setdefault(stage, deque(maxlen=STAGE_SAMPLES)).append(milliseconds)

    def frame_too_old(self, captured_at: float, *, waited: float = 0.0) -> None:
        """A frame captured at `captured_at` (monotonic seconds) came too late to be looked at; then it waited for
        its turn for `waited` seconds.
        """
        with self._lock:
            now = self._clock()
            self._too_old.add(now, 1)
            self._late = now - captured_at
            self._latency.append((now, (now - captured_at - waited) * 1000.0))

    def violation(self, kind: str) -> None:
        """A violation of this kind started."""
        with self._lock:
            self._roll_over()
            self._today[kind] = self._today.get(kind, 0) + 1

    def restore_today(self, day: date, counts: Mapping[str, int]) -> None:
        """Take up the counts of an earlier run of the same day; those of a day that has passed are left out.

        A board without a clock of its own begins at the time it last stopped, or before: the counts of a day to
        come are taken up when the network has told it the time.
        """
        with self._lock:
            self._roll_over()
            if day == self._day:
                for kind, count in counts.items():
                    self._today[kind] = self._today.get(kind, 0) + count
            elif day > self._day:
                self._ahead = day, dict(counts)

    def snapshot(self) -> StatisticsSnapshot:
        """All figures as they are now."""
        with self._lock:
            now = self._clock()
            self._roll_over()
            latency = [milliseconds for done, milliseconds in self._latency if done > now - WINDOW]
            unseen = self._too_old.per_second(now) > 0 and self._processed.per_second(now) == 0
            return StatisticsSnapshot(
                uptime=now - self._started,
                fps_captured=self._captured.per_second(now),
                fps_processed=self._processed.per_second(now),
                fps_dropped=self._dropped.per_second(now),
                captured=self._captured.total,
                processed=self._processed.total,
                dropped=self._dropped.total,
                frame_age=None if self._newest is None else max(0.0, now - self._newest),
                latency_ms=median(latency) if latency else None,
                late=self._late if unseen else None,
                stage_ms={stage: median(times) for stage, times in self._stages.items()},
                today=dict(self._today),
                day=self._day,
            )

    def _roll_over(self) -> None:
        # any other date, not only a later one: a clock that was wrong at boot may also step back
        day = self._local_now().date()
        if day != self._day:
            self._day = day
            self._today = {}
            if self._ahead is not None and self._ahead[0] == day:
                self._today.update(self._ahead[1])
                self._ahead = None

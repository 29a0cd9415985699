"""Turns violations into patterns: one sounds, at most one waits, and nobody waits for the buzzer."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.config import BuzzerSettings, Pattern
from edge_agent.outputs.buzzer.drivers import Driver, DriverError
from edge_agent.types import Verdict, ViolationNotice, ViolationType

_log = logging.getLogger(__name__)

TEST_PATTERN = Pattern(on=0.2, off=0.0, repeats=1)
GAP_SECONDS = 0.4
"""Silence between two patterns, so that a person hears two."""
RETRY_SECONDS = 30.0
"""A device that failed is tried again at the first alarm after this long."""
HANG_SECONDS = 5.0
"""A pattern that takes this much longer than it should means that the device hangs."""

_STRENGTH = {None: 0, Verdict.INCORRECT: 1, Verdict.NO_MASK: 2}


@dataclass(frozen=True, slots=True)
class BeepEvent:
    """A pattern that begins to sound."""

    kind: Verdict | None
    """What it is about; None for a test beep."""
    pattern: Pattern
    event_id: str | None
    """The violation's; None for a test beep."""
    monotonic: float
    """`time.monotonic()` of its beginning."""


@dataclass(frozen=True, slots=True)
class BuzzerStats:
    """State of the buzzer for the status message."""

    driver: str
    """`gpio`, `jetson`, `sound` or `simulated`; `none` while there is no working device."""
    available: bool
    reason: str | None
    """Why it is not available."""
    muted: bool
    beeps: int
    """Patterns that began to sound since the start."""
    skipped: int
    """Alarms that gave way to one already waiting, or that found no working device."""
    failures: int
    """Times that a device could not be opened or failed while it sounded."""


class BuzzerOutput:
    """Sounds the pattern of a violation's kind in its own thread.

    While one pattern sounds at most one more waits; of several, the strongest kind. No device means one
    warning and a paced retry, never an error for the caller.
    """

    def __init__(
        self,
        settings: BuzzerSettings,
        open_driver: Callable[[], Driver],
        *,
        on_beep: Callable[[BeepEvent], None] | None = None,
    ) -> None:
        self._settings = settings
        self._open_driver = open_driver
        self._on_beep = on_beep
        self._changed = threading.Condition()
        # All below is guarded by _changed.
        self._driver: Driver | None = None
        self._reason: str | None = None if settings.enabled else "switched off in the configuration"
        self._retry_at: float | None = None
        self._warned = False
        self._waiting: BeepEvent | None = None
        self._playing: BeepEvent | None = None
        self._halt = threading.Event()
        self._overdue_at = 0.0
        self._stopping = False
        self._muted = False
        self._beeps = self._skipped = self._failures = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the device, silent, and begin to listen; a missing device is a warning, not an error.

        Call it before other threads run: opening a Pi's GPIO changes the working directory for a moment.
        """
        if not self._settings.enabled or self._thread is not None:
            return
        self._open()
        atexit.register(self._close)
        self._thread = threading.Thread(target=self._run, name="buzzer", daemon=True)
        self._thread.start()

    def handle(self, notice: ViolationNotice) -> None:
        """Sound the alarm of a violation that starts, if it is to sound at all; returns at once."""
        violation = notice.violation
        if notice.alarm and violation.type is ViolationType.STARTED:
            pattern = self._settings.incorrect if violation.kind is Verdict.INCORRECT else self._settings.no_mask
            self._offer(BeepEvent(violation.kind, pattern, violation.event_id, 0.0))

    def beep_test(self) -> None:
        """One short beep, asked for by a person, so also while muted; returns at once."""
        self._offer(BeepEvent(None, TEST_PATTERN, None, 0.0))

    @property
    def muted(self) -> bool:
        """While True no alarm sounds; setting it cuts off what sounds and drops what waits."""
        with self._changed:
            return self._muted

    @muted.setter
    def muted(self, value: bool) -> None:
        with self._changed:
            self._muted = value
            if not value:
                return
            if self._waiting is not None and self._waiting.kind is not None:
                self._waiting = None
            if self._playing is not None and self._playing.kind is not None:
                self._halt.set()

    def stats(self) -> BuzzerStats:
        """State and counters as of now."""
        with self._changed:
            hangs = self._playing is not None and time.monotonic() > self._overdue_at
            available = self._driver is not None and not hangs
            return BuzzerStats(
                driver=self._driver.name if self._driver is not None else "none",
                available=available,
                reason="the device hangs" if hangs else self._reason,
                muted=self._muted,
                beeps=self._beeps,
                skipped=self._skipped,
                failures=self._failures,
            )

    def stop(self, timeout: float = 2.0) -> None:
        """Cut off what sounds, switch the line off and let go of it; waits at most `timeout` seconds."""
        with self._changed:
            self._stopping = True
            self._waiting = None
            self._halt.set()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                _log.warning("Buzzer did not stop within %.1f s; switching it off all the same", timeout)
        self._close()
        atexit.unregister(self._close)

    def _offer(self, beep: BeepEvent) -> None:
        with self._changed:
            if self._thread is None or self._stopping or (self._muted and beep.kind is not None):
                return
            if self._waiting is not None:
                self._skipped += 1
                if _STRENGTH[beep.kind] <= _STRENGTH[self._waiting.kind]:
                    return
            self._waiting = beep
            self._changed.notify_all()

    def _run(self) -> None:
        while (beep := self._next()) is not None:
            self._sound(beep)
            with self._changed:
                self._playing = None
                self._changed.wait_for(lambda: self._stopping, GAP_SECONDS)

    def _next(self) -> BeepEvent | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._waiting is not None)
            if self._stopping or self._waiting is None:
                return None
            now = time.monotonic()
            waiting, self._waiting = self._waiting, None
            beep = BeepEvent(waiting.kind, waiting.pattern, waiting.event_id, now)
            self._playing, self._halt = beep, threading.Event()
            pattern = beep.pattern
            self._overdue_at = now + pattern.repeats * (pattern.on + pattern.off) + HANG_SECONDS
            return beep

    def _sound(self, beep: BeepEvent) -> None:
        if self._driver is None and self._retry_at is not None and time.monotonic() >= self._retry_at:
            self._open()
        driver = self._driver
        if driver is None:
            with self._changed:
                self._skipped += 1
            return
        with self._changed:
            self._beeps += 1
        self._tell(beep)
        _log.info("buzzer: %s, %d times", beep.kind.value if beep.kind else "test", beep.pattern.repeats)
        try:
            driver.play(beep.pattern, self._halt)
        except DriverError as error:
            driver.close()
            self._failed(error)
        except Exception as error:  # no memory, no file descriptor, a fault of ours: later beeps are tried again
            _log.exception("The buzzer failed")
            driver.close()
            self._failed(DriverError(f"it failed: {error!r}", "see the log above"))

    def _tell(self, beep: BeepEvent) -> None:
        if self._on_beep is None:
            return
        try:
            self._on_beep(beep)
        except Exception:  # a listener's bug must not silence the alarm
            _log.exception("The listener of a beep failed")

    def _open(self) -> None:
        try:
            driver = self._open_driver()
        except DriverError as error:
            self._failed(error)
            return
        with self._changed:
            if self._stopping:  # too late: stop() has already closed what there was
                driver.close()
                return
            self._driver, self._reason, self._retry_at, self._warned = driver, None, None, False
        _log.info("Buzzer ready: %s", driver.name)

    def _failed(self, error: DriverError) -> None:
        with self._changed:
            self._driver = None
            self._reason = str(error)
            self._failures += 1
            self._retry_at = None if error.lasting else time.monotonic() + RETRY_SECONDS
            warned, self._warned = self._warned, True
        _log.log(
            logging.DEBUG if warned else logging.WARNING,
            "No buzzer: %s; violations are still reported. To mend it: %s",
            error,
            error.hint,
        )

    def _close(self) -> None:
        with self._changed:
            driver, self._driver = self._driver, None
            if driver is not None:
                self._reason = "stopped"
        if driver is not None:
            driver.close()

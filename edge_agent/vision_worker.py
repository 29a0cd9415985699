"""The vision worker: the only thread that touches the networks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import cv2

from edge_agent.camera.slot import FrameSlot
from edge_agent.chain import Chain, FrameResult
from edge_agent.outputs.switches import Switches
from edge_agent.service.progress import ProgressWatchdog
from edge_agent.service.statistics import Statistics
from edge_agent.types import Frame, Person, ViolationNotice

_log = logging.getLogger(__name__)

_WAIT = 0.5
"""Seconds without a frame after which the loop goes round all the same."""
_MOST_FAILURES = 20
"""Frames in a row that the networks may choke on before the service gives up and is started afresh."""


class VisionWorker(threading.Thread):
    """Takes the newest frame, sends it through the chain and hands on what started or ended."""

    def __init__(
        self,
        chain: Chain,
        slot: FrameSlot,
        *,
        live: bool,
        max_fps: float,
        max_age: float,
        switches: Switches,
        deliver: Callable[[ViolationNotice], None],
        statistics: Statistics,
        watchdog: ProgressWatchdog,
        on_result: Callable[[Frame, FrameResult], None] | None = None,
    ) -> None:
        """`live`: frames come in real time, so they are paced to `max_fps`, and older than `max_age` seconds are
        not looked at; otherwise every frame is, and time is what the frames say. `deliver` must not block.
        """
        super().__init__(name="vision", daemon=True)
        self._chain = chain
        self._slot = slot
        self._live = live
        self._max_age = max_age
        self._switches = switches
        self._deliver = deliver
        self._statistics = statistics
        self._watchdog = watchdog
        self._on_result = on_result
        self._halt = threading.Event()
        self._watching = True
        self._failures = 0
        self._now = 0.0
        self.max_fps = max_fps
        """Most frames looked at in a second; may be set at any time."""
        self.stale = 0
        """Frames that were too old to be looked at when they came."""
        self.failed = False
        """Whether the worker gave up."""
        self.persons: Sequence[Person] = ()
        """Everybody in view after the latest frame."""
        self.latest: tuple[Frame, float] | None = None
        """The latest frame that was looked at, and when (monotonic seconds)."""

    def halt(self) -> None:
        """Ask the worker to end; open violations are ended and delivered."""
        self._halt.set()

    def run(self) -> None:
        try:
            self._loop()
        except Exception:
            self.failed = True
            _log.exception("the vision worker failed; the service ends, to be started afresh")
        finally:
            self._hand_on(self._chain.clear(time.monotonic() if self._live else self._now))

    def _loop(self) -> None:
        due = 0.0
        while not self._halt.is_set():
            if self._live and (pause := due - time.monotonic()) > 0:
                # Waiting before the frame is taken, not after: what is looked at is then the newest.
                self._halt.wait(pause)
            frame = self._slot.take(_WAIT)
            if frame is None:
                if self._slot.closed:
                    return
                self._watchdog.worker_alive()
                if self._live:
                    self._pass_time()
                continue
            begun = time.monotonic()
            if self._take(frame, self._slot.waited):
                due = begun + 1.0 / self.max_fps

    def _take(self, frame: Frame, waited: float) -> bool:
        """Look at a frame that lay in the slot for `waited` seconds, unless it is too old; whether it had its turn:
        the frame after one that had not is taken as it comes.
        """
        self._now = frame.captured_at
        if not self._switches.get().detection:
            self._pause()
            return True
        self._watching = True
        age = time.monotonic() - frame.captured_at
        if self._live and age > self._max_age:
            if age - waited > self._max_age:
                self.stale += 1
                self._statistics.frame_too_old(frame.captured_at, waited=waited)
            else:
                self._slot.passed_over()
            self._watchdog.worker_alive()
            self._pass_time()
            return False
        try:
            result = self._chain.process(frame)
        except cv2.error as error:
            # A frame that OpenCV can't digest must not end the watch; a row of them is a fault.
            self._failures += 1
            _log.warning("frame %d could not be looked at: %s", frame.index, error.err or error)
            if self._failures >= _MOST_FAILURES:
                raise
            return True
        self._failures = 0
        self.persons, self.latest = result.persons, (frame, time.monotonic())
        self._hand_on(result.notices)
        times = result.times
        stages = {"motion": times.motion, "faces": times.faces, "mask": times.mask, "gender": times.gender}
        stages["track"] = times.track
        self._statistics.frame_processed(
            {name: value for name, value in stages.items() if value is not None},
            # While it waited for its turn, the board was not slow.
            captured_at=frame.captured_at + waited if self._live else None,
        )
        self._watchdog.processed()
        if self._on_result is not None:
            self._on_result(frame, result)
        return True

    def _pass_time(self) -> None:
        """Nothing was looked at: people can only leave."""
        now = time.monotonic()
        self._hand_on(self._chain.idle(now))
        self.persons = self._chain.people.persons(now)

    def _pause(self) -> None:
        if self._watching:
            self._hand_on(self._chain.clear(self._now))
            self.persons = ()
            self._watching = False
        self._watchdog.processed()

    def _hand_on(self, notices: Sequence[ViolationNotice]) -> None:
        for notice in notices:
            self._deliver(notice)

"""The worker: paces, pauses, skips what is stale, and survives a frame that OpenCV chokes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import cast

import cv2
import numpy as np
import pytest

from edge_agent.camera.slot import FrameSlot
from edge_agent.chain import Chain, FrameResult
from edge_agent.config import Settings
from edge_agent.outputs.switches import Switches
from edge_agent.service.notify import Notifier
from edge_agent.service.progress import ProgressWatchdog
from edge_agent.service.statistics import Statistics
from edge_agent.types import Box, Frame, Person, Verdict, Violation, ViolationNotice, ViolationType
from edge_agent.vision.networks import StageTimes
from edge_agent.vision_worker import VisionWorker

NOTICE = ViolationNotice(
    Violation(
        "id", ViolationType.ENDED, Verdict.NO_MASK, 1, 0.9, 3, None, (0, 0, 1, 1), datetime.now(timezone.utc), 0.0
    ),
    alarm=False,
)


PERSON = Person(1, Box(0, 0, 8, 8), Verdict.NO_MASK, 0.9, 3, "unknown", 0.0, 0.0, 0.0)


class ScriptedPeople:
    def persons(self, _now: float) -> list[Person]:
        return []


class ScriptedChain:
    """Stands in for the networks: what is tested here is the loop around them."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.newest = 0
        self.behind: list[int] = []
        self.cleared_at: list[float] = []
        self.idled = 0
        self.fail: Callable[[int], Exception | None] = lambda _index: None
        self.people = ScriptedPeople()

    def process(self, frame: Frame) -> FrameResult:
        error = self.fail(frame.index)
        if error is not None:
            raise error
        self.seen.append(frame.index)
        self.behind.append(self.newest - frame.index)
        return FrameResult(True, (), (PERSON,), (), StageTimes(faces=1.0))

    def idle(self, _now: float) -> tuple[ViolationNotice, ...]:
        self.idled += 1
        return ()

    def clear(self, now: float) -> tuple[ViolationNotice, ...]:
        self.cleared_at.append(now)
        return (NOTICE,)


class Rig:
    def __init__(self, *, live: bool, max_fps: float = 1000.0) -> None:
        self.chain = ScriptedChain()
        self.slot = FrameSlot(block=not live)
        self.switches = Switches.from_settings(None, Settings())
        self.delivered: list[ViolationNotice] = []
        self.statistics = Statistics()
        self.watchdog = ProgressWatchdog(Notifier())
        self.watchdog.camera_state("ok")
        self.results: list[tuple[Frame, FrameResult]] = []
        self.worker = VisionWorker(
            cast(Chain, self.chain),
            self.slot,
            live=live,
            max_fps=max_fps,
            max_age=1.0,
            switches=self.switches,
            deliver=self.delivered.append,
            statistics=self.statistics,
            watchdog=self.watchdog,
            on_result=lambda frame, result: self.results.append((frame, result)),
        )

    def put(self, index: int, age: float = 0.0) -> None:
        image = np.zeros((8, 8, 3), np.uint8)
        self.chain.newest = index
        self.slot.put(Frame(index, image, time.monotonic() - age, datetime.now(timezone.utc)))

    def finish(self) -> None:
        self.slot.wait_taken(5)
        self.worker.halt()
        self.worker.join(5)
        assert not self.worker.is_alive()


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_every_frame_of_a_file_is_looked_at_in_order() -> None:
    rig = Rig(live=False)
    rig.worker.start()
    for index in range(50):
        rig.put(index)
    rig.finish()
    assert rig.chain.seen == list(range(50))
    assert rig.statistics.snapshot().processed == 50


def test_a_stale_frame_is_not_looked_at() -> None:
    rig = Rig(live=True)
    rig.worker.start()
    rig.put(1, age=5.0)
    until(lambda: rig.worker.stale == 1)
    until(lambda: rig.chain.idled >= 1)  # who was in view may leave meanwhile
    figures = rig.statistics.snapshot()
    assert figures.late is not None  # so that the governor and the health hear of it
    assert figures.late >= 5
    rig.put(2)
    rig.finish()
    assert rig.chain.seen == [2]


def test_frames_are_paced_and_the_newest_is_taken() -> None:
    rig = Rig(live=True, max_fps=10)
    rig.worker.start()
    end = time.monotonic() + 1.0
    index = 0
    while time.monotonic() < end:
        rig.put(index)
        index += 1
        time.sleep(0.004)
    rig.finish()
    # a busy machine makes them fewer, nothing may make them more
    assert 1 <= len(rig.chain.seen) <= 12
    assert rig.chain.seen == sorted(rig.chain.seen)
    # Taken before the pause instead of after it, each frame would be overtaken by all that were put meanwhile. In
    # frames and not in seconds, for a busy machine makes them rare.
    assert np.median(rig.chain.behind) <= 1


def test_switched_off_everything_open_ends_and_the_networks_rest() -> None:
    rig = Rig(live=True)
    rig.worker.start()
    rig.put(1)
    until(lambda: rig.chain.seen == [1])
    rig.switches.set("detection", False)
    rig.put(2)
    until(lambda: len(rig.chain.cleared_at) == 1)
    rig.put(3)
    rig.slot.wait_taken(5)
    assert rig.delivered == [NOTICE]
    rig.switches.set("detection", True)
    rig.put(4)
    until(lambda: rig.chain.seen[-1] == 4)
    rig.finish()
    assert rig.chain.seen == [1, 4]


def test_without_frames_people_are_still_let_go() -> None:
    rig = Rig(live=True)
    rig.worker.start()
    until(lambda: rig.chain.idled >= 1)
    rig.finish()


def test_a_frame_that_opencv_chokes_on_is_skipped() -> None:
    rig = Rig(live=False)
    rig.chain.fail = lambda index: cv2.error("bad frame") if index == 3 else None
    rig.worker.start()
    for index in range(6):
        rig.put(index)
    rig.finish()
    assert rig.chain.seen == [0, 1, 2, 4, 5]
    assert not rig.worker.failed


def test_when_every_frame_fails_the_worker_gives_up_and_says_so() -> None:
    rig = Rig(live=False)
    rig.chain.fail = lambda _index: cv2.error("bad frame")
    rig.worker.start()
    feeder = threading.Thread(target=lambda: [rig.put(index) for index in range(30)], daemon=True)
    feeder.start()
    rig.worker.join(10)
    rig.slot.close()
    assert rig.worker.failed
    assert rig.delivered == [NOTICE]


def test_an_error_of_ours_ends_the_worker_and_open_violations(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(live=False)
    rig.chain.fail = lambda _index: ZeroDivisionError()
    rig.worker.start()
    rig.put(1)
    rig.worker.join(5)
    assert rig.worker.failed
    assert rig.delivered == [NOTICE]
    assert "started afresh" in caplog.text


def test_a_closed_slot_ends_the_worker() -> None:
    rig = Rig(live=False)
    rig.worker.start()
    rig.slot.close()
    rig.worker.join(5)
    assert not rig.worker.is_alive()
    assert not rig.worker.failed


def test_a_camera_slower_than_the_pace_is_not_taken_for_a_slow_board() -> None:
    rig = Rig(live=True, max_fps=0.5)  # looks every two seconds; what is older than one is not looked at
    rig.worker.start()
    rig.put(1)
    until(lambda: rig.chain.seen == [1])
    rig.put(2)  # it comes while the worker waits for its turn, and gets too old before that
    until(lambda: rig.slot.wait_taken(0), 10)
    rig.put(3)
    until(lambda: rig.chain.seen == [1, 3])  # as it comes, without another pause
    figures = rig.statistics.snapshot()
    assert rig.worker.stale == 0
    assert rig.slot.dropped == 1, "no frame vanishes"
    assert figures.late is None
    assert figures.latency_ms is not None
    assert figures.latency_ms < 500
    rig.slot.close()
    rig.finish()


def test_frames_that_fail_now_and_then_are_no_reason_to_give_up() -> None:
    rig = Rig(live=False)
    rig.chain.fail = lambda index: cv2.error("bad frame") if index % 16 else None
    rig.worker.start()
    for index in range(65):
        rig.put(index)
    rig.finish()
    assert rig.chain.seen == [0, 16, 32, 48, 64]
    assert not rig.worker.failed


def test_at_the_end_of_a_film_what_is_open_ends_by_its_time_and_before_a_camera_by_the_clock() -> None:
    for live in (False, True):
        rig = Rig(live=live)
        rig.worker.start()
        rig.put(1, age=0.4)
        until(lambda rig=rig: bool(rig.results))  # type: ignore[misc]
        taken = rig.results[0][0].captured_at
        rig.finish()
        (ended,) = rig.chain.cleared_at
        assert ended >= taken + 0.4 if live else ended == taken


def test_who_is_in_view_and_the_picture_are_there_for_the_live_page() -> None:
    rig = Rig(live=False)
    assert (rig.worker.persons, rig.worker.latest) == ((), None)
    rig.worker.start()
    rig.put(1)
    until(lambda: bool(rig.results))
    assert rig.worker.persons == (PERSON,)
    assert rig.worker.latest is not None and rig.worker.latest[0].index == 1
    rig.switches.set("detection", False)
    rig.put(2)
    until(lambda: rig.worker.persons == ())
    rig.finish()
    assert [frame.index for frame, _ in rig.results] == [1]


def test_each_time_it_is_switched_off_what_is_open_ends_once() -> None:
    rig = Rig(live=False)
    rig.worker.start()
    index = 0
    for times in (1, 2, 3):
        for detection in (True, False, False):
            rig.switches.set("detection", detection)
            index += 1
            rig.put(index)
            rig.put(0)  # is taken only when the worker is done with the one before
            assert rig.slot.wait_taken(5)
        until(lambda times=times: len(rig.delivered) == times)  # type: ignore[misc]
    assert len(rig.chain.cleared_at) == 3
    rig.finish()


def test_when_no_frame_comes_who_was_in_view_is_gone() -> None:
    rig = Rig(live=True)
    rig.worker.start()
    rig.put(1)
    until(lambda: bool(rig.results))
    until(lambda: not rig.worker.persons)
    rig.finish()
    assert rig.chain.idled >= 1


def test_the_figures_tell_of_stages_that_ran_and_of_a_cameras_delay_only() -> None:
    for live in (False, True):
        rig = Rig(live=live)
        rig.worker.start()
        rig.put(1, age=0.4)
        until(lambda rig=rig: bool(rig.results))  # type: ignore[misc]
        rig.finish()
        figures = rig.statistics.snapshot()
        assert figures.stage_ms == {"faces": 1.0}
        assert figures.late is None
        if live:
            assert figures.latency_ms is not None and figures.latency_ms >= 400
        else:
            assert figures.latency_ms is None


@pytest.mark.parametrize("detection", [True, False])
def test_a_service_that_works_or_is_paused_is_not_restarted(detection: bool) -> None:
    rig = Rig(live=True)
    rig.switches.set("detection", detection)
    rig.worker.start()
    rig.watchdog.captured()
    assert not rig.watchdog.tick(), "nothing was done yet"
    rig.put(1)
    until(rig.watchdog.tick)
    rig.finish()


def test_a_service_whose_frames_all_fail_is_restarted() -> None:
    rig = Rig(live=True)
    rig.chain.fail = lambda _index: cv2.error("bad frame")
    rig.worker.start()
    for index in range(10):
        rig.watchdog.captured()
        rig.put(index)
        assert rig.slot.wait_taken(5)
    assert not rig.watchdog.tick()
    rig.finish()


def test_while_the_camera_is_away_the_worker_is_known_to_live() -> None:
    rig = Rig(live=True)
    rig.watchdog.camera_state("lost")
    rig.worker.start()
    until(rig.watchdog.tick)
    rig.finish()


def test_frames_that_are_too_old_are_no_progress_but_life() -> None:
    rig = Rig(live=True)
    rig.worker.start()
    rig.put(1, age=5.0)
    until(lambda: rig.worker.stale == 1)
    until(lambda: rig.chain.idled >= 1)
    rig.watchdog.captured()
    assert not rig.watchdog.tick()
    rig.watchdog.camera_state("lost")
    assert rig.watchdog.tick()
    rig.finish()


def test_a_slower_rate_may_be_asked_for_while_it_runs() -> None:
    """The governor lowers it on a hot board."""
    rig = Rig(live=True)
    rig.worker.start()
    rig.put(0)
    until(lambda: rig.chain.seen == [0])
    rig.worker.max_fps = 0.2
    rig.put(1)
    until(lambda: rig.chain.seen == [0, 1])
    rig.put(2)
    assert not rig.slot.wait_taken(1.0)
    rig.worker.halt()  # and no pause keeps the service from stopping
    rig.worker.join(3)
    assert not rig.worker.is_alive()

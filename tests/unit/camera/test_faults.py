"""Every way a camera can fail: seen in time, the old handle released first, opened again, counted, told."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.cameras.scripted import Mode, ScriptedCamera, wait_until
from edge_agent.camera.slot import FrameSlot
from edge_agent.camera.thread import MAX_ABANDONED, CameraThread
from edge_agent.config import CameraSettings

Run = Callable[[], CameraThread]


def well(thread: CameraThread) -> Callable[[], bool]:
    before = thread.stats().captured
    return lambda: thread.stats().state == "ok" and thread.stats().captured > before


def recorded_pauses(thread: CameraThread, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the thread makes from now on, in seconds."""
    pauses: list[float] = []
    pause_after = thread._pause_after

    def recorded() -> float:
        pauses.append(pause_after())
        return pauses[-1]

    monkeypatch.setattr(thread, "_pause_after", recorded)
    return pauses


def well_for(thread: CameraThread) -> float:
    """Seconds from the first to the latest picture since the camera was opened."""
    since = thread._good_since
    return thread._good_until - since if since is not None else 0.0


@pytest.mark.parametrize(
    ("mode", "state", "kind"),
    [
        ("absent", "lost", "no_frames"),
        ("unplugged", "lost", "no_frames"),
        ("stalled", "lost", "stalled"),
        ("frozen", "frozen", "frozen"),
        ("raises", "lost", "error"),
        ("garbage", "lost", "error"),
    ],
)
def test_a_fault_is_seen_counted_and_healed(
    mode: Mode, state: str, kind: str, run: Run, camera: ScriptedCamera
) -> None:
    thread = run()
    wait_until(well(thread))
    camera.mode = mode

    def seen() -> bool:
        stats = thread.stats()  # counted first, told a moment later
        return stats.failures.get(kind, 0) > 0 and stats.state == state

    wait_until(seen)
    assert thread.stats().reason
    camera.mode = "well"
    wait_until(well(thread))
    stats = thread.stats()
    assert stats.reason == ""
    assert stats.reopened >= 1
    assert camera.most_open == 1, "the old handle must be released before a new one is opened"


def test_a_camera_that_is_not_there_at_the_start_is_waited_for(run: Run, camera: ScriptedCamera) -> None:
    camera.mode = "absent"
    thread = run()
    wait_until(lambda: thread.stats().failures.get("open_failed", 0) >= 2)
    assert thread.stats().state == "lost"
    assert "not attached" in thread.stats().reason
    camera.mode = "well"
    wait_until(well(thread))


def test_attempts_are_paced_and_never_spin(run: Run, camera: ScriptedCamera) -> None:
    camera.mode = "absent"
    began = time.monotonic()
    run()
    wait_until(lambda: camera.attempts >= 6)
    assert time.monotonic() - began > 1.1, "the pauses before are 0.05, 0.1, 0.2, 0.4 and 0.4 s"


def test_reads_that_give_nothing_are_paced_and_never_spin(run: Run, camera: ScriptedCamera) -> None:
    camera.mode = "unplugged"
    began = time.monotonic()
    run()
    wait_until(lambda: camera.reads >= 12)
    assert time.monotonic() - began > 1.1, "0.2 s in each of four attempts, and 0.05, 0.1 and 0.2 s between them"


def test_a_well_camera_begins_again_with_the_short_pause(
    run: Run, camera: ScriptedCamera, settings: CameraSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera.mode = "absent"
    thread = run()
    pauses = recorded_pauses(thread, monkeypatch)
    wait_until(lambda: pauses[-1:] == [settings.reopen_max])
    camera.mode = "well"
    wait_until(lambda: well_for(thread) >= settings.stall_after)
    count = len(pauses)
    camera.mode = "unplugged"
    wait_until(lambda: len(pauses) > count)
    assert pauses[count] == settings.reopen_min


def test_a_camera_that_flickers_is_not_hurried(
    camera: ScriptedCamera, settings: CameraSettings, slot: FrameSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this test is, the camera is never well for so long.
    strict = settings.model_copy(update={"stall_after": 600.0})
    thread = CameraThread(strict, slot, open_source=camera.source)
    pauses = recorded_pauses(thread, monkeypatch)
    thread.start()
    for _ in range(4):
        wait_until(well(thread))
        count = len(pauses)
        camera.mode = "unplugged"
        wait_until(lambda count=count: len(pauses) > count)  # type: ignore[misc]
        camera.mode = "well"
    assert thread.stop(30)
    # It was well too briefly each time: the pause has grown.
    assert pauses[-1] > 2 * settings.reopen_min


def test_the_rate_falls_to_zero_when_pictures_stop(run: Run, camera: ScriptedCamera) -> None:
    thread = run()
    wait_until(lambda: thread.stats().fps > 0)
    camera.mode = "stalled"
    wait_until(lambda: thread.stats().fps == 0.0, 30)


def test_the_rate_falls_to_zero_when_the_picture_freezes(run: Run, camera: ScriptedCamera) -> None:
    thread = run()
    wait_until(lambda: thread.stats().fps > 0)
    camera.mode = "frozen"
    wait_until(lambda: thread.stats().fps == 0.0, 30)


def test_a_frozen_picture_is_handed_to_nobody_and_stays_frozen_across_reopening(
    run: Run, camera: ScriptedCamera, slot: FrameSlot
) -> None:
    thread = run()
    wait_until(well(thread))
    camera.mode = "frozen"
    wait_until(lambda: thread.stats().state == "frozen")
    slot.take(0)
    reopened = thread.stats().reopened
    states = set()

    def reopened_twice() -> bool:
        states.add(thread.stats().state)
        return thread.stats().reopened >= reopened + 2

    wait_until(reopened_twice)
    assert states == {"frozen"}
    assert slot.take(0) is None


def test_a_camera_that_lost_its_picture_is_opened_again_once(run: Run, camera: ScriptedCamera) -> None:
    thread = run()
    wait_until(well(thread))
    camera.mode = "pitch black"
    wait_until(lambda: thread.stats().reopened == 1)
    captured = thread.stats().captured
    wait_until(lambda: thread.stats().captured > captured + 60)
    stats = thread.stats()
    assert (stats.state, stats.reopened, stats.failures) == ("dark", 1, {"dark": 1})


@pytest.mark.parametrize("mode", ["black", "covered"])
def test_a_dark_picture_is_told_but_still_handed_on(mode: Mode, run: Run, camera: ScriptedCamera) -> None:
    thread = run()
    wait_until(well(thread))
    camera.mode = mode
    wait_until(lambda: thread.stats().state == "dark")
    captured = thread.stats().captured
    wait_until(lambda: thread.stats().captured > captured + 5)
    assert thread.stats().failures == {"dark": 1}
    assert "lens" in thread.stats().reason
    camera.mode = "well"
    wait_until(well(thread))
    assert thread.stats().reopened == 0


def test_a_new_size_in_mid_stream_is_counted_and_taken_over(
    run: Run, camera: ScriptedCamera, slot: FrameSlot
) -> None:
    thread = run()
    wait_until(well(thread))
    camera.size = (96, 72)
    wait_until(lambda: thread.stats().width == 96)
    assert thread.stats().height == 72
    assert thread.stats().failures == {"resized": 1}
    assert thread.stats().state == "ok"


def test_a_read_that_never_returns_is_left_behind_and_replaced(run: Run, camera: ScriptedCamera) -> None:
    thread = run()
    wait_until(well(thread))
    camera.mode = "hangs"
    wait_until(lambda: thread.stats().abandoned == 1)
    camera.mode = "well"
    wait_until(well(thread))
    assert thread.stats().failures["stalled"] >= 1
    camera.wake()
    wait_until(lambda: thread.stats().abandoned == 0)
    wait_until(lambda: camera.open_now == 1)  # the one that woke up has released its handle
    assert thread.stats().state == "ok"


def test_frames_of_a_reader_that_woke_up_late_are_not_mixed_in(
    run: Run, camera: ScriptedCamera, slot: FrameSlot
) -> None:
    thread = run()
    wait_until(well(thread))
    camera.mode = "hangs"
    wait_until(lambda: thread.stats().abandoned == 1)
    camera.mode = "well"
    wait_until(well(thread))
    camera.wake()
    wait_until(lambda: thread.stats().abandoned == 0)
    indices = [frame.index for _ in range(20) if (frame := slot.take(5)) is not None]
    assert len(indices) == 20
    assert indices == sorted(set(indices))


@pytest.mark.parametrize("mode", ["hangs", "hangs opening"])
def test_too_many_hanging_reads_are_stuck_and_no_more_threads_are_made(
    mode: Mode, run: Run, camera: ScriptedCamera
) -> None:
    camera.mode = mode
    thread = run()
    wait_until(lambda: thread.stats().state == "stuck")
    attempts = camera.attempts
    readers = [t for t in threading.enumerate() if t.name == "camera-reader"]
    assert len(readers) == MAX_ABANDONED
    time.sleep(1.0)
    assert camera.attempts == attempts
    assert "new process" in thread.stats().reason
    camera.mode = "well"
    camera.wake()
    wait_until(well(thread))  # not even stuck is for ever


def test_a_hanging_read_that_holds_the_camera_is_stuck(run: Run, camera: ScriptedCamera) -> None:
    thread = run()
    wait_until(well(thread))
    camera.mode = "hangs"
    wait_until(lambda: thread.stats().abandoned == 1)
    camera.mode = "absent"  # busy, to every other handle
    wait_until(lambda: thread.stats().state == "stuck")
    assert "holds the camera" in thread.stats().reason


def test_stop_ends_every_thread_and_closes_the_slot(run: Run, camera: ScriptedCamera, slot: FrameSlot) -> None:
    thread = run()
    wait_until(well(thread))
    assert thread.stop(5)
    assert slot.closed
    assert slot.take(0) is None
    assert camera.open_now == 0
    # the reader is at its end, but may not have left it yet
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("camera")])


def test_stop_while_a_read_hangs_returns_in_time_and_says_so(run: Run, camera: ScriptedCamera) -> None:
    thread = run()
    wait_until(well(thread))
    camera.mode = "hangs"
    wait_until(lambda: camera.hanging == 1)
    started = time.monotonic()
    assert not thread.stop(0.3)
    assert time.monotonic() - started < 20, "it hangs for ever"


def test_stop_during_a_long_pause_does_not_wait_for_it(
    settings: CameraSettings, camera: ScriptedCamera, slot: FrameSlot
) -> None:
    camera.mode = "absent"
    patient = settings.model_copy(update={"reopen_min": 60.0, "reopen_max": 60.0})
    thread = CameraThread(patient, slot, open_source=camera.source)
    thread.start()
    wait_until(lambda: thread.stats().state == "lost")
    assert thread.stop(30)


def test_many_faults_leave_neither_threads_nor_handles_behind(run: Run, camera: ScriptedCamera) -> None:
    thread = run()
    wait_until(well(thread))
    before = threading.active_count()
    for _ in range(15):
        failures = sum(thread.stats().failures.values())
        camera.mode = "raises"
        wait_until(lambda failures=failures: sum(thread.stats().failures.values()) > failures)  # type: ignore[misc]
        camera.mode = "well"
        wait_until(well(thread))
    wait_until(lambda: threading.active_count() == before)
    assert camera.most_open == 1


def test_a_file_that_may_not_be_read_is_lost_and_tried_again(
    closed: Path, settings: CameraSettings, slot: FrameSlot
) -> None:
    source = settings.model_copy(update={"source": str(closed / "clip.mp4")})
    thread = CameraThread(source, slot)
    thread.start()
    wait_until(lambda: thread.stats().failures.get("open_failed", 0) >= 2)
    stats = thread.stats()
    assert thread.stop(5)
    assert stats.state == "lost" and "can't be read" in stats.reason


@pytest.mark.parametrize("broken", ["_create", "_supervise"])
def test_an_unforeseen_error_is_logged_once_and_the_camera_is_tried_again(
    broken: str, run: Run, camera: ScriptedCamera, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("a bug")

    thread = run()
    wait_until(well(thread))
    monkeypatch.setattr(thread, broken, fail)
    camera.mode = "unplugged"
    with caplog.at_level(logging.ERROR):
        wait_until(lambda: thread.stats().failures.get("error", 0) >= 3)
    stats = thread.stats()
    assert (stats.state, stats.reason) == ("lost", "RuntimeError: a bug")
    assert len([record for record in caplog.records if record.exc_info]) == 1
    monkeypatch.undo()
    camera.mode = "well"
    wait_until(well(thread))
    assert camera.most_open == 1, "the old handle must be released before a new one is opened"


def test_a_reader_that_hangs_while_its_supervisor_fails_is_not_forgotten(
    run: Run, camera: ScriptedCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(reader: object) -> None:
        wait_until(lambda: camera.hanging > 0)
        raise RuntimeError("a bug")

    thread = run()
    wait_until(well(thread))
    monkeypatch.setattr(thread, "_supervise", fail)
    camera.cut()
    camera.mode = "hangs"
    wait_until(lambda: thread.stats().abandoned == 1)


def test_an_error_of_the_supervisor_itself_is_stuck_so_that_the_watchdog_sees_it(
    settings: CameraSettings, camera: ScriptedCamera, slot: FrameSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> float:
        raise RuntimeError("a bug")

    camera.mode = "absent"
    thread = CameraThread(settings, slot, open_source=camera.source)
    monkeypatch.setattr(thread, "_pause_after", fail)
    thread.start()
    wait_until(lambda: thread.stats().state == "stuck")
    assert thread.stop(5)


def test_frames_carry_their_moment_by_both_clocks(run: Run, slot: FrameSlot) -> None:
    run()
    frame = slot.take(5)
    assert frame is not None
    assert 0 <= time.monotonic() - frame.captured_at < 5
    assert abs(frame.wall_time.timestamp() - (time.time() - (time.monotonic() - frame.captured_at))) < 0.5

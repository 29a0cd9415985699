from __future__ import annotations

import threading
from datetime import datetime, timezone

import numpy as np

from benchmarks.cameras.scripted import wait_until
from edge_agent.camera.slot import FrameSlot
from edge_agent.types import Frame


def frame(index: int) -> Frame:
    return Frame(index, np.zeros((2, 2, 3), np.uint8), 0.0, datetime.now(timezone.utc))


def test_only_the_newest_frame_waits_and_the_others_are_counted() -> None:
    slot = FrameSlot()
    for index in range(5):
        assert slot.put(frame(index))
    taken = slot.take(0)
    assert taken is not None
    assert taken.index == 4
    assert slot.dropped == 4
    assert slot.take(0) is None


def test_take_waits_for_a_frame_to_come() -> None:
    slot = FrameSlot()
    timer = threading.Timer(0.05, slot.put, [frame(7)])
    timer.start()
    taken = slot.take(5)
    assert taken is not None
    assert taken.index == 7
    timer.join()


def test_a_blocking_slot_drops_nothing() -> None:
    slot = FrameSlot(block=True)
    writer = threading.Thread(target=lambda: [slot.put(frame(index)) for index in range(50)])
    writer.start()
    seen = [taken.index for _ in range(50) if (taken := slot.take(5)) is not None]
    writer.join(5)
    assert seen == list(range(50))
    assert slot.dropped == 0


def waiting(slot: FrameSlot) -> int:
    """Threads that are blocked in it."""
    return len(slot._changed._waiters)  # type: ignore[attr-defined]  # there is no public word for it


def test_close_wakes_a_taker_and_a_blocked_putter() -> None:
    slot = FrameSlot(block=True)
    slot.put(frame(0))
    answers: list[object] = []
    putter = threading.Thread(target=lambda: answers.append(slot.put(frame(1))), daemon=True)
    putter.start()
    wait_until(lambda: waiting(slot) == 1)
    slot.close()
    putter.join(5)
    assert answers == [False]
    empty = FrameSlot()
    taker = threading.Thread(target=lambda: answers.append(empty.take(60)), daemon=True)
    taker.start()
    wait_until(lambda: waiting(empty) == 1)
    empty.close()
    taker.join(5)
    assert answers == [False, None]
    assert empty.closed
    assert not empty.put(frame(2))


def test_wait_taken_tells_whether_the_last_frame_found_someone() -> None:
    slot = FrameSlot()
    assert slot.wait_taken(0)
    slot.put(frame(0))
    assert not slot.wait_taken(0.01)
    slot.take(0)
    assert slot.wait_taken(0)


def test_a_reader_that_comes_late_gets_a_frame_of_now_not_of_then() -> None:
    slot = FrameSlot()
    writer = threading.Thread(target=lambda: [slot.put(frame(index)) for index in range(1000)])
    writer.start()
    wait_until(lambda: slot.dropped > 500)
    taken = slot.take(0)
    assert taken is not None
    assert taken.index > 500
    writer.join(5)

from __future__ import annotations

import threading
import time

import pytest

from edge_agent.camera.sources.pacing import Pacer, StreamClock


def test_a_file_plays_at_its_own_pace() -> None:
    pacer = Pacer(realtime=True)
    started = time.monotonic()
    moments = [pacer.wait_for(number * 0.05) for number in range(5)]
    assert time.monotonic() - started >= 0.2
    assert moments[-1] - moments[0] == pytest.approx(0.2)


def test_as_fast_as_possible_does_not_wait() -> None:
    pacer = Pacer(realtime=False)
    started = time.monotonic()
    moments = [pacer.wait_for(number * 10.0) for number in range(1000)]
    assert time.monotonic() - started < 5
    assert moments[-1] - moments[0] == pytest.approx(9990.0), "the file's time, not that of reading it"
    pacer.restart()
    assert pacer.wait_for(0.0) >= moments[-1], "time does not run backwards"


def test_who_is_late_does_not_rush() -> None:
    pacer = Pacer(realtime=True)
    first = pacer.wait_for(0.0)
    time.sleep(1.3)  # longer than the second of lateness that is caught up
    late = pacer.wait_for(0.1)
    assert late - first >= 1.3


def test_stop_ends_the_waiting() -> None:
    pacer = Pacer(realtime=True)
    pacer.wait_for(0.0)
    timer = threading.Timer(0.05, pacer.stop)
    timer.start()
    started = time.monotonic()
    pacer.wait_for(30.0)
    assert time.monotonic() - started < 10
    timer.join()


def play(clock: StreamClock, seconds: float, start: float = 0.0, delay: float = 0.2, speed: float = 1.0) -> float:
    """Feed pictures 20 a second; return the age of the last one when it arrives."""
    age = 0.0
    for number in range(round(seconds * 20)):
        shown = start + number / 20
        arrived = 1000.0 + shown + delay
        age = arrived - clock.captured_at(shown * speed, arrived)
    return age


def test_a_picture_that_waited_in_a_buffer_is_old() -> None:
    clock = StreamClock()
    assert play(clock, 20) == pytest.approx(0.0, abs=1e-6)
    # The network holds everything up for three seconds; then what waited comes at once.
    assert 1023.2 - clock.captured_at(20.0, 1023.2) == pytest.approx(3.0)
    assert 1023.2 - clock.captured_at(22.9, 1023.2) == pytest.approx(0.1)
    assert play(clock, 20, start=23.2) == pytest.approx(0.0, abs=1e-6)


def test_a_clock_that_drifts_ages_nothing() -> None:
    assert play(StreamClock(), 4 * 3600, speed=1 - 100e-6) < 0.01


def test_a_stream_that_invents_its_time_is_not_believed() -> None:
    # MJPEG over HTTP claims 25 a second whatever comes.
    assert play(StreamClock(), 60, speed=20 / 25) == 0.0


def test_a_stream_without_time_counts_from_its_arrival() -> None:
    clock = StreamClock()
    for second in range(30):
        assert clock.captured_at(0.0, float(second)) == second


def test_a_new_connection_begins_anew() -> None:
    clock = StreamClock()
    play(clock, 20)
    clock.restart()
    assert clock.captured_at(0.0, 5000.0) == 5000.0

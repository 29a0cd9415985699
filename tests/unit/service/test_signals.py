"""Real signals to a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from edge_agent.service.signals import stop_on_signals

CHILD = """
import sys, threading
from edge_agent.service.signals import stop_on_signals
stop = threading.Event()
with stop_on_signals(stop):
    print("up", flush=True)
    {body}
sys.exit(7)
"""
WAIT = "stop.wait(60)"
DEAF = "import time; time.sleep(60); time.sleep(60)"


def child(body: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(body=body)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait(number: signal.Signals) -> None:
    process = child(WAIT)
    process.send_signal(number)
    assert process.wait(20) == 7, process.communicate()[1]


def test_a_closed_terminal_does_not_end_it() -> None:
    process = child(WAIT)
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 7


def test_a_second_signal_ends_a_service_that_does_not_listen() -> None:
    process = child("threading.Thread(target=stop.wait).start(); stop.wait(); print('told', flush=True); " + DEAF)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "told\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == -signal.SIGTERM


def test_the_handlers_are_put_back() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    stop = threading.Event()
    with stop_on_signals(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(10)
    assert {number: signal.getsignal(number) for number in before} == before
    assert "signals" not in [thread.name for thread in threading.enumerate()]

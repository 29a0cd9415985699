"""Turns SIGTERM and SIGINT into an event that every thread can wait for."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """While the block runs, SIGTERM and SIGINT set `stop`; a second one ends the process at once.

    SIGHUP is ignored: the configuration is read at start only (`systemctl restart` takes a changed one up),
    and a closed terminal must not end the service.

    `Event.set()` is not called in the handler itself: it takes a lock that the interrupted main thread may be
    holding in `Event.wait()`. The handler writes a byte, a thread sets the event. Main thread only.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def handle(number: int, _frame: FrameType | None) -> None:
        for repeated in STOP_SIGNALS:
            signal.signal(repeated, signal.SIG_DFL)
        os.write(writer, bytes([number]))

    def watch() -> None:
        number = os.read(reader, 1)
        if number and number != b"\0":
            logger.info("%s received, stopping", signal.Signals(number[0]).name)
            stop.set()

    before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    thread = threading.Thread(target=watch, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        for restored, handler in before.items():
            signal.signal(restored, handler)
        os.write(writer, b"\0")
        thread.join(timeout=1.0)
        os.close(writer)
        os.close(reader)

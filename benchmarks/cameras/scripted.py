"""A camera without hardware whose faults are switched on and off; a real one shows them too rarely to wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from edge_agent.camera.sources import Grab
from edge_agent.config import CameraSettings
from edge_agent.errors import CameraError
from edge_agent.types import Image

Mode = Literal[
    "well",
    "absent",  # can't be opened
    "unplugged",  # a read gives nothing, at once
    "stalled",  # a read gives nothing, after the read time-out
    "hangs",  # a read does not return
    "hangs opening",
    "frozen",  # the same picture again and again
    "black",
    "pitch black",  # without any noise
    "covered",  # grey, with a little noise
    "raises",  # the library throws something of its own
    "garbage",  # not a picture
]

RATE = 50.0


class ScriptedCamera:
    """The device behind any number of sources. `mode` may change at any time; `wake` lets hanging calls return."""

    def __init__(self, settings: CameraSettings) -> None:
        self.settings = settings
        self.mode: Mode = "well"
        self.size = (settings.width, settings.height)
        self.attempts = 0
        self.reads = 0
        self.open_now = 0
        self.most_open = 0
        self.hanging = 0
        self.plugged = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._noise = np.random.default_rng(1)
        self._still = self.picture()

    def source(self) -> ScriptedSource:
        """Return a new source that reads this camera."""
        return ScriptedSource(self)

    def wake(self) -> None:
        """Let every hanging call return."""
        self._wake.set()

    def hang(self) -> None:
        """Block as a driver does: nothing interrupts it but `wake`."""
        self.hanging += 1
        self._wake.wait()
        self.hanging -= 1

    def cut(self) -> None:
        """Let every handle that is open now read nothing any more."""
        self.plugged += 1

    def picture(self) -> Image:
        """Return a noisy picture."""
        width, height = self.size
        return self._noise.integers(0, 255, (height, width, 3), np.uint8)

    def show(self) -> Image:
        """Return what the lens sees in this mode."""
        if self.mode == "frozen":
            return self._still
        if self.mode == "black":
            return (self.picture() // 32).astype(np.uint8)
        if self.mode == "pitch black":
            return np.zeros_like(self._still)
        if self.mode == "covered":
            return (self.picture() // 64 + 90).astype(np.uint8)
        if self.mode == "garbage":
            return np.zeros((0, 0, 3), np.uint8)
        return self.picture()

    def count(self, opened: int) -> None:
        """Keep the number of handles that are open at once."""
        with self._lock:
            self.open_now += opened
            self.most_open = max(self.most_open, self.open_now)


class ScriptedSource:
    """One handle of a `ScriptedCamera`."""

    live = True

    def __init__(self, camera: ScriptedCamera) -> None:
        self._camera = camera
        self._open = False
        self._plugged = 0

    def open(self) -> None:
        camera = self._camera
        camera.attempts += 1
        if camera.mode == "hangs opening":
            camera.hang()
        if camera.mode == "absent":
            raise CameraError("the scripted camera is not attached")
        self._open = True
        self._plugged = camera.plugged
        camera.count(1)

    def read(self) -> Grab | None:
        camera = self._camera
        camera.reads += 1
        if camera.mode in ("unplugged", "absent") or self._plugged != camera.plugged:
            return None
        if camera.mode == "hangs":
            camera.hang()
        if camera.mode == "raises":
            raise ValueError("the scripted camera's library failed")
        if camera.mode == "stalled":
            time.sleep(camera.settings.read_timeout)
            return None
        time.sleep(1 / RATE)
        return camera.show(), time.monotonic()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._camera.count(-1)

    def interrupt(self) -> None:
        """Do nothing, like a driver."""

    def describe(self) -> str:
        return "scripted camera"


def wait_until(condition: Callable[[], bool], timeout: float = 20.0) -> float:
    """Return the seconds until `condition` holds.

    Raises:
        TimeoutError: it did not within `timeout` seconds.
    """
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout:
            raise TimeoutError(f"not within {timeout:g} s")
        time.sleep(0.01)
    return time.monotonic() - started

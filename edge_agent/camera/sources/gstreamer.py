"""A GStreamer pipeline in a child process, for the CSI cameras of a Jetson and whatever else GStreamer can read.

The OpenCV that pip installs is built without GStreamer. `gst-launch-1.0` needs no build of our own, and unlike a
pipeline inside this process a hung child can be killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import shlex
import shutil
import subprocess
import time

import numpy as np

from edge_agent.camera.sources.base import Grab, StalledError
from edge_agent.camera.sources.network import printable
from edge_agent.config import CameraSettings
from edge_agent.errors import CameraError

PREFIX = "gstreamer:"
_F_SETPIPE_SZ = 1031  # <linux/fcntl.h>; named in Python's fcntl from 3.10 on most builds only
_PIPE_BYTES = 1 << 20
_LAST_WORDS = 600
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/\S+")


class GStreamerPipeline:
    """Runs `PIPELINE ! videoconvert ! videoscale ! BGR of width×height ! fdsink` and reads raw frames from it."""

    live = True

    def __init__(self, pipeline: str, settings: CameraSettings) -> None:
        # A pipeline written for OpenCV ends in a sink of its own.
        self._pipeline = re.sub(r"!\s*(appsink|fdsink)\b[^!]*$", "", pipeline.strip()).strip().rstrip("!").strip()
        self._settings = settings
        self._stride = (settings.width * 3 + 3) & ~3  # GStreamer pads BGR rows to four bytes
        self._child: subprocess.Popen[bytes] | None = None
        self._words = b""
        self._first: Grab | None = None

    def open(self) -> None:
        self.close()
        program = shutil.which("gst-launch-1.0")
        if program is None:
            raise CameraError(
                "gst-launch-1.0 is not installed: sudo apt install gstreamer1.0-tools gstreamer1.0-plugins-good"
            )
        try:
            elements = shlex.split(self._pipeline)
        except ValueError as error:
            raise CameraError(f"camera.source: the pipeline can't be read ({error})") from error
        caps = f"video/x-raw,format=BGR,width={self._settings.width},height={self._settings.height}"
        sink = ["!", "queue", "leaky=downstream", "max-size-buffers=1", "!", "fdsink", "fd=1", "sync=false"]
        self._words = b""
        self._child = subprocess.Popen(
            [program, "-q", *elements, "!", "videoconvert", "!", "videoscale", "!", caps, *sink],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C on a terminal is for us; we end the child
        )
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        os.set_blocking(self._child.stdout.fileno(), False)
        os.set_blocking(self._child.stderr.fileno(), False)
        with contextlib.suppress(OSError):  # fewer wake-ups per frame; refused where the user's limit is used up
            fcntl.fcntl(self._child.stdout.fileno(), _F_SETPIPE_SZ, _PIPE_BYTES)
        # A pipeline is open when its first picture comes: that is when its errors are known, and may take seconds.
        self._first = self._next(self._settings.open_timeout)
        if self._first is None:
            raise CameraError(f"{self.describe()}: no picture in {self._settings.open_timeout:g} s")

    def read(self) -> Grab | None:
        first, self._first = self._first, None
        return first or self._next(self._settings.read_timeout)

    def _next(self, timeout: float) -> Grab | None:
        child = self._child
        if child is None or child.stdout is None:
            return None
        deadline = time.monotonic() + timeout
        height, width = self._settings.height, self._settings.width
        # A picture's own memory: whoever has the one before keeps it.
        rows = np.empty((height, self._stride), np.uint8)
        view, filled, moment = rows.data.cast("B"), 0, 0.0
        while filled < len(view):
            ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))
            self._listen()
            if not ready:
                if filled:  # to go on from its middle would misalign every frame after it
                    raise StalledError(f"{self.describe()}: the pipeline stopped in the middle of a frame")
                return None
            count = os.readv(child.stdout.fileno(), [view[filled:]])
            if count == 0:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=self._settings.read_timeout)
                self._listen()
                raise CameraError(f"{self.describe()} ended: {self._last_words() or f'code {child.returncode}'}")
            if not filled:
                moment = time.monotonic()
                deadline = moment + self._settings.read_timeout  # begun in time: it may end in its own
            filled += count
        return rows[:, : width * 3].reshape(height, width, 3), moment

    def _listen(self) -> None:
        if self._child is not None and self._child.stderr is not None:
            with contextlib.suppress(BlockingIOError):
                self._words = (self._words + os.read(self._child.stderr.fileno(), 65536))[-4 * _LAST_WORDS :]

    def _last_words(self) -> str:
        lines = [line.strip() for line in self._words.decode("utf-8", "replace").splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line or "erroneous" in line] or lines[-2:]
        # An address in the pipeline may hold a password.
        return _ADDRESS.sub(lambda found: printable(found[0]), " ".join(errors))[:_LAST_WORDS]

    def close(self) -> None:
        child, self._child, self._first = self._child, None, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()

    def interrupt(self) -> None:
        """Kill the child: the pipe then ends and a read returns."""
        child = self._child
        if child is not None:
            child.kill()

    def describe(self) -> str:
        # The element's name alone: its properties may hold an address with a password.
        return f"GStreamer pipeline {(self._pipeline.split() or ['(empty)'])[0]}"

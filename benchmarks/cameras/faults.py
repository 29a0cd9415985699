"""The faults that are tried on each kind of camera, and what came of one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.cameras.scripted import Mode, ScriptedCamera, wait_until
from benchmarks.cameras.servers import MjpegServer, RtspServer
from edge_agent.camera.slot import FrameSlot
from edge_agent.camera.sources import Source, create
from edge_agent.camera.thread import CameraThread
from edge_agent.config import CameraSettings

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong, and how it is to be counted."""

    name: str
    kind: str
    """The key of `CameraStats.failures` that must grow."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one fault; seconds."""

    camera: str
    fault: str
    state: str
    """What the camera's state said while the fault lasted."""
    bound: float
    """Within which the settings demand that it is seen."""
    seen: float | None
    back: float | None
    """From the repair to the next good picture; None if none came."""

    @property
    def ok(self) -> bool:
        """Whether it was seen in time and the camera came back."""
        return self.seen is not None and self.seen <= self.bound and self.back is not None


class Rig(ABC):
    """A camera that can be broken and mended."""

    name: ClassVar[str]
    faults: ClassVar[tuple[Fault, ...]]

    def __init__(self, settings: CameraSettings) -> None:
        self.settings = settings

    @classmethod
    def missing(cls) -> str | None:
        """Return what to install before this camera can be had."""
        return None

    def source(self) -> Source:
        """Return a new source for one attempt to open the camera."""
        return create(self.settings)

    @abstractmethod
    def break_(self, fault: Fault) -> None:
        """Let the fault happen."""

    @abstractmethod
    def mend(self, fault: Fault) -> None:
        """End the fault."""

    def close(self) -> None:  # noqa: B027 (some have nothing to remove)
        """Remove the camera."""


class ScriptedRig(Rig):
    name = "scripted"
    faults = (
        Fault("absent", "no_frames"),
        Fault("unplugged", "no_frames"),
        Fault("stalled", "stalled"),
        Fault("hangs", "stalled"),
        Fault("hangs opening", "open_failed"),
        Fault("frozen", "frozen"),
        Fault("black", "dark"),
        Fault("pitch black", "dark"),
        Fault("covered", "dark"),
        Fault("raises", "error"),
        Fault("garbage", "error"),
        Fault("new size", "resized"),
    )

    def __init__(self, settings: CameraSettings) -> None:
        super().__init__(settings)
        self._camera = ScriptedCamera(settings)

    def source(self) -> Source:
        return self._camera.source()

    def break_(self, fault: Fault) -> None:
        if fault.name == "new size":
            self._camera.size = (self._camera.size[0] * 2, self._camera.size[1] * 2)
            return
        if fault.name == "hangs opening":
            self._camera.mode = "hangs opening"
            self._camera.cut()  # so that it is opened again
            return
        mode: Mode = fault.name  # type: ignore[assignment]  # the other names are modes
        self._camera.mode = mode

    def mend(self, fault: Fault) -> None:
        self._camera.mode = "well"

    def close(self) -> None:
        self._camera.wake()


class HttpRig(Rig):
    name = "MJPEG over HTTP"
    faults = (
        Fault("server ends and starts again", "no_frames"),
        Fault("server silent", "stalled"),
        Fault("same picture", "frozen"),
        Fault("black", "dark"),
    )

    def __init__(self, settings: CameraSettings) -> None:
        self._server = MjpegServer()
        self._server.start()
        super().__init__(settings.model_copy(update={"source": self._server.url}))

    def break_(self, fault: Fault) -> None:
        if fault.name.startswith("server ends"):
            self._server.stop()
        elif fault.name == "server silent":
            self._server.mode = "silent"
        elif fault.name == "same picture":
            self._server.mode = "frozen"
        else:
            self._server.mode = "black"

    def mend(self, fault: Fault) -> None:
        if fault.name.startswith("server ends"):
            self._server.start()
        self._server.mode = "well"

    def close(self) -> None:
        self._server.stop()


class RtspRig(Rig):
    name = "RTSP"
    faults = (Fault("server killed and started again", "no_frames"), Fault("server stopped (SIGSTOP)", "stalled"))

    def __init__(self, settings: CameraSettings) -> None:
        self._server = RtspServer()
        self._server.start()
        super().__init__(settings.model_copy(update={"source": self._server.url}))

    @classmethod
    def missing(cls) -> str | None:
        return RtspServer.missing()

    def break_(self, fault: Fault) -> None:
        if "killed" in fault.name:
            self._server.kill()
        else:
            self._server.freeze()

    def mend(self, fault: Fault) -> None:
        if "killed" in fault.name:
            self._server.start()
        else:
            self._server.thaw()

    def close(self) -> None:
        self._server.kill()


class GStreamerRig(Rig):
    name = "GStreamer pipeline"
    faults = (Fault("child killed", "no_frames"), Fault("child stopped (SIGSTOP)", "stalled"))
    pipeline = "gstreamer:videotestsrc is-live=true pattern=ball ! video/x-raw,framerate=20/1"

    def __init__(self, settings: CameraSettings) -> None:
        super().__init__(settings.model_copy(update={"source": self.pipeline}))

    @classmethod
    def missing(cls) -> str | None:
        if shutil.which("gst-launch-1.0"):
            return None
        return "no GStreamer: apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base"

    def break_(self, fault: Fault) -> None:
        for child in children("gst-launch-1.0"):
            os.kill(child, signal.SIGKILL if "killed" in fault.name else signal.SIGSTOP)

    def mend(self, fault: Fault) -> None:
        """Nothing to do: the next child is well."""


RIGS: tuple[type[Rig], ...] = (ScriptedRig, HttpRig, RtspRig, GStreamerRig)


def children(program: str) -> list[int]:
    """Return the process ids of this process' children that run `program`."""
    found = []
    for listing in Path("/proc/self/task").glob("*/children"):
        for pid in listing.read_text().split():
            with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
                if program.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
    return found


def bound(fault: Fault, settings: CameraSettings) -> float:
    """Return the seconds within which a fault must be seen."""
    if fault.kind == "frozen":
        return settings.freeze_after + 1.0
    if fault.kind == "dark":
        return settings.dark_after + 1.0
    if fault.name == "hangs opening":
        return settings.open_timeout + 2 * settings.read_timeout + settings.reopen_min + 2.5
    return settings.stall_after + settings.read_timeout + 1.0


def try_fault(rig: Rig, fault: Fault) -> Outcome:
    """Run a camera thread, let the fault happen, mend it, and tell what came of it."""
    slot = FrameSlot()
    thread = CameraThread(rig.settings, slot, open_source=rig.source)
    thread.start()
    state, seen, back = "", None, None
    try:
        wait_until(lambda: thread.stats().captured > 3, _PATIENCE)
        wait_until(lambda: thread.stats().state == "ok", _PATIENCE)
        before = thread.stats().failures.get(fault.kind, 0)
        rig.break_(fault)
        seen = wait_until(lambda: thread.stats().failures.get(fault.kind, 0) > before, _PATIENCE)
        state = thread.stats().state
        captured = thread.stats().captured
        rig.mend(fault)
        back = wait_until(lambda: thread.stats().state == "ok" and thread.stats().captured > captured, _PATIENCE)
    except TimeoutError:
        pass
    finally:
        rig.close()
        thread.stop(10)
    return Outcome(rig.name, fault.name, state, bound(fault, rig.settings), seen, back)


def leftovers() -> tuple[int, int, int]:
    """Return how many Python threads, threads of the system, and file descriptors this process has."""
    here = Path("/proc/self")
    return threading.active_count(), len(list((here / "task").iterdir())), len(list((here / "fd").iterdir()))

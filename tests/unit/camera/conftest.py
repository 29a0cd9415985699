from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.cameras.scripted import ScriptedCamera
from edge_agent.camera.slot import FrameSlot
from edge_agent.camera.thread import CameraThread
from edge_agent.config import CameraSettings


@pytest.fixture
def settings() -> CameraSettings:
    """Every bound short, so that each fault is seen within a second or two."""
    return CameraSettings(
        source="test",
        width=64,
        height=48,
        fps=50,
        open_timeout=0.2,
        read_timeout=0.2,
        stall_after=0.4,
        freeze_after=0.5,
        dark_after=0.3,
        reopen_min=0.05,
        reopen_max=0.4,
    )


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that this user may not look into, as the service may not into /home; root may look anywhere."""
    folder = tmp_path / "closed"
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path != folder and path.is_relative_to(folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)
    return folder


@pytest.fixture
def camera(settings: CameraSettings) -> ScriptedCamera:
    return ScriptedCamera(settings)


@pytest.fixture
def slot() -> FrameSlot:
    return FrameSlot()


@pytest.fixture
def run(settings: CameraSettings, camera: ScriptedCamera, slot: FrameSlot) -> Iterator[Callable[[], CameraThread]]:
    """Start the camera thread on the scripted camera; whatever hangs is woken at the end, and all threads end."""
    started = []

    def start() -> CameraThread:
        thread = CameraThread(settings, slot, open_source=camera.source)
        thread.start()
        started.append(thread)
        return thread

    yield start
    camera.mode = "well"
    camera.wake()
    for thread in started:
        thread.stop(5)

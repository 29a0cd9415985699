"""Where pictures come from: one file per kind, one protocol, chosen by `camera.source`."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from edge_agent.camera.sources.base import EndOfStream, Grab, Source, StalledError
from edge_agent.camera.sources.files import ImageFolder, VideoFile, mode_of
from edge_agent.camera.sources.gstreamer import PREFIX as GSTREAMER
from edge_agent.camera.sources.gstreamer import GStreamerPipeline
from edge_agent.camera.sources.network import ONE_SLASH, USER, NetworkCamera, printable
from edge_agent.camera.sources.pattern import TestPattern
from edge_agent.camera.sources.picamera import NAME as PICAMERA
from edge_agent.camera.sources.picamera import PiCamera
from edge_agent.camera.sources.v4l2 import Memory, V4l2Camera
from edge_agent.config import STREAM_PORTS, CameraSettings
from edge_agent.errors import CameraError

__all__ = ["EndOfStream", "Grab", "Memory", "Source", "StalledError", "can_wait", "create"]


def create(settings: CameraSettings, memory: Memory | None = None) -> Source:
    """Return the source that `settings.source` names, not yet open.

    Whoever opens a V4L2 camera again with a new source hands on the same `memory`, so that the camera is found
    under another number too.

    Raises:
        CameraError: the words mean no source, or a file that can't be looked at.
    """
    source = settings.source
    if isinstance(source, int) or source.isdecimal():
        return V4l2Camera(int(source), settings, memory)
    if source == "test":
        return TestPattern(settings)
    if source == PICAMERA or source.startswith(f"{PICAMERA}:"):
        number = source.removeprefix(PICAMERA).removeprefix(":") or "0"
        if not number.isdecimal():
            raise CameraError(f"camera.source {source}: write picamera2, or picamera2:1 for the second camera")
        return PiCamera(int(number), settings)
    if source.startswith(GSTREAMER):
        return GStreamerPipeline(source.removeprefix(GSTREAMER), settings)
    if "://" in source:
        return NetworkCamera(source, settings)
    if source.startswith("/dev/"):
        return V4l2Camera(source, settings, memory)
    path = _path(source)
    # What looks like a file is one, even while it is missing: a disk may be mounted late.
    # Cameras are called "USB2.0 PC CAMERA", too: what follows that point is no ending of a file's name.
    like_a_file = "/" in source or re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{1,4}", path.suffix) is not None
    broken_address = ONE_SLASH.match(source) or USER.search(source)
    try:
        mode = mode_of(path)
    except CameraError:
        if like_a_file and not broken_address:
            raise
        mode = 0
    if stat.S_ISDIR(mode):
        return ImageFolder(path, settings)
    if not mode and broken_address:  # as a file it would be shown whole, with its password
        known = ", ".join(f"{scheme}://" for scheme in STREAM_PORTS)
        raise CameraError(f"camera.source: {printable(source)} is no file, and an address begins with {known}")
    if stat.S_ISREG(mode) or like_a_file:
        return VideoFile(path, settings)
    return V4l2Camera(source, settings, memory)


def _path(source: str) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError as error:  # whose home it is, is not known
        raise CameraError(f"{source}: can't be read: {error}; write the whole path into camera.source") from error


def can_wait(settings: CameraSettings) -> bool:
    """Whether the source is a recording, which may be read as slowly as it is looked at; a camera may not."""
    try:
        return isinstance(create(settings), VideoFile | ImageFolder)
    except CameraError:
        return False

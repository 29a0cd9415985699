"""USB and other V4L2 cameras, by number, path or name."""

from __future__ import annotations

import logging
import math
import os
from dataclasses import dataclass, field

import cv2

from edge_agent.camera.devices import Identity, VideoDevice, find_device, list_devices
from edge_agent.camera.sources.base import Grab
from edge_agent.camera.sources.capture import Capture
from edge_agent.config import CameraSettings
from edge_agent.errors import CameraError

# OpenCV's word for UVC's auto-exposure menu: 1 is manual, 3 is "aperture priority", which is automatic.
_EXPOSURE_MANUAL, _EXPOSURE_AUTO = 1, 3
# Tried where the wanted format is not offered. Left to itself OpenCV takes 24-bit RGB, if there is any, and then
# hands out its bytes as a picture of one row (seen with 4.11).
_FALLBACKS = ("YUYV", "MJPG")
_JPEGS = ("MJPG", "JPEG")
_DETAIL = 640  # pixels of the longer side that are enough for an entrance, and for the face net's default input
_SELECT_TIMEOUT = "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"  # whole seconds; OpenCV's own is 10

_log = logging.getLogger(__name__)


@dataclass
class Memory:
    """Which device was in use; outlives the source that used it, so that the next one finds the camera again."""

    device: VideoDevice | None = None
    moved: int = 0
    """How often the camera came back under another number."""
    beside: set[Identity] = field(default_factory=set)
    """Identities of the other cameras that were attached when it was opened, now or earlier."""


class V4l2Camera:
    """A V4L2 camera through OpenCV."""

    live = True

    def __init__(self, source: int | str, settings: CameraSettings, memory: Memory | None = None) -> None:
        self._source = source
        self._settings = settings
        self._memory = memory or Memory()
        self._capture: Capture | None = None
        self._description = f"camera {source}"

    def open(self) -> None:
        self.close()
        devices = list_devices()
        device = find_device(self._source, devices, self._memory.device, self._memory.beside)
        if device.needs_picamera2:
            raise CameraError(f"{device.path} is a Raspberry Pi camera module: set camera.source to picamera2")
        if device.error is not None or not os.access(device.path, os.R_OK | os.W_OK):
            raise CameraError(
                f"{device.path} ({device.name}) may not be read by this user: "
                "add it to the group video (sudo usermod -aG video USER) and start the program again"
            )
        # OpenCV reads this once per process, at the first V4L2 capture; an owner's own choice is respected.
        os.environ.setdefault(_SELECT_TIMEOUT, str(max(1, math.ceil(self._settings.read_timeout))))
        capture = cv2.VideoCapture(device.path, cv2.CAP_V4L2)
        if not capture.isOpened():
            capture.release()
            raise CameraError(
                f"{device.path} ({device.name}) can't be opened: another program may be using it, "
                f"perhaps this very service (sudo fuser -v {device.path} names it)"
            )
        try:
            reduction = self._configure(capture)
        except BaseException:
            capture.release()
            raise
        self._capture = Capture(capture, self._settings.fps, _captured_at, reduction)
        part = f", decoded at 1/{reduction}" if reduction > 1 else ""
        self._description = f"{device.name} ({device.path}) {_mode(capture)}{part}"
        before = self._memory.device
        if before is not None and before.path != device.path:
            self._memory.moved += 1
            _log.info("camera %s came back as %s, it was %s", device.name, device.path, before.path)
        self._memory.device = device
        # One that is away for a moment is still known, so that it is not taken for this one when it comes back.
        self._memory.beside |= {other.identity for other in devices}
        self._memory.beside.discard(device.identity)

    def _configure(self, capture: cv2.VideoCapture) -> int:
        """Set the camera up; returns the reduction at which its JPEGs are to be decoded."""
        wanted = self._settings
        # The format first: which sizes and rates there are depends on it. MJPG is the one USB 2 has room for.
        for fourcc in (wanted.fourcc, *_FALLBACKS):
            _set(capture, cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*fourcc))
            if _fourcc(capture) == fourcc:
                break
        _set(capture, cv2.CAP_PROP_FRAME_WIDTH, wanted.width)
        _set(capture, cv2.CAP_PROP_FRAME_HEIGHT, wanted.height)
        _set(capture, cv2.CAP_PROP_FPS, wanted.fps)
        _set(capture, cv2.CAP_PROP_BUFFERSIZE, 1)
        if wanted.exposure == "auto":
            done = capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _EXPOSURE_AUTO)
        elif wanted.exposure is not None:
            done = capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _EXPOSURE_MANUAL)
            done = capture.set(cv2.CAP_PROP_EXPOSURE, wanted.exposure) and done
        else:
            done = True
        if not done:
            _log.warning("the camera does not accept camera.exposure %s", wanted.exposure)
        reduction = self._reduction(capture)
        # Without conversion OpenCV hands out the JPEG as it came.
        return reduction if reduction > 1 and capture.set(cv2.CAP_PROP_CONVERT_RGB, 0) else 1

    def _reduction(self, capture: cv2.VideoCapture) -> int:
        if _fourcc(capture) not in _JPEGS:
            return 1
        if self._settings.reduce != "auto":
            return self._settings.reduce
        longer = max(capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        return max(part for part in (1, 2, 4, 8) if part == 1 or longer / part >= _DETAIL)

    def read(self) -> Grab | None:
        grab = self._capture.read() if self._capture is not None else None
        if grab is not None and grab[0].shape[0] == 1:
            raise CameraError(
                f"{self._description}: OpenCV can't decode this format; set camera.fourcc to one of those that "
                "`edge-agent cameras` lists, best MJPG or YUYV"
            )
        return grab

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def interrupt(self) -> None:
        """Do nothing: OpenCV's select has a deadline, and to release under a running read crashes the process."""

    def describe(self) -> str:
        return self._description


def _captured_at(position: float, arrived: float) -> float:
    # The driver stamps the buffer with the monotonic clock, mostly at the start of the exposure or of the transfer;
    # drivers that stamp otherwise are off by hours, not by seconds.
    return position if 0.0 <= arrived - position < 5.0 else arrived


def _set(capture: cv2.VideoCapture, name: int, value: float) -> None:
    # Each change stops the stream and sets the device up anew, which takes time, and which not every driver bears.
    if capture.get(name) != value:
        capture.set(name, value)


def _mode(capture: cv2.VideoCapture) -> str:
    width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    return f"{width}×{height} {_fourcc(capture)} {capture.get(cv2.CAP_PROP_FPS):g}/s"


def _fourcc(capture: cv2.VideoCapture) -> str:
    number = int(capture.get(cv2.CAP_PROP_FOURCC))
    return number.to_bytes(4, "little").decode("ascii", "replace") if number > 0 else "?"

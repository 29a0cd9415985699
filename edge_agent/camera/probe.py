"""Looking for cameras and trying one: for `edge-agent cameras` and `edge-agent check`."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from edge_agent.camera.devices import VideoDevice, list_devices
from edge_agent.camera.sources import EndOfStream, Source, create
from edge_agent.camera.sources.network import printable
from edge_agent.camera.sources.v4l2 import V4l2Camera
from edge_agent.camera.transform import Transform
from edge_agent.config import CameraSettings
from edge_agent.errors import CameraError

_log = logging.getLogger(__name__)

_MARGIN = 2.0  # seconds that a source may overrun its own deadlines before it is left alone
_FIRST_PICTURE = 3  # empty reads borne before the first picture: some cameras need a moment


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of trying a camera."""

    ok: bool
    source: str
    """What the camera calls itself, without a password."""
    reason: str = ""
    """What is wrong and what to do about it; empty if all is well."""
    width: int = 0
    height: int = 0
    """Of the picture, after rotation."""
    seconds: float = 0.0
    """From the beginning of the opening to the first picture, or to the failure."""
    listed: bool = False
    """Whether it is of a kind that `list_cameras` lists."""


def list_cameras() -> list[VideoDevice]:
    """Return the V4L2 cameras that are attached, with their sizes and rates, in the order of their numbers.

    Network cameras, pipelines and Raspberry Pi camera modules other than as a hint (`needs_picamera2`) can't be
    found this way.
    """
    return list_devices(modes=True)


def probe(settings: CameraSettings) -> Probe:
    """Open the camera, take one picture, close it again; never raises, and hangs no longer than the time-outs."""
    started = time.monotonic()
    try:
        source = create(settings)
    except CameraError as error:
        return Probe(False, printable(settings.source), str(error))
    except Exception as error:  # as in _try: whoever asks wants an answer
        return Probe(False, printable(settings.source), f"{type(error).__name__}: {error}")
    listed = isinstance(source, V4l2Camera)
    found: list[tuple[int, int] | str] = []
    # In a thread of its own, because a driver may hang: then the thread is left behind.
    worker = threading.Thread(target=lambda: found.append(_try(source, settings)), name="camera-probe", daemon=True)
    worker.start()
    worker.join(settings.open_timeout + _FIRST_PICTURE * settings.read_timeout + _MARGIN)
    seconds = time.monotonic() - started
    if not found:
        source.interrupt()
        reason = f"hangs for {seconds:.0f} s: unplug it and plug it in again, or restart its server"
        return Probe(False, source.describe(), reason, seconds=seconds, listed=listed)
    answer = found[0]
    if isinstance(answer, str):
        return Probe(False, source.describe(), answer, seconds=seconds, listed=listed)
    return Probe(True, source.describe(), "", answer[0], answer[1], seconds, listed)


def _try(source: Source, settings: CameraSettings) -> tuple[int, int] | str:
    """Return the picture's width and height, or what is wrong."""
    try:
        source.open()
        for _ in range(_FIRST_PICTURE):
            grab = source.read()
            if grab is not None:
                height, width = Transform(settings)(grab[0]).shape[:2]
                return width, height
        return "opens but sends no picture: unplug it and plug it in again, or try a smaller width and height"
    except EndOfStream:
        return "holds no picture"
    except CameraError as error:
        return str(error)
    except Exception as error:  # a camera library may raise anything
        return f"{type(error).__name__}: {error}"
    finally:
        try:
            source.close()
        except Exception:  # what was found out before is what counts
            _log.warning("closing %s failed", source.describe(), exc_info=True)

"""Network cameras: RTSP and HTTP streams through OpenCV's FFmpeg."""

from __future__ import annotations

import os
import re
import socket
import time
from urllib.parse import SplitResult, urlsplit

import cv2

from edge_agent.camera.sources.base import Grab
from edge_agent.camera.sources.capture import Capture
from edge_agent.camera.sources.pacing import StreamClock
from edge_agent.config import STREAM_PORTS, CameraSettings
from edge_agent.errors import CameraError

_FFMPEG_LOG, _QUIET = "OPENCV_FFMPEG_LOGLEVEL", "-8"  # AV_LOG_QUIET, libavutil/log.h
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/(?!/)")
"""How an address begins in which a slash was forgotten."""
USER = re.compile(r"(?i):[^@]*@|pass(?:w(?:or)?d)?=|pwd=")
"""A sign of a password, in what is no address for want of its beginning."""
_HOST = re.compile(r"(?:\[[0-9A-Za-z:.%]+\]|[\w.-]+)(?::[0-9]*)?")
_UNREADABLE = "the address can't be read; write special characters of the password as %XX and correct camera.source"


class NetworkCamera:
    """A stream at an address; opening and reading have deadlines inside FFmpeg.

    RTSP goes over TCP, which is what OpenCV asks FFmpeg for unless OPENCV_FFMPEG_CAPTURE_OPTIONS says otherwise.
    """

    live = True

    def __init__(self, url: str, settings: CameraSettings) -> None:
        """Raises CameraError if the address can't be read."""
        self._url = url
        self._settings = settings
        self._address = split(url)
        self._capture: Capture | None = None
        self._clock = StreamClock()

    def open(self) -> None:
        self.close()
        deadline = time.monotonic() + self._settings.open_timeout
        self._knock()
        # What FFmpeg says of a stream may hold its address, and with it the password. OpenCV reads this once per
        # process; an owner's own choice is respected.
        os.environ.setdefault(_FFMPEG_LOG, _QUIET)
        left = max(0.5, deadline - time.monotonic())
        capture = cv2.VideoCapture(
            self._url,
            cv2.CAP_FFMPEG,
            [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(left * 1000),
                cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(self._settings.read_timeout * 1000),
            ],
        )  # fmt: skip
        if not capture.isOpened():
            capture.release()
            raise CameraError(
                f"{self.describe()}: the camera answers but gives no stream; check path, user name and password, "
                "and restart it if they are right"
            )
        self._clock.restart()
        self._capture = Capture(capture, self._settings.fps, self._clock.captured_at)
        self._capture.drain()

    def _knock(self) -> None:
        # FFmpeg only says that it failed; a plain connection tells why.
        try:
            host, port = self._address.hostname, self._address.port or STREAM_PORTS[self._address.scheme.lower()]
        except ValueError:  # its words quote what it took for the port: a piece of an unescaped password
            raise CameraError(f"{self.describe()}: {_UNREADABLE}") from None
        if not host:
            raise CameraError(f"{self.describe()}: the address names no host; correct camera.source")
        patience = self._settings.open_timeout / 2  # a name may stand for two addresses, each tried
        try:
            socket.create_connection((host, port), timeout=patience).close()
        except socket.gaierror as error:
            # Not the name itself: in an address with an unescaped password it may be a piece of that.
            raise CameraError(f"{self.describe()}: the name in it is not known ({error.strerror})") from None
        except TimeoutError as error:
            raise CameraError(
                f"{self.describe()}: no answer in {patience:g} s; is the camera on, and in this network?"
            ) from error
        except UnicodeError:  # no name that could be asked for
            raise CameraError(f"{self.describe()}: {_UNREADABLE}") from None
        except OSError as error:
            raise CameraError(f"{self.describe()}: {error.strerror or error}; is the camera on?") from error

    def read(self) -> Grab | None:
        return self._capture.read() if self._capture is not None else None

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def interrupt(self) -> None:
        """Do nothing: FFmpeg has its deadlines, and to release under a running read would crash the process."""

    def describe(self) -> str:
        return printable(self._url)


def split(url: str) -> SplitResult:
    """The parts of an address. Raises CameraError, which quotes nothing of it, if it can't be told apart."""
    try:
        return urlsplit(url)
    except ValueError:
        raise CameraError(_UNREADABLE) from None


def printable(source: int | str) -> str:
    """Return a source as it may be shown: of an address, the scheme and the host with its port.

    User and password stand before the host, or in the path or query (`/user=admin&password=…`). The text is cut,
    not parsed: in the address that went wrong, a sign of the password was left unescaped. Where the host can't
    be told from a piece of the password, it is left out.
    """
    text = str(source)
    if text.startswith("gstreamer:"):  # an element's properties may hold them
        return "gstreamer:…"
    scheme, mark, rest = text.partition("://")
    if not mark and ONE_SLASH.match(text):
        scheme, mark, rest = text.partition(":/")
    if not mark:
        return "…" if USER.search(text) else text
    if not _SCHEME.fullmatch(scheme):
        return "…"
    authority = re.split("[/?#]", rest)[0]
    host = re.split("[/?#]", rest.rpartition("@")[2])[0]
    # "admin:1/2@host" or "host:1/user=admin&password=2@3"?
    doubtful = "@" in rest[len(authority) :] and _HOST.fullmatch(authority)
    return f"{scheme}{mark}{host if _HOST.fullmatch(host) and not doubtful else '…'}"

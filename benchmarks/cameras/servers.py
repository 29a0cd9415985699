"""Real network cameras on the loopback interface: MJPEG over HTTP in this process, RTSP in a child."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

_BOUNDARY = b"frame"
_RTSP_SCRIPT = Path(__file__).with_name("rtsp_child.py")
# The system's Python: gi comes as a Debian package and is not on PyPI as a wheel.
_SYSTEM_PYTHON = "/usr/bin/python3"


def free_port() -> int:
    """Return a TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class MjpegServer:
    """An HTTP camera: JPEG after JPEG in one endless answer, twenty a second."""

    def __init__(self) -> None:
        self.mode: Literal["well", "silent", "frozen", "black"] = "well"
        self.size = (160, 120)
        self.port = free_port()
        self._running: _Server | None = None
        self._thread: threading.Thread | None = None
        self._noise = np.random.default_rng(2)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream.mjpg"

    def jpeg(self, number: int) -> bytes:
        """Return the picture of this moment, compressed."""
        width, height = self.size
        image = np.zeros((height, width, 3), np.uint8)
        if self.mode != "black":
            seed = 0 if self.mode == "frozen" else number
            image[:] = np.random.default_rng(seed).integers(0, 255, image.shape, np.uint8)
        return bytes(cv2.imencode(".jpg", image)[1])

    def start(self) -> None:
        """Begin to serve, on the same port as before."""
        self._running = _Server(self)
        self._thread = threading.Thread(target=self._running.serve_forever, args=(0.05,), name="mjpeg", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Drop every connection and stop listening."""
        if self._running is not None and self._thread is not None:
            self._running.drop()
            self._running.shutdown()
            self._running.server_close()
            self._thread.join(5)
            self._running = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, camera: MjpegServer) -> None:
        self.camera = camera
        self.stopping = threading.Event()
        self._sockets: set[Any] = set()
        super().__init__(("127.0.0.1", camera.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._sockets.discard(request)
        super().shutdown_request(request)

    def drop(self) -> None:
        self.stopping.set()
        for connection in list(self._sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: that a client hangs up is the point of it all."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY.decode()}")
        self.end_headers()
        number = 0
        while not self.server.stopping.is_set():
            if self.server.camera.mode != "silent":
                number += 1
                data = self.server.camera.jpeg(number)
                head = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (_BOUNDARY, len(data))
                self.wfile.write(head + data + b"\r\n")
            time.sleep(0.05)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class RtspServer:
    """GStreamer's RTSP server with a moving picture, in a child process that can be killed or stopped."""

    def __init__(self) -> None:
        self.port = free_port()
        self._child: subprocess.Popen[bytes] | None = None

    @staticmethod
    def missing() -> str | None:
        """Return what to install, or None if all is there."""
        check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
        if shutil.which(_SYSTEM_PYTHON) is not None:
            tried = subprocess.run([_SYSTEM_PYTHON, "-c", check], capture_output=True, check=False)
            if tried.returncode == 0:
                return None
        packages = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
        return f"no RTSP server: apt-get install {packages}"

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def start(self) -> None:
        """Start the server, on the same port as before, and wait until it listens."""
        self._child = subprocess.Popen([_SYSTEM_PYTHON, str(_RTSP_SCRIPT), str(self.port)])
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self._child.poll() is not None:
                    raise
                time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def freeze(self) -> None:
        """Keep the connection but send nothing."""
        assert self._child is not None
        self._child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on sending."""
        assert self._child is not None
        self._child.send_signal(signal.SIGCONT)

"""Raspberry Pi camera modules through picamera2, which comes with Raspberry Pi OS and not from PyPI."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from edge_agent.camera.sources.base import Grab, StalledError
from edge_agent.config import CameraSettings
from edge_agent.errors import CameraError

NAME = "picamera2"


class PiCamera:
    """One camera module; `number` counts from 0 on boards with two connectors."""

    live = True

    def __init__(self, number: int, settings: CameraSettings) -> None:
        self._number = number
        self._settings = settings
        self._camera: Any = None  # picamera2.Picamera2, which has no types
        self._description = f"Pi camera {number}"

    def open(self) -> None:
        self.close()
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise CameraError(
                "camera.source is picamera2, which this Python can't import: sudo apt install python3-picamera2, "
                "and make the virtual environment with --system-site-packages"
            ) from error
        cameras = Picamera2.global_camera_info()
        if self._number >= len(cameras):
            raise CameraError(
                f"Pi camera {self._number} is not attached ({len(cameras)} found): check the ribbon cable, "
                "then `rpicam-hello --list-cameras`"
            )
        self._camera = Picamera2(self._number)
        self._description = f"Pi camera {self._number} ({cameras[self._number].get('Model', 'unknown')})"
        wanted = self._settings
        controls: dict[str, object] = {"FrameRate": wanted.fps}
        if wanted.exposure == "auto":
            controls["AeEnable"] = True
        elif wanted.exposure is not None:
            controls |= {"AeEnable": False, "ExposureTime": round(wanted.exposure)}
        # "RGB888" is libcamera's name for bytes in the order B, G, R: what OpenCV means by BGR.
        main = {"format": "RGB888", "size": (wanted.width, wanted.height)}
        self._camera.configure(self._camera.create_video_configuration(main=main, controls=controls, queue=False))
        self._camera.start()

    def read(self) -> Grab | None:
        if self._camera is None:
            return None
        try:
            request = self._camera.capture_request(wait=self._settings.read_timeout)
        except TimeoutError as error:
            # The request is still queued and would keep its buffer when it is answered at last: so begin anew.
            raise StalledError(f"{self._description}: no picture in {self._settings.read_timeout:g} s") from error
        arrived = time.monotonic()
        try:
            image = np.ascontiguousarray(request.make_array("main")[:, :, :3])
            stamp = request.get_metadata().get("SensorTimestamp")
        finally:
            request.release()  # else the camera runs out of buffers and stops
        return image, _captured_at(stamp, arrived)

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def interrupt(self) -> None:
        """Do nothing: a capture has a deadline, and picamera2 is not made to be closed under it."""

    def describe(self) -> str:
        return self._description


def _captured_at(stamp: int | None, arrived: float) -> float:
    # libcamera: nanoseconds of CLOCK_BOOTTIME at the exposure of the first row.
    if stamp is None:
        return arrived
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - stamp / 1e9
    return arrived - age if 0.0 <= age < 5.0 else arrived

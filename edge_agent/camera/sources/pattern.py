"""A moving test picture, for trying everything else without a camera."""

from __future__ import annotations

import time

import cv2
import numpy as np

from edge_agent.camera.sources.base import Grab, as_image
from edge_agent.camera.sources.pacing import Pacer
from edge_agent.config import CameraSettings


class TestPattern:
    """Coloured bars, a running bar and a number: every picture differs from the last."""

    __test__ = False  # not for pytest, whatever its name
    live = True
    _COLOURS = (
        (180, 180, 180),
        (20, 180, 180),
        (180, 180, 20),
        (20, 180, 20),
        (180, 20, 180),
        (20, 20, 180),
    )  # BGR

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._pacer = Pacer(settings.realtime)
        colours = np.array(self._COLOURS, np.uint8)[None]
        size = (settings.width, settings.height)
        self._bars = cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST)
        self._number = 0

    def open(self) -> None:
        self._pacer.restart()
        self._number = 0

    def read(self) -> Grab | None:
        # As a camera it has no time of its own: at full speed its pictures are taken when they are asked for.
        position = self._number / self._settings.fps
        moment = self._pacer.wait_for(position) if self._settings.realtime else time.monotonic()
        image = self._bars.copy()
        height, width = image.shape[:2]
        left = self._number * 4 % width
        image[height // 3 : height // 2, left : left + max(4, width // 20)] = 255
        cv2.putText(image, str(self._number), (8, height - 8), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2)
        self._number += 1
        return as_image(image), moment

    def close(self) -> None:
        self._pacer.stop()

    def interrupt(self) -> None:
        self._pacer.stop()

    def describe(self) -> str:
        return f"test pattern {self._settings.width}×{self._settings.height}"

"""Pictures that come but show nothing: frozen, black, covered; and pictures of a new size."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from edge_agent.config import CameraSettings
from edge_agent.types import Image

_SAMPLES = 120  # rows or columns, whichever are fewer, that are compared
_BLACK = 24  # of 0…255; nothing brighter is black: limited-range video calls 16 black, and sensors are noisy
_HOT = 0.005  # share of the picture that may shine all the same: a sensor has hot pixels
_FLAT = 4.0  # standard deviation of the brightness below which a picture shows nothing but sensor noise


class Finding(NamedTuple):
    """What one picture tells together with those before it."""

    frozen: bool
    """The very same picture for so long that it can't be the world."""
    reopen: bool
    """The camera should be opened again: frozen, and it has had its time since it was last opened; or black without
    any noise, and that was not tried yet."""
    dark: bool
    """Black or without any structure for so long that somebody should look."""
    resized: bool
    """Of another size than the picture before."""


class PictureWatch:
    """Compares each picture with those before it, across reopening.

    A live sensor has noise: two pictures that are equal to the bit are rare, and a row of them over many seconds
    means that a camera, its driver or its server repeats itself. Files may show a still picture (`live=False`).
    """

    def __init__(self, settings: CameraSettings, live: bool) -> None:
        self._freeze_after = settings.freeze_after
        self._patience = min(settings.stall_after, settings.freeze_after)
        self._dark_after = settings.dark_after
        self._live = live
        self._size: tuple[int, ...] = ()
        self._sample: Image | None = None
        self._same_since = 0.0
        self._opened_at: float | None = None
        self._dark_since: float | None = None
        self._tried_light = False

    def reopened(self, now: float) -> None:
        """The camera was opened: a frozen one gets some seconds to show something new."""
        self._opened_at = now

    def look(self, image: Image, now: float) -> Finding:
        """Judge a picture (H×W×3 uint8 BGR) that came at `now` monotonic seconds."""
        resized = bool(self._size) and image.shape != self._size
        self._size = image.shape
        step = max(1, min(image.shape[:2]) // _SAMPLES)
        rows, columns = image.shape[0] // step, image.shape[1] // step
        # At a whole step the nearest pixel is the one that a slice with this step takes, at a fifth of its price.
        whole = image[: rows * step, : columns * step]
        sample = np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_NEAREST), np.uint8)
        if self._sample is None or not np.array_equal(sample, self._sample):
            self._sample = sample
            self._same_since = now
        same = self._live and now - self._same_since >= self._freeze_after
        if not _shows_nothing(sample):
            self._dark_since = None
            self._tried_light = False
            waited = self._opened_at is None or now - self._opened_at >= self._patience
            return Finding(same, same and waited, False, resized)
        # Many cameras cut the noise off at black: then the same picture says nothing about being frozen. A camera
        # that lost its picture looks like that too, and opening it again once costs little.
        if self._dark_since is None:
            self._dark_since = now
        dark = now - self._dark_since >= self._dark_after
        reopen = dark and same and not self._tried_light
        self._tried_light = self._tried_light or reopen
        return Finding(False, reopen, dark, resized)


def _shows_nothing(sample: Image) -> bool:
    brightness = cv2.cvtColor(sample, cv2.COLOR_BGR2GRAY)
    bright = np.count_nonzero(brightness >= _BLACK)
    return bool(bright < _HOT * brightness.size or cv2.meanStdDev(brightness)[1][0, 0] < _FLAT)

"""How many threads the networks get."""

from __future__ import annotations

import os

import cv2

_MOST = 3
"""Nets this small gain nothing from more."""


def fit(setting: int) -> int:
    """Threads for the networks: `setting`, or if 0 one core fewer than this process may use, 1 to 3.

    The core left free is the camera's: decoding must not wait for the networks.
    """
    return setting or min(_MOST, max(1, len(os.sched_getaffinity(0)) - 1))


def apply(setting: int) -> int:
    """Fit OpenCV's thread pool, which is the whole process', and return the number."""
    threads = fit(setting)
    cv2.setNumThreads(threads)
    return threads

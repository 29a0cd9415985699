"""How OpenCV computes: how many threads the networks get, and how exactly pictures are scaled."""

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
    """Fit OpenCV to this program, which is a matter of the whole process: its pool of threads, whose number is
    returned, and its filters.

    On x86 the bundled IPP scales a picture twice as fast where its rounding may differ from OpenCV's own by a grey
    level; elsewhere there is no IPP, and the switch does nothing.
    """
    threads = fit(setting)
    cv2.setNumThreads(threads)
    cv2.ipp.setUseIPP_NotExact(True)
    return threads

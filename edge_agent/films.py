"""Films from files, whatever their names and whatever they say of themselves."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2

from edge_agent.errors import InputError

_SLOWEST, _FASTEST = 0.1, 1000.0
"""Frames a second. What a film says beyond them (90,000 is a clock, NaN nothing) is not its rate."""


def rate(capture: cv2.VideoCapture, otherwise: float) -> float:
    """Frames a second that a film says it has, or `otherwise` if it says none or none that can be."""
    found = capture.get(cv2.CAP_PROP_FPS)
    return found if _SLOWEST <= found <= _FASTEST else otherwise


def shown(name: str) -> str:
    """A file's name as text that can be written anywhere: what is not UTF-8 in it becomes �."""
    return os.fsencode(name).decode("utf-8", "replace")


@contextlib.contextmanager
def name_for_opencv(path: Path) -> Iterator[Path]:
    """A name for the file that OpenCV can take: it crashes at one that is not UTF-8 (seen with 4.11).

    Raises InputError if there is no room for another name.
    """
    with contextlib.ExitStack() as stack:
        name = path
        if shown(str(path)) != str(path):
            try:
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                name = Path(folder, "film").with_suffix(path.suffix)
                name.symlink_to(path.absolute())
            except OSError as error:
                raise InputError(f"{path}: has no UTF-8 name, and can't be given one: {error.strerror}") from None
        yield name

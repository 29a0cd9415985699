"""What arguments of several commands must be: shares, and places where something can be written.

`check_file` and `check_folder` are asked before the work whose result is to be written, which may take hours; they
leave nothing behind.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from convert.errors import ConvertError


def share(text: str) -> float:
    """A number from 0 to 1; the type of an argparse argument.

    Raises:
        ArgumentTypeError: it is less or more, or nan.
        ValueError: it is no number.
    """
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share: give a number from 0 to 1")
    return value


def count(text: str) -> int:
    """How many of something, 0 or more, as an option's ``type``.

    Raises:
        ArgumentTypeError: it is less.
        ValueError: it is no whole number.
    """
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is no count: give 0 or more")
    return value


def check_file(path: Path, *, makes_folder: bool = False) -> None:
    """See that a file can be written; with ``makes_folder`` the folder it lies in is made when it is.

    Raises:
        ConvertError: it can't be, or its folder is missing.
        OSError: a folder on the way is closed.
    """
    if path.is_dir():
        raise ConvertError(f"{path} is a folder; give a file")
    there = path.exists()
    if makes_folder and not there:
        check_folder(path.parent)
    elif not there and not path.parent.is_dir():
        raise ConvertError(f"there is no folder {path.parent}; make it first, or give a file elsewhere")
    elif not os.access(path if there else path.parent, os.W_OK):
        raise ConvertError(f"{path} can't be written; give a file elsewhere")


def check_folder(path: Path) -> None:
    """See that files can be written to a folder, which is made if it is not there yet.

    Raises:
        ConvertError: they can't be, or a file is in the way.
        OSError: a folder on the way is closed.
    """
    nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not nearest.is_dir():
        raise ConvertError(f"{nearest} is no folder; give another")
    if not os.access(nearest, os.W_OK):
        raise ConvertError(f"{path} can't be written; give a folder elsewhere")

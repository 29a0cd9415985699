"""Small files that a power cut leaves whole."""

from __future__ import annotations

import os
from pathlib import Path


def replace_durably(path: Path, text: str) -> None:
    """Write a file of UTF-8 text in one step: after a power cut it holds what was in it before, or all of `text`.

    Its folder is made if it is not there. Waits for the disk, which may take seconds on a worn card.

    Raises:
        OSError: the disk is full, read-only or broken; the file holds what it held, or all of `text`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".new")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring names to the disk: what was made, renamed or removed in a folder is durable only then.

    Raises:
        OSError: the disk is broken, or the file system can't do that.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

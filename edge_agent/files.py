"""Small files that a power cut leaves whole, and what is said when a disk does not take them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SLOW = 30.0
"""Seconds from which a disk is said not to answer; a worn card hangs for some."""


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


class Disk:
    """How it goes with something that is to be kept on a disk: one warning when it is refused, however often it is
    tried, and one line when it is taken again. One thread tries at a time; any may ask.
    """

    def __init__(self, refused: str, taken: str, log: logging.Logger) -> None:
        """`refused` and `taken` say what is kept where, such as "the counts can't be kept in …"."""
        self._refused, self._taken, self._log = refused, taken, log
        self._why: str | None = None
        self._since: float | None = None

    @property
    def trouble(self) -> str | None:
        """What is wrong: that the latest attempt failed, or takes very long; None: nothing."""
        since = self._since
        if since is not None and time.monotonic() - since >= SLOW:
            return f"{self._refused} (the disk does not answer)"
        return self._why

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Try to write in here; what the disk refuses, an OSError, ends it and is told, not raised."""
        self._since = time.monotonic()
        try:
            yield
        except OSError as error:
            why = f"{self._refused} ({error.strerror or error})"
            if self._why is None:
                self._log.warning("%s", why)
            self._why = why
        else:
            if self._why is not None:
                self._log.info("%s again", self._taken)
            self._why = None
        finally:
            self._since = None

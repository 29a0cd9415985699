"""Today's counts over a restart, also one that nobody announced: written when a violation is counted."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

from edge_agent.files import Disk, replace_durably

_log = logging.getLogger(__name__)

RETRY = 60.0
"""Seconds after which counts that the disk did not take are written again."""


def read(path: Path) -> tuple[date, dict[str, int]] | None:
    """The local day and its violations by kind that were written last; None if there is nothing to be used."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return date.fromisoformat(stored["day"]), {str(k): max(0, int(v)) for k, v in stored["counts"].items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        _log.warning("%s can't be used (%s): today's counts begin at 0", path, error)
        return None


def write(path: Path, day: date, counts: Mapping[str, int]) -> None:
    """Keep the counts. Raises OSError if the disk does not take them."""
    replace_durably(path, json.dumps({"day": day.isoformat(), "counts": dict(counts)}))


class CountsKeeper:
    """Keeps the counts in a file without holding up who counts: a card may hang for seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.kept = read(path)
        """The day and its counts that were written last, or were found at the start."""
        self._thread: threading.Thread | None = None
        self._tried_at = float("-inf")
        what = "today's counts"
        self._disk = Disk(f"{what} can't be kept in {path}", f"{what} are kept in {path}", _log)

    @property
    def trouble(self) -> str | None:
        """Why the latest counts that were to be written are not on the disk; None: nothing went wrong."""
        return self._disk.trouble

    def keep(self, day: date | None, counts: Mapping[str, int]) -> None:
        """Write them in a thread if they are news; while it still writes older ones, a later call must come.

        What was kept of tomorrow stays: a board without a clock of its own may boot with yesterday's date, and
        count something before the network tells it the time.
        """
        if day is None or not counts or (self._thread and self._thread.is_alive()):
            return
        if self.kept == (day, counts) and not (self.trouble and time.monotonic() - self._tried_at >= RETRY):
            return
        if self.kept and self.kept[0] - day == timedelta(days=1):
            return
        self.kept = day, dict(counts)  # before it is tried: what a full disk did not take is tried again in a while
        self._tried_at = time.monotonic()
        self._thread = threading.Thread(target=self._write, args=self.kept, name="counts", daemon=True)
        self._thread.start()

    def _write(self, day: date, counts: Mapping[str, int]) -> None:
        with self._disk.attempt():
            write(self._path, day, counts)

    def wait(self, seconds: float) -> None:
        """Let what is being written end."""
        if self._thread:
            self._thread.join(seconds)

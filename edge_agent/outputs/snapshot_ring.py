"""The latest N pictures in a folder: written whole or not at all, oldest removed, counted on over a restart."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from datetime import datetime, timezone
from pathlib import Path

from edge_agent.files import Disk

_log = logging.getLogger(__name__)

_NAME = re.compile(r"^(\d{8,})_\d{8}T\d{6}Z_[A-Za-z0-9_-]{1,64}\.jpg$")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_PART = ".part"


class SnapshotRing:
    """Keeps at most `keep` pictures in `directory`; other files there are left alone.

    File names begin with a running number, not with the time: a clock that was wrong at boot must not
    make a new picture look like the oldest. Only one thread may save.
    """

    def __init__(self, directory: Path, keep: int) -> None:
        # Absolute now: a library may change the working directory of the process later. Path.expanduser() would
        # raise for a user that is not there; such a folder is one warning at the first picture.
        self._directory = Path(os.path.abspath(os.path.expanduser(directory)))  # noqa: PTH100, PTH111
        self._keep = keep
        self._opened = False
        where = self._directory
        self._disk = Disk(f"snapshots can't be kept in {where}", f"snapshots are kept in {where}", _log)

    @property
    def trouble(self) -> str | None:
        """What went wrong with the latest picture; None: nothing. May be read from any thread."""
        return self._disk.trouble

    def save(self, jpeg: bytes, event_id: str, moment: datetime) -> Path | None:
        """Write one picture and remove the oldest beyond `keep`; None, after one warning, if the disk refuses."""
        with self._disk.attempt():
            path = self._write(jpeg, event_id, moment)
            self._prune()
            return path
        return None

    def _write(self, jpeg: bytes, event_id: str, moment: datetime) -> Path:
        self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not self._opened:
            self._remove_leftovers()
            self._opened = True
        pictures = self._pictures()
        number = pictures[-1][0] + 1 if pictures else 1
        time = moment.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        path = self._directory / f"{number:08d}_{time}_{_UNSAFE.sub('-', event_id)[:64] or 'unknown'}.jpg"
        part = path.with_name(f".{path.name}{_PART}")
        try:
            # Only the service's user and its group see faces.
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "wb") as file:
                file.write(jpeg)
                file.flush()
                os.fsync(file.fileno())  # without it a power cut may leave an empty file under the final name
            part.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        return path

    def _prune(self) -> None:
        for _, path in self._pictures()[: -self._keep]:
            path.unlink(missing_ok=True)

    def _pictures(self) -> list[tuple[int, Path]]:
        """Number and path of every picture of ours, oldest first."""
        found = []
        with os.scandir(self._directory) as entries:
            for entry in entries:
                match = _NAME.match(entry.name)
                if match:
                    found.append((int(match[1]), Path(entry.path)))
        return sorted(found)

    def _remove_leftovers(self) -> None:
        """Halves of pictures that a power cut left."""
        for path in self._directory.glob(f".*{_PART}"):
            if _NAME.match(path.name[1 : -len(_PART)]):
                path.unlink(missing_ok=True)

"""Today's counts over a restart: written once, when the service stops, so that the card is spared."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import date
from pathlib import Path

_log = logging.getLogger(__name__)


def read(path: Path) -> tuple[date, dict[str, int]] | None:
    """The local day and its violations by kind that were written last; None if there is nothing to be used."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return date.fromisoformat(stored["day"]), {str(k): max(0, int(v)) for k, v in stored["counts"].items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _log.warning("%s can't be used (%s): today's counts begin at 0", path, error)
        return None


def write(path: Path, day: date, counts: Mapping[str, int]) -> None:
    """Keep the counts; a disk that can't be written costs them, and one warning."""
    part = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"day": day.isoformat(), "counts": dict(counts)}), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        _log.warning("today's counts can't be kept in %s: %s", path, error)

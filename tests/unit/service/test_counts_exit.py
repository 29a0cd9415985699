"""Today's counts never keep the service from ending, and are never more than was counted."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

from edge_agent.service import counts

HANGING = """
import sys
from datetime import date
from pathlib import Path
from edge_agent.service.counts import CountsKeeper
CountsKeeper(Path(sys.argv[1])).keep(date(2026, 5, 4), {"no_mask": 1})
print("bye", flush=True)
"""


def test_a_card_that_hangs_does_not_keep_the_service_from_ending(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "today.json.new")  # opened for writing, it waits for a reader: like a card that hangs
    command = [sys.executable, "-c", HANGING, str(tmp_path / "today.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "bye\n")


def test_counts_of_nothing_are_nothing(tmp_path: Path) -> None:
    path = tmp_path / "today.json"
    path.write_text('{"day": "2026-05-04", "counts": {"no_mask": 0, "incorrect": -3}}')
    assert counts.read(path) == (date(2026, 5, 4), {"no_mask": 0, "incorrect": 0})

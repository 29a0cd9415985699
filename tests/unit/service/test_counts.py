"""Today's counts survive a restart, and a broken file costs nothing but them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from edge_agent.service import counts


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state" / "today.json"
    counts.write(path, date(2026, 5, 4), {"no_mask": 3, "incorrect": 1})
    assert counts.read(path) == (date(2026, 5, 4), {"no_mask": 3, "incorrect": 1})
    assert [entry.name for entry in path.parent.iterdir()] == ["today.json"]


def test_no_file_is_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert counts.read(tmp_path / "none.json") is None
    assert not caplog.records


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"day": "x", "counts": {}}', '{"day": "2026-05-04", "counts": 3}']
)
def test_a_broken_file_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    path = tmp_path / "today.json"
    path.write_text(text)
    assert counts.read(path) is None
    assert len(caplog.records) == 1


def test_a_disk_that_cannot_be_written_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    counts.write(blocker / "today.json", date(2026, 5, 4), {})
    assert len(caplog.records) == 1

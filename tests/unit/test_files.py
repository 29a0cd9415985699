"""State files survive what happens while they are written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_agent.files import replace_durably


def test_it_makes_the_folder_and_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "state.json"
    replace_durably(path, "a long first text with an ä")
    replace_durably(path, "short")
    assert path.read_text(encoding="utf-8") == "short"
    assert [entry.name for entry in path.parent.iterdir()] == ["state.json"]


def test_nothing_gets_its_name_before_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    path.write_text("before")

    def fails(_file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        replace_durably(path, "after")
    assert path.read_text() == "before"

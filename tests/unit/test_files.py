"""State files survive what happens while they are written."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest

from edge_agent import files
from edge_agent.files import Disk, replace_durably


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


def test_a_disk_that_refuses_is_one_warning_until_it_takes_it_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    disk = Disk("notes can't be kept in /notes", "notes are kept in /notes", logging.getLogger("test"))
    for error in (OSError(28, "No space left on device"), OSError(30, "Read-only file system")):
        with disk.attempt():
            raise error
        assert disk.trouble == f"notes can't be kept in /notes ({error.strerror})"
    for _ in range(2):
        with disk.attempt():
            pass
        assert disk.trouble is None
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said == [
        ("WARNING", "notes can't be kept in /notes (No space left on device)"),
        ("INFO", "notes are kept in /notes again"),
    ]


def test_what_is_no_refusal_is_raised() -> None:
    disk = Disk("a", "b", logging.getLogger("test"))
    with pytest.raises(ValueError, match="mistake"), disk.attempt():
        raise ValueError("mistake")


def test_a_disk_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SLOW", 0.0)
    disk = Disk("notes can't be kept in /notes", "notes are kept", logging.getLogger("test"))
    under_way, answers = threading.Event(), threading.Event()

    def write() -> None:
        with disk.attempt():
            under_way.set()
            answers.wait(10)

    thread = threading.Thread(target=write)
    thread.start()
    assert under_way.wait(10)
    assert disk.trouble == "notes can't be kept in /notes (the disk does not answer)"
    answers.set()
    thread.join(10)
    assert disk.trouble is None

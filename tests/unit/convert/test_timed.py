"""What a training against the clock leaves and shows on its way."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from convert.timed import History, Progress


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_history_has_a_header_and_can_be_read_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    with History(path, ("size", "loss", "right")) as history:
        history.add(12.4, 50, (65, 0.71234, 0.5))
        assert _rows(path) == [{"seconds": "12", "step": "50", "size": "65", "loss": "0.7123", "right": "0.5000"}]
    with History(path, ("size", "loss", "right")) as history:
        history.add(30, 100, (93, 0.6, 0.7))
    assert [row["step"] for row in _rows(path)] == ["50", "100"]


def test_an_older_history_is_given_the_header(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("12,50,65,0.7,0.5\n")
    with History(path, ("size", "loss", "right")) as history:
        history.add(30, 100, (93, 0.6, 0.7))
    assert [row["step"] for row in _rows(path)] == ["50", "100"]


def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(600, Console(file=io.StringIO(), force_terminal=False)) as progress:
        progress.at(90)
        progress.say(90, 50, "65 px: loss 0.710")
    assert capsys.readouterr().err == "minute 1.5, step 50, 65 px: loss 0.710\n"


def test_on_a_terminal_there_is_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = io.StringIO()
    with Progress(600, Console(file=drawn, force_terminal=True, width=100)) as progress:
        progress.at(300)
        progress.say(300, 50, "65 px: loss 0.710")
    assert "50 %" in drawn.getvalue()
    assert "step 50" in drawn.getvalue()
    assert capsys.readouterr().err == ""

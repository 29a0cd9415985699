"""Today's counts survive a restart, and a broken file costs nothing but them."""

from __future__ import annotations

import os
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
    "text",
    [
        "",
        "[]",
        "{}",
        '{"day": "x", "counts": {}}',
        '{"day": "2026-05-04", "counts": 3}',
        '{"day": "2026-05-04", "counts": {"no_mask": 1e999}}',
    ],
)
def test_a_broken_file_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    path = tmp_path / "today.json"
    path.write_text(text)
    assert counts.read(path) is None
    assert len(caplog.records) == 1


def test_a_disk_that_cannot_be_written_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    folder, day = tmp_path / "folder", date(2026, 5, 4)
    folder.write_text("")  # no folder at all
    keeper = counts.CountsKeeper(folder / "today.json")
    caplog.clear()
    for number in range(1, 6):
        keeper.keep(day, {"no_mask": number})
        keeper.wait(10)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert keeper.trouble is not None and str(folder) in keeper.trouble
    folder.unlink()
    folder.mkdir()
    keeper.keep(day, {"no_mask": 5})
    keeper.wait(10)
    assert not (folder / "today.json").exists(), "not every second"
    monkeypatch.setattr(counts, "RETRY", 0.0)
    keeper.keep(day, {"no_mask": 5})
    keeper.wait(10)
    assert counts.read(folder / "today.json") == (day, {"no_mask": 5})
    for number in (6, 7):
        keeper.keep(day, {"no_mask": number})
        keeper.wait(10)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert counts.read(folder / "today.json") == (day, {"no_mask": 7})
    assert keeper.trouble is None


def test_a_hanging_card_holds_nobody_up_and_the_latest_counts_win(tmp_path: Path) -> None:
    path = tmp_path / "today.json"
    os.mkfifo(tmp_path / "today.json.new")  # opened for writing, it waits for a reader: like a card that hangs
    keeper = counts.CountsKeeper(path)
    day = date(2026, 5, 4)
    keeper.keep(day, {"no_mask": 1})
    keeper.keep(day, {"no_mask": 2})  # comes back at once, too, and leaves it for later
    assert keeper.kept == (day, {"no_mask": 1})
    assert (tmp_path / "today.json.new").read_text(encoding="utf-8")  # the card works again
    keeper.wait(10)
    (tmp_path / "today.json.new").unlink()  # the pipe, of which no file could be made
    keeper.keep(day, {"no_mask": 2})
    keeper.wait(10)
    assert counts.read(path) == (day, {"no_mask": 2})


def test_counts_that_are_no_news_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "today.json"
    counts.write(path, date(2026, 5, 4), {"no_mask": 1})
    keeper = counts.CountsKeeper(path)
    path.unlink()
    keeper.keep(date(2026, 5, 4), {"no_mask": 1})
    keeper.keep(date(2026, 5, 5), {})
    keeper.wait(10)
    assert not path.exists()


def test_counts_of_tomorrow_outlive_a_board_that_boots_with_yesterdays_date(tmp_path: Path) -> None:
    path = tmp_path / "today.json"
    counts.write(path, date(2026, 5, 4), {"no_mask": 40})
    keeper = counts.CountsKeeper(path)
    keeper.keep(date(2026, 5, 3), {"no_mask": 1})  # before the network has told the time
    keeper.wait(10)
    assert counts.read(path) == (date(2026, 5, 4), {"no_mask": 40})
    keeper.keep(date(2026, 5, 4), {"no_mask": 41})
    keeper.wait(10)
    assert counts.read(path) == (date(2026, 5, 4), {"no_mask": 41})


def test_a_clock_that_was_far_ahead_does_not_stop_the_counts(tmp_path: Path) -> None:
    path = tmp_path / "today.json"
    counts.write(path, date(2099, 1, 1), {"no_mask": 40})
    keeper = counts.CountsKeeper(path)
    keeper.keep(date(2026, 5, 3), {"no_mask": 1})
    keeper.wait(10)
    assert counts.read(path) == (date(2026, 5, 3), {"no_mask": 1})

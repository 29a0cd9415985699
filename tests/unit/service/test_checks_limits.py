"""`edge-agent check` warns while there is still time to act."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent import board
from edge_agent.service.checks import checks
from edge_agent.types import CheckLine

MIB = 1 << 20


def line(found: list[CheckLine], name: str) -> CheckLine:
    (one,) = (line for line in found if line.name == name)
    return one


@pytest.mark.parametrize(
    ("free", "writable", "status"),
    [
        (0, True, "fail"),
        (19 * MIB, True, "fail"),
        (19 * MIB, False, "fail"),
        (21 * MIB, True, "warn"),
        (199 * MIB, True, "warn"),
        (201 * MIB, True, "ok"),
        (201 * MIB, False, "warn"),
        (90_000 * MIB, True, "ok"),
    ],
)
def test_a_disk_that_fills_up_is_told_before_events_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, writable: bool, status: str
) -> None:
    monkeypatch.setattr(board, "disk", lambda _path: board.DiskSpace(free, 100_000 * MIB, writable))
    found = line(checks(tmp_path, root=tmp_path), "disk")
    assert (found.status, found.text.startswith(f"{free // MIB} MiB free")) == (status, True)
    assert bool(found.hint) is (status != "ok"), "what is amiss can be mended"


@pytest.mark.parametrize(("milli", "status"), [(79_900, "ok"), (80_000, "warn"), (91_000, "warn")])
def test_a_hot_board_is_told_from_the_limit_on_at_which_it_slows_down(
    tmp_path: Path, milli: int, status: str
) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text(f"{milli}\n")
    found = line(checks(tmp_path, root=tmp_path), "temperature")
    assert (found.status, bool(found.hint)) == (status, status == "warn")


@pytest.mark.parametrize(("synced", "status"), [(True, "ok"), (False, "warn")])
def test_a_clock_that_nobody_keeps_is_told(tmp_path: Path, synced: bool, status: str) -> None:
    assert line(checks(tmp_path, clock_synced=synced, root=tmp_path), "clock").status == status
    assert not [line for line in checks(tmp_path, root=tmp_path) if line.name == "clock"]


def test_the_memory_is_told_in_mebibytes(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1048576 kB\n")
    assert line(checks(tmp_path, root=tmp_path), "board").text.endswith("1024 MiB of memory")


def test_a_disk_that_does_not_answer_and_a_file_in_the_folders_place_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_text("")
    assert "is no folder" in line(checks(tmp_path / "state", root=tmp_path), "disk").text
    assert "is no folder" not in line(checks(tmp_path / "not yet there", root=tmp_path), "disk").text
    monkeypatch.setattr(board, "disk", lambda _path: None)
    found = line(checks(tmp_path, root=tmp_path), "disk")
    assert (found.status, "can't be read" in found.text) == ("fail", True)

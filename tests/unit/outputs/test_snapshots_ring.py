"""The folder of the latest pictures."""

from __future__ import annotations

import errno
import logging
import os
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from edge_agent.outputs.snapshot_ring import SnapshotRing

WALL = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_picture_is_named_by_number_time_and_event(tmp_path):
    path = SnapshotRing(tmp_path / "a" / "b", 3).save(b"jpeg", "0a1b", WALL)
    assert path == tmp_path / "a" / "b" / "00000001_20260304T050607Z_0a1b.jpg"
    assert path.read_bytes() == b"jpeg"


def test_only_the_service_and_its_group_may_look(tmp_path):
    path = SnapshotRing(tmp_path / "pictures", 3).save(b"jpeg", "e", WALL)
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o007 == 0


def test_oldest_goes_even_if_the_clock_was_set_back(tmp_path):
    ring = SnapshotRing(tmp_path, 2)
    ring.save(b"1", "first", WALL)
    ring.save(b"2", "second", WALL)
    ring.save(b"3", "third", WALL - timedelta(days=3650))
    assert [name.split("_")[2] for name in names(tmp_path)] == ["second.jpg", "third.jpg"]


def test_it_counts_on_after_a_restart_and_obeys_a_smaller_number(tmp_path):
    for index in range(5):
        SnapshotRing(tmp_path, 5).save(b"x", f"e{index}", WALL)
    assert len(names(tmp_path)) == 5
    SnapshotRing(tmp_path, 2).save(b"x", "last", WALL)
    assert names(tmp_path) == ["00000005_20260304T050607Z_e4.jpg", "00000006_20260304T050607Z_last.jpg"]


def test_numbers_grow_beyond_eight_digits(tmp_path):
    (tmp_path / "99999999_20260304T050607Z_a.jpg").write_bytes(b"x")
    ring = SnapshotRing(tmp_path, 2)
    ring.save(b"x", "b", WALL)
    ring.save(b"x", "c", WALL)
    assert [name.split("_")[0] for name in names(tmp_path)] == ["100000000", "100000001"]


def test_other_peoples_files_are_left_alone(tmp_path):
    for name in ("holiday.jpg", "00000001.jpg", ".hidden.part", "00000001_20260304T050607Z_x.png"):
        (tmp_path / name).write_bytes(b"mine")
    ring = SnapshotRing(tmp_path, 1)
    for index in range(3):
        ring.save(b"x", f"e{index}", WALL)
    assert {"holiday.jpg", "00000001.jpg", ".hidden.part", "00000001_20260304T050607Z_x.png"} < set(names(tmp_path))
    assert len(names(tmp_path)) == 5


def test_halves_left_by_a_power_cut_are_removed(tmp_path):
    (tmp_path / ".00000001_20260304T050607Z_x.jpg.part").write_bytes(b"ha")
    SnapshotRing(tmp_path, 3).save(b"x", "e", WALL)
    assert names(tmp_path) == ["00000001_20260304T050607Z_e.jpg"]


def test_an_event_id_can_not_lead_out_of_the_folder(tmp_path):
    path = SnapshotRing(tmp_path / "in", 3).save(b"x", "../../etc/passwd", WALL)
    assert path.parent == tmp_path / "in"
    assert names(tmp_path) == ["in"]


def test_a_relative_folder_stays_where_it_was_when_the_program_moves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ring = SnapshotRing(Path("pictures"), 3)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert ring.save(b"x", "e", WALL).parent == tmp_path / "pictures"


def test_a_folder_that_can_not_be_is_one_warning_and_mends_itself(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    blocked = tmp_path / "pictures"
    blocked.write_text("a file in the way", encoding="utf-8")
    ring = SnapshotRing(blocked, 3)
    assert [ring.save(b"x", "e", WALL) for _ in range(3)] == [None] * 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert ring.trouble is not None and str(blocked) in ring.trouble
    blocked.unlink()
    assert ring.save(b"x", "e", WALL) is not None
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert ring.trouble is None


def test_the_home_of_a_user_that_is_not_there_does_not_stop_the_service(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert SnapshotRing(Path("~nobody-of-this-name/pictures"), 3) is not None


def test_a_full_disk_leaves_the_old_pictures_and_no_half(tmp_path, monkeypatch):
    ring = SnapshotRing(tmp_path, 1)
    ring.save(b"old", "old", WALL)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert ring.save(b"new", "new", WALL) is None
    assert names(tmp_path) == ["00000001_20260304T050607Z_old.jpg"]
    assert ring.save(b"new", "new", WALL) is not None
    assert names(tmp_path) == ["00000002_20260304T050607Z_new.jpg"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    assert SnapshotRing(tmp_path, 1).save(b"x", "e", WALL) is None

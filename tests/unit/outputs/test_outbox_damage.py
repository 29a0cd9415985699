"""What the outbox does with a file that is damaged: nothing that can still be read is lost."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from edge_agent.outputs.mqtt import wreck
from edge_agent.outputs.mqtt.outbox import Outbox
from edge_agent.outputs.mqtt.store import DamagedError, _damage
from edge_agent.outputs.mqtt.wreck import Wreck, set_aside

from .test_outbox import CAP, Ticking, bodies, event, failing, picture


def test_damage_while_running_is_survived(tmp_path: Path) -> None:
    path = tmp_path / "o"
    cap = 20 * CAP  # far more than SQLite's page cache, which would hide the damage
    outbox = Outbox(path, cap)
    outbox.append([event(bytes(2000)) for _ in range(4000)])
    outbox.close()
    outbox = Outbox(path, cap)
    with path.open("r+b") as file:
        file.seek(2_000_000)
        file.write(b"\x55" * 3_000_000)
    outbox.append([event(b"after")])
    left = outbox.pending(limit=10_000)
    assert left[-1].body == b"after"
    assert [e.seq for e in left] == sorted({e.seq for e in left})
    assert "damaged" in (outbox.alarm or "")
    outbox.close()


COLUMN = b"picture INTEGER NOT NULL,\n  body BLOB NOT NULL,\n  boot_id TEXT NOT NULL,\n  monotonic"


def flip(path: Path, before: bytes, after: bytes) -> None:
    data = path.read_bytes()
    assert data.count(before) == 1 and len(before) == len(after)
    path.write_bytes(data.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"body 3boot", b"body 3\xe2oot"),  # the text is no UTF-8 any more
        (COLUMN, COLUMN.replace(b"mono", b"mon4")),  # no such column
        (b"event_id TEXT PRIMARY", b"event_i4 TEXT PRIMARY"),
    ],
)
def test_a_flipped_bit_that_quick_check_does_not_see_costs_nothing(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    path = tmp_path / "o"
    outbox = Outbox(path, CAP, clock=Ticking().clock())
    outbox.append([event(b"body %d" % number) for number in range(1, 6)])
    outbox.delivered(5)
    outbox.close()
    flip(path, before, after)
    outbox = Outbox(path, CAP, clock=Ticking().clock())
    outbox.append([event(b"after")])
    assert bodies(outbox) == [b"body 1", b"body 2", b"body 3", b"body 4", b"after"]
    assert "damaged" in (outbox.alarm or "")
    assert [entry.seq for entry in outbox.pending(limit=9)] == [1, 2, 3, 4, 6]
    outbox.close()


def test_a_row_of_other_types_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "o"
    outbox = Outbox(path, CAP)
    outbox.append([event(b"a"), event(b"b")])
    outbox.close()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE message SET body = 'text' WHERE seq = 1")
        db.execute("UPDATE counter SET value = 'x' WHERE name = 'dropped'")
    outbox = Outbox(path, CAP)
    assert bodies(outbox) == [b"b"]
    assert "damaged" in (outbox.alarm or "")
    outbox.close()


@pytest.mark.parametrize(
    ("error", "code", "damaged"),
    [
        (sqlite3.OperationalError("Could not decode to UTF-8 column 'boot_id' with text 'x'"), None, True),
        (sqlite3.OperationalError("no such column: monotonic"), 1, True),
        (sqlite3.DatabaseError("database disk image is malformed"), None, True),
        (sqlite3.DatabaseError("file is not a database"), 26, True),
        (sqlite3.OperationalError("database or disk is full"), None, False),
        (sqlite3.OperationalError("attempt to write a readonly database"), None, False),
        (sqlite3.OperationalError("database is locked"), None, False),
        (sqlite3.OperationalError("database table is locked"), None, False),
        (sqlite3.OperationalError("disk I/O error"), None, False),
        (sqlite3.OperationalError("unable to open database file"), None, False),
        (sqlite3.OperationalError("in other words"), 13, False),
        (sqlite3.OperationalError("in other words"), 10 | 1 << 8, False),
        (sqlite3.OperationalError("in other words"), 5, False),
        # not the file's fault but this program's: a new file would not help
        (sqlite3.ProgrammingError("Cannot operate on a closed database."), None, False),
        (sqlite3.IntegrityError("NOT NULL constraint failed: message.body"), 19, False),
    ],
)
def test_what_is_damage_and_what_the_disk(error: sqlite3.Error, code: int | None, damaged: bool) -> None:
    if code is not None:
        error.sqlite_errorcode = code
    with pytest.raises(DamagedError if damaged else type(error)), _damage():
        raise error


def test_a_disk_that_damages_every_file_at_once_is_not_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    failing(monkeypatch, DamagedError("malformed"))
    outbox.append([event(b"a")])
    assert bodies(outbox) == [b"a"]
    assert "memory" in (outbox.alarm or "")


def test_numbers_go_on_after_the_file_was_lost(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.append([event() for _ in range(5)])
    outbox.close()
    (tmp_path / "o").write_bytes(b"no database" * 1000)
    outbox = Outbox(tmp_path / "o", CAP)
    (seq,) = outbox.append([event()])
    assert seq > 5


def test_only_the_latest_damaged_files_are_kept(tmp_path: Path) -> None:
    for day in range(1, 6):
        (tmp_path / "o").write_bytes(b"x")
        (tmp_path / "o-wal").write_bytes(b"w")
        assert Wreck(set_aside(tmp_path / "o", datetime(2026, 11, day, tzinfo=timezone.utc))).finish()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "o.damaged-20261104T000000.000000Z",
        "o.damaged-20261104T000000.000000Z-wal",
        "o.damaged-20261105T000000.000000Z",
        "o.damaged-20261105T000000.000000Z-wal",
    ]


def test_without_pictures_no_damaged_file_that_holds_some_is_kept(tmp_path: Path) -> None:
    before, events = tmp_path / "o.damaged-20260101T000000.000000Z", tmp_path / "o.damaged-20260102T000000.000000Z"
    before.write_bytes(b"SQLite \xff\xd8\xff somebody")
    events.write_bytes(b"SQLite events alone")
    outbox = Outbox(tmp_path / "o", CAP, pictures=False)
    assert list(tmp_path.glob("*.damaged-*")) == [events]
    outbox.close()
    (tmp_path / "o").write_bytes(b"no database \xff\xd8\xff")
    outbox = Outbox(tmp_path / "o", CAP, pictures=False)
    assert "removed, as it held pictures" in (outbox.alarm or "")
    assert list(tmp_path.glob("*.damaged-*")) == [events]


def test_a_damaged_file_that_cannot_be_removed_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.append([event(b"a")])
    outbox.close()
    (tmp_path / "o.damaged-by-somebody").mkdir()
    outbox = Outbox(tmp_path / "o", CAP, pictures=False)
    assert (bodies(outbox), outbox.alarm) == ([b"a"], None)
    assert "can't be removed" in caplog.text
    outbox.close()
    (tmp_path / "o").write_bytes(b"no database")
    assert "set aside" in (Outbox(tmp_path / "o", CAP, pictures=False).alarm or "")


@pytest.mark.parametrize("place", [0, 5, 9, 10, 11, 20, 27])
def test_a_picture_is_found_wherever_it_begins(tmp_path: Path, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wreck, "_CHUNK", 10)
    aside = tmp_path / "o.damaged-20260101T000000.000000Z"
    aside.write_bytes((b"." * place + b"\xff\xd8\xff").ljust(30, b"."))
    wreck.forget_damaged_pictures(tmp_path / "o")
    assert not aside.exists()
    aside.write_bytes(b"." * place + b"\xff\xd8.\xff")
    wreck.forget_damaged_pictures(tmp_path / "o")
    assert aside.exists()


MEASURE = """
import json, sys
from pathlib import Path
from edge_agent.outputs.mqtt.outbox import Outbox

def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))

before = kilobytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
outbox = Outbox(Path(sys.argv[1]), 300_000_000, pictures=sys.argv[2] == "pictures")
grown = kilobytes("VmHWM") - before
print(json.dumps({"grown": grown, "depth": outbox.depth, "alarm": outbox.alarm, "bytes": outbox.bytes}))
"""


def measured(path: Path, *, pictures: bool) -> dict[str, Any]:
    """Open an outbox in a process of its own; `grown`: kilobytes by which the memory it held at most grew."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), "pictures" if pictures else "none"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def big(path: Path, *, damaged: bool) -> None:
    """An outbox of 60 MB, most of it pictures."""
    outbox = Outbox(path, 300_000_000)
    for _ in range(12):
        outbox.append([event(bytes(500)), picture(100_000)] * 50)
    outbox.close()
    if damaged:
        with path.open("r+b") as file:
            file.seek(20_000_000)
            file.write(b"\x55" * 10_000_000)


@pytest.mark.parametrize("pictures", [True, False])
def test_a_big_file_is_saved_without_holding_it_in_memory(tmp_path: Path, pictures: bool) -> None:
    big(tmp_path / "o", damaged=True)
    found = measured(tmp_path / "o", pictures=pictures)
    assert "damaged" in found["alarm"]
    assert found["depth"] > (600 if pictures else 300), "much of it is readable"
    assert found["grown"] < 15_000
    assert measured(tmp_path / "o", pictures=True)["depth"] == found["depth"], "all of that is on the disk"


def test_pictures_are_looked_for_in_a_big_file_without_reading_it_at_once(tmp_path: Path) -> None:
    big(tmp_path / "o.damaged-20260101T000000.000000Z", damaged=False)
    found = measured(tmp_path / "o", pictures=False)
    assert found["grown"] < 15_000

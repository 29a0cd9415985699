"""Violations that have started and not ended: the outbox knows them at the next start."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import ValidationError
from violations import make_notice

from edge_agent.outputs.mqtt import open_violations
from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.messages import Draft, OpenViolation
from edge_agent.outputs.mqtt.outbox import DISK_RETRY, Outbox
from edge_agent.outputs.mqtt.payloads import ViolationFacts
from edge_agent.outputs.mqtt.replay import compose, late_end
from edge_agent.outputs.mqtt.store import DamagedError, Store
from edge_agent.outputs.mqtt.wreck import Wreck

from .test_outbox import CAP, Ticking, bodies, failing, failing_to_open
from .test_outbox_damage import flip

EARLIER_VERSION = """
CREATE TABLE message (
  seq INTEGER PRIMARY KEY,
  picture INTEGER NOT NULL,
  body BLOB NOT NULL,
  boot_id TEXT NOT NULL,
  monotonic REAL NOT NULL,
  clock_synced INTEGER NOT NULL
);
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO message VALUES (7, 0, X'6F6C64', 'boot', 1.5, 1);
INSERT INTO counter VALUES ('next_seq', 8);
"""


def begun(event_id: str) -> Draft:
    return Draft(f"{event_id} started".encode(), 1.5, True, opens=event_id)


def over(event_id: str) -> Draft:
    return Draft(f"{event_id} ended".encode(), 2.5, True, closes=event_id)


def left(outbox: Outbox) -> list[str]:
    return [violation.event_id for violation in outbox.left_open]


def test_what_did_not_end_is_found_at_the_next_start_and_only_then(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", CAP, clock=Ticking().clock())
    outbox.append([begun("a"), begun("b"), over("a")])
    outbox.append([begun("c"), over("c"), over("never heard of")])
    outbox.append([begun("d")])
    outbox.delivered(*range(1, 99))
    assert left(outbox) == []
    outbox.close()
    outbox = Outbox(tmp_path / "o", CAP)
    assert outbox.left_open == [
        OpenViolation("b", b"b started", "boot", 1.5, True),
        OpenViolation("d", b"d started", "boot", 1.5, True),
    ]
    outbox.append([over("b")])
    assert left(outbox) == ["d"]
    outbox.close()
    outbox = Outbox(tmp_path / "o", CAP)
    assert left(outbox) == ["d"]
    assert bodies(outbox) == [b"b ended"]
    outbox.forget_violation("d")
    outbox.close()
    assert left(Outbox(tmp_path / "o", CAP)) == []


def test_it_is_known_exactly_if_the_start_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    failing(monkeypatch, sqlite3.OperationalError("database or disk is full"))
    outbox.append([begun("a")])
    outbox.close()
    failing(monkeypatch, None)
    outbox = Outbox(tmp_path / "o", CAP)
    assert (bodies(outbox), left(outbox)) == ([], []), "it was in memory alone"
    outbox.append([begun("b")])
    failing(monkeypatch, sqlite3.OperationalError("database or disk is full"))
    outbox.append([over("b")])
    outbox.close()
    failing(monkeypatch, None)
    outbox = Outbox(tmp_path / "o", CAP)
    assert (bodies(outbox), left(outbox)) == ([b"b started"], ["b"]), "the end was in memory alone"


def test_a_disk_that_is_away_for_a_while_learns_of_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking = Ticking()
    outbox = Outbox(tmp_path / "o", CAP, clock=ticking.clock())
    outbox.append([begun("on the disk"), begun("ends while it is away")])
    failing(monkeypatch, OSError("gone"))
    outbox.append([begun("in memory"), over("ends while it is away"), begun("short"), over("short")])
    failing(monkeypatch, None)
    ticking.seconds += DISK_RETRY + 1
    outbox.tend()
    assert outbox.alarm is None
    assert left(outbox) == [], "they are this run's own"
    outbox.close()
    assert left(Outbox(tmp_path / "o", CAP)) == ["on the disk", "in memory"]


def test_a_file_that_can_only_be_read_later_tells_of_an_earlier_run_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking = Ticking()
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.append([begun("earlier")])
    outbox.close()
    with monkeypatch.context() as patch:
        failing_to_open(patch)
        outbox = Outbox(tmp_path / "o", CAP, clock=ticking.clock())
        outbox.append([begun("own")])
        assert left(outbox) == []
    ticking.seconds += DISK_RETRY + 1
    outbox.tend()
    assert left(outbox) == ["earlier"]
    outbox.append([over("earlier")])
    with monkeypatch.context() as patch:  # out of reach once more, and back
        patch.setattr(Store, "read", lambda *_: (_ for _ in ()).throw(OSError("gone")))
        outbox.pending(limit=9)
    ticking.seconds += DISK_RETRY + 1
    outbox.tend()
    assert (outbox.alarm, left(outbox)) == (None, [])
    outbox.close()
    assert left(Outbox(tmp_path / "o", CAP)) == ["own"]


def test_a_file_of_an_earlier_version_is_taken_as_it_is(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "o")) as db, db:
        db.executescript(EARLIER_VERSION)
    outbox = Outbox(tmp_path / "o", CAP)
    assert (outbox.alarm, bodies(outbox), left(outbox)) == (None, [b"old"], [])
    assert outbox.append([begun("new")]) == [8]
    outbox.close()
    assert left(Outbox(tmp_path / "o", CAP)) == ["new"]


def test_a_damaged_file_of_an_earlier_version_is_saved(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "o")) as db, db:
        db.executescript(EARLIER_VERSION)
    flip(tmp_path / "o", b"monotonic REAL", b"mono4onic REAL")
    outbox = Outbox(tmp_path / "o", CAP)
    assert (bodies(outbox), left(outbox)) == ([b"old"], [])
    assert "1 messages were saved" in (outbox.alarm or "")


def test_a_damaged_file_still_tells(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.append([begun("earlier")])
    outbox.close()
    flip(tmp_path / "o", b"picture INTEGER", b"pictu4e INTEGER")
    outbox = Outbox(tmp_path / "o", CAP)
    assert "damaged" in (outbox.alarm or "")
    assert left(outbox) == ["earlier"]
    outbox.close()
    assert left(Outbox(tmp_path / "o", CAP)) == ["earlier"], "it is in the new file too"


def test_damage_while_running_makes_no_own_violation_a_left_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.append([begun("own"), begun("ends")])
    outbox.close()
    outbox = Outbox(tmp_path / "o", CAP)  # begins them anew, as if they were its own
    outbox.append([over("own"), over("ends"), begun("own"), begun("ends")])
    with monkeypatch.context() as patch:
        failing(patch, DamagedError("malformed"), times=1)
        patch.setattr(Wreck, "_open_violations", lambda _wreck: [])
        outbox.append([over("ends")])
    assert "damaged" in (outbox.alarm or "")
    assert left(outbox) == []
    outbox.close()
    assert left(Outbox(tmp_path / "o", CAP)) == ["own"], "written anew, though the damaged file told nothing of it"


def test_a_row_of_other_types_is_damage(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.append([begun("a"), begun("b")])
    outbox.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "o")) as db, db:
        db.execute("UPDATE open_violation SET monotonic = 'x' WHERE event_id = 'a'")
    outbox = Outbox(tmp_path / "o", CAP)
    assert "damaged" in (outbox.alarm or "")
    assert (left(outbox), outbox.depth) == (["b"], 2)


def test_the_end_comes_also_where_the_start_was_dropped_for_the_cap(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", 10_000)
    outbox.append([Draft(bytes(20_000), 1.0, True, opens="huge")])
    outbox.append([begun("a")])
    outbox.append([Draft(bytes(9100), 1.0, True), Draft(bytes(500), 1.0, True)])
    assert outbox.dropped >= 2
    outbox.close()
    assert left(Outbox(tmp_path / "o", 10_000)) == ["huge", "a"]


def test_ends_that_got_lost_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_violations, "MOST", 3)
    outbox = Outbox(tmp_path / "o", CAP)
    for number in range(10):
        outbox.append([begun(str(number))])
    outbox.close()
    assert left(Outbox(tmp_path / "o", CAP)) == ["7", "8", "9"]


# -- the end that is reported --------------------------------------------------------------------------------

START = datetime(2026, 11, 22, 8, 0, tzinfo=timezone.utc)


def clock(wall: datetime, monotonic: float, *, synced: bool = True, boot_id: str = "boot") -> Clock:
    return Clock(wall=lambda: wall, monotonic=lambda: monotonic, synced=lambda: synced, boot_id=boot_id)


def left_behind(*, synced: bool = True) -> OpenViolation:
    body = ViolationFacts.from_violation(make_notice(3, event_id="e", occurred_at=START).violation).to_json()
    return OpenViolation("e", body, "boot", 1000.0, synced)


def published(left: OpenViolation, found: Clock, later: Clock | None = None) -> dict[str, object]:
    """The message as it goes out by the clock `later`."""
    draft = late_end(left, found)
    assert draft.closes == "e"
    payload = compose(draft.numbered(9, found.boot_id), replayed=True, clock=later or found)
    assert (payload.type, payload.event_id, payload.person, payload.kind) == ("ended", "e", 3, "no_mask")
    return dict(payload)


def test_within_a_boot_the_monotonic_clock_tells_how_long_it_lasted() -> None:
    set_since = START + timedelta(days=400)
    found = published(left_behind(), clock(set_since, 1060.0))
    assert (found["occurred_at"], found["ended_at"]) == (START, START + timedelta(seconds=60))
    assert (found["clock_synced"], found["boot_id"]) == (True, "boot")


def test_within_a_boot_a_wrong_clock_is_corrected_for_both_times() -> None:
    truth = START + timedelta(days=400)
    later = clock(truth, 1100.0)
    found = published(left_behind(synced=False), clock(START, 1060.0, synced=False), later)
    assert found["ended_at"] == truth - timedelta(seconds=40)
    assert found["occurred_at"] == truth - timedelta(seconds=100)
    assert found["clock_synced"] is True


def test_after_another_boot_the_wall_clock_tells() -> None:
    now = START + timedelta(hours=3)
    found = published(left_behind(), clock(now, 12.0, boot_id="next"))
    assert (found["occurred_at"], found["ended_at"]) == (START, now)
    assert (found["clock_synced"], found["boot_id"]) == (True, "boot"), "the boot of its start"


def test_after_another_boot_a_clock_that_is_not_set_is_not_believed() -> None:
    early = clock(START - timedelta(days=400), 12.0, synced=False, boot_id="next")
    later = clock(START + timedelta(hours=3), 72.0, boot_id="next")
    found = published(left_behind(), early, later)
    assert (found["occurred_at"], found["ended_at"]) == (START, START), "it ends no sooner than it starts"
    assert found["clock_synced"] is False
    found = published(left_behind(synced=False), later)
    assert found["clock_synced"] is False, "nor one that was not set when it started"


def test_a_body_of_another_version_has_no_end() -> None:
    with pytest.raises(ValidationError):
        late_end(OpenViolation("e", b'{"schema": 7}', "boot", 1.0, True), clock(START, 2.0))

from __future__ import annotations

import sqlite3
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge_agent.outputs.mqtt.backlog import Backlog, SequenceMark
from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.messages import ROW_OVERHEAD, Draft, Entry
from edge_agent.outputs.mqtt.outbox import DISK_RETRY, Outbox
from edge_agent.outputs.mqtt.store import DamagedError, Store
from edge_agent.outputs.mqtt.wreck import Wreck

CAP = 1_000_000


class Ticking:
    """A monotonic clock that tests advance."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def clock(self) -> Clock:
        return Clock(
            wall=lambda: datetime(2026, 11, 22, tzinfo=timezone.utc),
            monotonic=lambda: self.seconds,
            synced=lambda: True,
            boot_id="boot",
        )


def event(body: bytes = b"{}") -> Draft:
    return Draft(body, 1.5, True)


def picture(size: int = 1000) -> Draft:
    return Draft(b"\xff\xd8" + bytes(size), 1.5, True, picture=True)


def bodies(outbox: Outbox) -> list[bytes]:
    return [entry.body for entry in outbox.pending(limit=10_000)]


def test_kept_in_order_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "outbox.sqlite3"
    outbox = Outbox(path, CAP)
    assert outbox.append([event(b"a"), event(b"b")]) == [1, 2]
    assert outbox.append([event(b"c")]) == [3]
    outbox.delivered(2, 99)
    outbox.close()
    outbox = Outbox(path, CAP)
    assert bodies(outbox) == [b"a", b"c"]
    assert outbox.append([event(b"d")]) == [4]
    assert outbox.depth == 3
    outbox.delivered(1, 3, 4)
    outbox.close()
    outbox = Outbox(path, CAP)
    assert outbox.depth == 0
    assert outbox.append([event()]) == [5], "numbers are not given again after all was delivered"
    outbox.close()


def test_pending_pages_through(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.append([event(str(i).encode()) for i in range(5)])
    assert [e.seq for e in outbox.pending(limit=2)] == [1, 2]
    assert [e.seq for e in outbox.pending(after=2, limit=2)] == [3, 4]
    assert outbox.pending(after=5, limit=2) == []
    assert outbox.pending(limit=0) == []
    entry = outbox.pending()[0]
    assert (entry.monotonic, entry.clock_synced, entry.picture) == (1.5, True, False)


def test_the_cap_takes_pictures_first_then_the_oldest(tmp_path: Path) -> None:
    cap = 3 * (ROW_OVERHEAD + 2) + 1002 + ROW_OVERHEAD
    outbox = Outbox(tmp_path / "o", cap)
    outbox.append([picture(), event(), event(), event()])
    assert (outbox.depth, outbox.dropped, outbox.dropped_pictures) == (4, 0, 0)
    outbox.append([event()])
    assert (outbox.depth, outbox.dropped, outbox.dropped_pictures) == (4, 0, 1)
    outbox.append([event(bytes(1000))])
    assert outbox.bytes <= cap
    assert outbox.dropped == 1
    assert [e.seq for e in outbox.pending(limit=9)] == [3, 4, 5, 6]
    outbox.close()
    again = Outbox(tmp_path / "o", cap)
    assert (again.dropped, again.dropped_pictures) == (1, 1), "the counts survive"


def test_a_message_beyond_the_whole_cap_is_dropped_alone(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", 10_000)
    outbox.append([event(b"small"), picture(20_000), event(b"after")])
    assert bodies(outbox) == [b"small", b"after"]
    assert outbox.dropped_pictures == 1


def test_a_smaller_cap_counts_from_the_next_event_on(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.append([event(bytes(1000)) for _ in range(50)])
    outbox.close()
    outbox = Outbox(tmp_path / "o", 10_000)
    outbox.append([event(b"new")])
    assert outbox.bytes <= 10_000
    assert bodies(outbox)[-1] == b"new"


def test_a_delivered_picture_leaves_no_trace_on_the_disk(tmp_path: Path) -> None:
    def traces() -> bool:
        return any(b"somebody's face" in file.read_bytes() for file in tmp_path.iterdir())

    shown = Draft(b"\xff\xd8\xff" + b"somebody's face" * 500, 1.5, True, picture=True)
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.append([shown, event(b"a"), shown])
    outbox.delivered(1)
    outbox.tend()
    assert traces(), "one still waits"
    outbox.delivered(3)
    outbox.tend()
    assert not traces()
    assert bodies(outbox) == [b"a"]
    outbox.append([shown])
    outbox.close()
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.delivered(4)
    outbox.tend()
    assert not traces(), "also of one that an earlier run left"
    outbox.close()


def test_a_picture_that_found_no_room_leaves_no_trace_either(tmp_path: Path) -> None:
    def traces() -> bool:
        return any(b"somebody's face" in file.read_bytes() for file in tmp_path.iterdir())

    store = Store(tmp_path / "store")
    store.forget_traces()
    # A disk that fills while the picture is written, and a cache too small to hold it until then.
    store._db.execute("PRAGMA cache_size = 5")
    store._db.execute("PRAGMA max_page_count = 60")
    with pytest.raises(sqlite3.Error, match="full"):
        store.change(add=[Entry(1, True, b"somebody's face" * 20_000, "boot", 1.0, True)])
    assert traces(), "else this test shows nothing"
    store.forget_traces()
    assert not traces()
    store.close()


def test_a_journal_that_cannot_be_emptied_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    outbox = Outbox(tmp_path / "o", CAP)
    monkeypatch.setattr(Store, "forget_traces", lambda store: calls.append(store))
    outbox.append([picture()])
    outbox.tend()
    assert not calls, "one waits"
    outbox.delivered(1)
    outbox.tend()
    outbox.tend()
    assert len(calls) == 2
    outbox.close()


def test_pictures_can_be_forgotten(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.append([picture(), event(b"a"), picture(), event(b"b")])
    outbox.drop_picture(1)
    outbox.drop_picture(2)  # an event: stays
    assert outbox.dropped_pictures == 1
    outbox.close()
    outbox = Outbox(tmp_path / "o", CAP, pictures=False)
    assert bodies(outbox) == [b"a", b"b"]
    assert outbox.dropped_pictures == 1, "switched off is no loss"
    outbox.append([event(b"c")])
    outbox.close()
    assert bodies(Outbox(tmp_path / "o", CAP)) == [b"a", b"b", b"c"]


def test_pictures_are_forgotten_also_in_a_file_that_can_only_be_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    outbox.append([picture(), event(b"a")])
    outbox.close()
    with monkeypatch.context() as patch:
        failing_to_open(patch)
        outbox = Outbox(tmp_path / "o", CAP, pictures=False)
        assert outbox.alarm
    monkeypatch.setattr(outbox, "_retry_at", 0.0)
    outbox.tend()
    assert outbox.alarm is None
    assert bodies(outbox) == [b"a"]


def failing_to_open(patch: pytest.MonkeyPatch) -> None:
    def contents(_self: Store) -> None:
        raise sqlite3.OperationalError("database is locked")

    patch.setattr(Store, "contents", contents)


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception | None, *, times: int | None = None) -> None:
    """Let every write, or so many of them, fail as a full disk does; None: as before."""
    if error is None:
        monkeypatch.undo()
        return
    failed: list[int] = []
    real = Store.change

    def change(store: Store, **what: Any) -> None:
        if times is not None and len(failed) >= times:
            real(store, **what)
            return
        failed.append(1)
        raise error

    monkeypatch.setattr(Store, "change", change)


def test_memory_takes_over_and_hands_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticking = Ticking()
    outbox = Outbox(tmp_path / "o", CAP, clock=ticking.clock())
    outbox.append([event(b"disk")])
    failing(monkeypatch, sqlite3.OperationalError("database or disk is full"))
    outbox.append([event(b"memory")])
    assert "disk is full" in (outbox.alarm or "")
    assert bodies(outbox) == [b"disk", b"memory"]
    outbox.delivered(1)
    assert bodies(outbox) == [b"memory"], "delivered though the disk still holds it"
    failing(monkeypatch, None)
    outbox.tend()
    assert outbox.alarm is not None, "not tried again at once"
    ticking.seconds += DISK_RETRY + 1
    outbox.tend()
    assert outbox.alarm is None
    outbox.close()
    assert bodies(Outbox(tmp_path / "o", CAP)) == [b"memory"]


def test_memory_has_a_cap_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(tmp_path / "o", CAP, memory_bytes=3000)
    outbox.append([event(b"disk")])
    failing(monkeypatch, OSError("gone"))
    outbox.append([event(bytes(500) + b"%d" % i) for i in range(10)])
    left = bodies(outbox)
    assert left[0] == b"disk", "what is on the disk takes no memory"
    assert len(left) == 1 + 3000 // (501 + ROW_OVERHEAD)
    assert left[-1].endswith(b"9")
    assert outbox.dropped == 10 - (len(left) - 1)


def test_a_folder_that_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    outbox = Outbox(tmp_path / "file" / "o", CAP)
    outbox.append([event(b"a"), event(b"b")])
    assert bodies(outbox) == [b"a", b"b"]
    assert outbox.alarm
    outbox.close()
    assert "end with the service" in caplog.text


def test_a_second_service_on_the_same_file_goes_to_memory(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "o", CAP)
    first.append([event(b"first")])
    second = Outbox(tmp_path / "o", CAP)
    second.append([event(b"second")])
    assert "locked" in (second.alarm or "")
    assert bodies(first) == [b"first"]
    first.close()


def test_the_store_refuses_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "o").write_bytes(b"not a database at all, but long enough to have a header" * 20)
    with pytest.raises(DamagedError):
        Store(tmp_path / "o")
    other = Store(tmp_path / "other")
    Wreck(tmp_path / "o").bring_over(other, lambda _entry: True)
    assert (list(other.contents()), other.counters(), other.open_violations()) == ([], {}, [])


def test_a_commit_reaches_the_disk_itself(tmp_path: Path) -> None:
    """synchronous = FULL (2) in write-ahead mode: SQLite syncs the log at each commit, not only at checkpoints."""
    store = Store(tmp_path / "o")
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_change_is_all_or_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "o")
    good = Entry(1, False, b"x", "boot", 1.0, True)
    bad = Entry(2, False, None, "boot", 1.0, True)  # type: ignore[arg-type]  # the column is NOT NULL
    with pytest.raises(sqlite3.Error):
        store.change(add=[good, bad])
    assert (list(store.contents()), store.counters()) == ([], {})
    store.change(add=[good], counters=[("dropped", 3)])
    assert (list(store.contents()), store.counters()) == ([(1, False, good.cost)], {"dropped": 3})


def test_backlog_victims() -> None:
    backlog = Backlog([(1, False, 10), (2, True, 10), (3, False, 10), (4, True, 10)])
    assert backlog.victims(0) == []
    assert backlog.victims(15) == [2, 4]
    assert backlog.victims(25) == [2, 4, 1]
    assert backlog.victims(15, {1, 3}) == [1, 3]
    assert backlog.bytes == 40


def test_the_mark_is_above_all_numbers(tmp_path: Path) -> None:
    mark = SequenceMark(tmp_path / "m")
    assert mark.read() == 0
    for upcoming in (1, 999, 1000, 1001, 5500):
        mark.reserve(upcoming)
        assert SequenceMark(tmp_path / "m").read() > upcoming - 1


def test_a_mark_that_could_not_be_written_is_tried_again_soon(tmp_path: Path) -> None:
    mark = SequenceMark(tmp_path / "away" / "m")
    (tmp_path / "away").touch()  # a file where its folder should be
    mark.reserve(1)
    (tmp_path / "away").unlink()
    mark.reserve(30)
    assert SequenceMark(tmp_path / "away" / "m").read() > 30


class Model(RuleBasedStateMachine):
    """Whatever happens to the disk, the outbox holds what was appended and not delivered, in order, and knows what
    has begun and not ended."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._ticking = Ticking()
        self._patch = pytest.MonkeyPatch()
        self._broken = False
        self.expected: dict[int, bytes] = {}
        self.open: list[str] = []
        self.begun = 0

    @initialize()
    def begin(self) -> None:
        self._open()

    def _open(self) -> None:
        self.outbox = Outbox(Path(self._folder.name) / "o", CAP, clock=self._ticking.clock())

    @rule(count=st.integers(1, 4))
    def append(self, count: int) -> None:
        drafts = [event(b"%d" % (len(self.expected) + i)) for i in range(count)]
        for seq, draft in zip(self.outbox.append(drafts), drafts, strict=True):
            assert seq not in self.expected
            self.expected[seq] = draft.body

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        if self.expected:
            seqs = data.draw(st.sets(st.sampled_from(sorted(self.expected)), max_size=3))
            self.outbox.delivered(*seqs)
            for seq in seqs:
                del self.expected[seq]

    @rule()
    def violation_begins(self) -> None:
        self.begun += 1
        self.open.append(f"v{self.begun}")
        draft = Draft(b"started", 1.5, True, opens=self.open[-1])
        self.expected[self.outbox.append([draft])[0]] = draft.body

    @rule(data=st.data())
    def violation_ends(self, data: st.DataObject) -> None:
        if self.open:
            draft = Draft(b"ended", 1.5, True, closes=data.draw(st.sampled_from(self.open)))
            self.open.remove(draft.closes or "")
            self.expected[self.outbox.append([draft])[0]] = draft.body

    @rule()
    def disk_fills(self) -> None:
        failing(self._patch, sqlite3.OperationalError("database or disk is full"))
        self._broken = True

    @rule()
    def disk_recovers(self) -> None:
        failing(self._patch, None)
        self._broken = False
        self._ticking.seconds += DISK_RETRY + 1

    @rule()
    def restart(self) -> None:
        if not self._broken:
            self.outbox.close()
            self._open()
            assert [violation.event_id for violation in self.outbox.left_open] == self.open

    @rule()
    def tend(self) -> None:
        self.outbox.tend()

    @invariant()
    def holds_what_it_should(self) -> None:
        if hasattr(self, "outbox"):
            found = {entry.seq: entry.body for entry in self.outbox.pending(limit=1000)}
            assert list(found.items()) == sorted(self.expected.items())
            assert self.outbox.depth == len(self.expected)

    def teardown(self) -> None:
        self._patch.undo()
        if hasattr(self, "outbox"):
            self.outbox.close()
        self._folder.cleanup()


Model.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestModel = Model.TestCase


def test_a_delivered_picture_is_gone_from_the_disk(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "o", CAP)
    body = b"\xff\xd8 the face of somebody" * 500
    (seq,) = outbox.append([Draft(body, 1.5, True, picture=True)])
    outbox.delivered(seq)
    outbox.close()
    assert all(b"somebody" not in path.read_bytes() for path in tmp_path.iterdir())

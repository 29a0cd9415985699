"""A damaged outbox that can't be saved in one go: the disk is full, or the process dies over it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from edge_agent.outputs.mqtt import wreck
from edge_agent.outputs.mqtt.messages import ROW_OVERHEAD, Draft
from edge_agent.outputs.mqtt.outbox import DISK_RETRY, Outbox
from edge_agent.outputs.mqtt.store import Store
from edge_agent.outputs.mqtt.wreck import set_aside

from .test_outbox import CAP, Ticking, bodies, event, failing, picture
from .test_outbox_damage import COLUMN, flip

FULL = sqlite3.OperationalError("database or disk is full")


def damaged(path: Path, count: int, *others: Draft) -> None:
    """An outbox with so many events, in a file that has to be given up though all of it can be read."""
    outbox = Outbox(path, CAP, clock=Ticking().clock())
    outbox.append([event(b"body %d" % number) for number in range(1, count + 1)])
    if others:
        outbox.append(others)
    outbox.close()
    flip(path, COLUMN, COLUMN.replace(b"mono", b"mon4"))


def numbered(*numbers: int) -> list[bytes]:
    return [b"body %d" % number for number in numbers]


def interrupted(patch: pytest.MonkeyPatch, error: BaseException, *, after: int) -> None:
    """Have the disk fail once so many batches are brought over."""
    change, calls = Store.change, []

    def failing_change(store: Store, **what: Any) -> None:
        calls.append(1)
        if len(calls) > after:
            raise error
        change(store, **what)

    patch.setattr(Store, "change", failing_change)
    patch.setattr(wreck, "_BATCH_ROWS", 2)


def killed(path: Path, monkeypatch: pytest.MonkeyPatch, *, after: int) -> Outbox:
    """The outbox of a process that ends while it saves the file before."""
    with monkeypatch.context() as patch:
        interrupted(patch, KeyboardInterrupt(), after=after)
        outbox = Outbox.__new__(Outbox)
        with pytest.raises(KeyboardInterrupt):
            outbox.__init__(path, CAP)  # type: ignore[misc]
            outbox.pending()
    return outbox


def try_again(outbox: Outbox, ticking: Ticking) -> None:
    """Let the time pass after which the outbox uses its disk again."""
    ticking.seconds += DISK_RETRY + 1
    outbox.tend()


def names(folder: Path, kind: str) -> list[str]:
    return sorted(p.name for p in folder.glob(f"o.{kind}-*") if not p.name.endswith(("-wal", "-shm")))


# -- the disk takes no more ------------------------------------------------------------------------------------


def test_a_disk_that_fills_while_a_file_is_saved_gets_the_rest_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking = Ticking()
    damaged(tmp_path / "o", 9)
    with monkeypatch.context() as patch:
        interrupted(patch, FULL, after=2)
        outbox = Outbox(tmp_path / "o", CAP, clock=ticking.clock())
        outbox.append([event(b"after")])
        assert bodies(outbox) == [*numbered(*range(1, 10)), b"after"], "4 from the new file, 5 from memory"
        assert "memory" in (outbox.alarm or "")
        outbox.delivered(2, 8)
    try_again(outbox, ticking)
    assert bodies(outbox) == [*numbered(1, 3, 4, 5, 6, 7, 9), b"after"]
    assert "7 messages were saved" in (outbox.alarm or "")
    outbox.delivered(3, 9)
    outbox.close()
    assert bodies(Outbox(tmp_path / "o", CAP)) == [*numbered(1, 4, 5, 6, 7), b"after"]
    assert (names(tmp_path, "saving"), len(names(tmp_path, "damaged"))) == ([], 1)


def test_a_memory_that_is_full_takes_no_more_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticking = Ticking()
    damaged(tmp_path / "o", 9)
    with monkeypatch.context() as patch:
        interrupted(patch, MemoryError(), after=2)
        outbox = Outbox(tmp_path / "o", CAP, clock=ticking.clock())
        outbox.append([event(b"after")])
        assert bodies(outbox) == [b"after"], "the others are out of reach for now"
        outbox.delivered(2, 8)  # sent before the file was given up, and acknowledged only now
    try_again(outbox, ticking)
    assert bodies(outbox) == [*numbered(1, 3, 4, 5, 6, 7, 9), b"after"]


def test_a_full_disk_holds_back_no_event_of_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory takes as many as it may at a time, and the next ones when these are delivered."""
    ticking = Ticking()
    damaged(tmp_path / "o", 100, picture(), event(b"last"))
    failing(monkeypatch, FULL)
    memory = 10 * (ROW_OVERHEAD + 8)
    outbox = Outbox(tmp_path / "o", CAP, clock=ticking.clock(), memory_bytes=memory)
    seen: list[int] = []
    for _ in range(20):
        waiting = outbox.pending(limit=1000)
        assert sum(entry.cost for entry in waiting) <= memory
        seen += [entry.seq for entry in waiting]
        outbox.delivered(*(entry.seq for entry in waiting))
        try_again(outbox, ticking)
    assert seen == [*range(1, 101), 102], "in order, none twice, and events before pictures"
    assert outbox.dropped == 0
    failing(monkeypatch, None)
    try_again(outbox, ticking)
    assert [(entry.seq, entry.picture) for entry in outbox.pending(limit=1000)] == [(101, True)]
    assert outbox.append([event()]) > [102]
    outbox.close()


def test_new_events_take_the_memory_of_what_is_safe_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking = Ticking()
    damaged(tmp_path / "o", 20)
    failing(monkeypatch, FULL)
    outbox = Outbox(tmp_path / "o", CAP, clock=ticking.clock(), memory_bytes=10 * (ROW_OVERHEAD + 7))
    outbox.pending()
    seqs = outbox.append([event(b"new %d  " % number) for number in range(6)])
    assert seqs[0] > 20
    left = [entry.seq for entry in outbox.pending(limit=100)]
    assert left == [1, 2, 3, 4, *seqs] or left == [1, 2, 3, *seqs]
    failing(monkeypatch, None)
    try_again(outbox, ticking)
    assert [entry.seq for entry in outbox.pending(limit=100)] == [*range(1, 21), *seqs], "none is lost"
    assert (outbox.dropped, outbox.alarm and "memory" in outbox.alarm) == (0, False)
    outbox.close()


def test_a_disk_that_makes_no_new_file_at_all_holds_back_no_event_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking = Ticking()
    damaged(tmp_path / "o", 9)
    outbox = Outbox(tmp_path / "o", CAP, clock=ticking.clock())

    def full(_store: Store, path: Path) -> None:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(Store, "__init__", full)
        assert bodies(outbox) == numbered(*range(1, 10))
        outbox.delivered(1)
    try_again(outbox, ticking)
    assert bodies(outbox) == numbered(*range(2, 10))
    outbox.close()


def test_a_damaged_file_is_read_without_room_for_a_shared_memory_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(tmp_path / "o", 9)
    failing(monkeypatch, FULL)
    outbox = Outbox(tmp_path / "o", CAP)
    assert len(bodies(outbox)) == 9
    assert list(tmp_path.glob("*-shm")) == []
    outbox.close()


def test_a_damaged_file_that_somebody_looks_into_is_saved_later(tmp_path: Path) -> None:
    ticking = Ticking()
    damaged(tmp_path / "o", 9)
    (tmp_path / "o").rename(tmp_path / "o.saving-20261104T000000.000000Z-1")
    with contextlib.closing(sqlite3.connect(tmp_path / "o.saving-20261104T000000.000000Z-1")) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("SELECT count(*) FROM message").fetchone()
        outbox = Outbox(tmp_path / "o", CAP, clock=ticking.clock())
        assert "locked" in (outbox.alarm or "")
    try_again(outbox, ticking)
    assert bodies(outbox) == numbered(*range(1, 10))
    outbox.close()


# -- the process ends ------------------------------------------------------------------------------------------


def test_what_is_not_saved_before_the_process_dies_is_saved_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged(tmp_path / "o", 9)
    killed(tmp_path / "o", monkeypatch, after=2)
    assert names(tmp_path, "damaged") == []
    outbox = Outbox(tmp_path / "o", CAP)
    assert bodies(outbox) == numbered(*range(1, 10))
    assert (names(tmp_path, "saving"), len(names(tmp_path, "damaged"))) == ([], 1)
    assert "damaged" in (outbox.alarm or "")
    assert outbox.append([event()]) > [9]
    outbox.close()
    assert Outbox(tmp_path / "o", CAP).alarm is None, "and it is not saved again"


def test_what_was_copied_and_delivered_before_is_not_copied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking = Ticking()
    damaged(tmp_path / "o", 9)
    with monkeypatch.context() as patch:
        interrupted(patch, FULL, after=2)
        outbox = Outbox(tmp_path / "o", CAP, clock=ticking.clock())
        outbox.pending()
        outbox.delivered(1, 2, 7)
    with monkeypatch.context() as patch:
        interrupted(patch, FULL, after=1)  # that they are delivered finds room, and no more
        try_again(outbox, ticking)
    outbox._close_store()  # killed
    outbox._wrecks.close()
    outbox = Outbox(tmp_path / "o", CAP, clock=ticking.clock())
    assert bodies(outbox) == numbered(3, 4, 5, 6, 8, 9)
    outbox.close()


def test_numbers_given_since_are_not_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged(tmp_path / "o", 9)
    killed(tmp_path / "o", monkeypatch, after=2)
    store = Store(tmp_path / "o")
    store.change(counters=[("next_seq", 5000), ("dropped", 3)])
    store.close()
    outbox = Outbox(tmp_path / "o", CAP)
    assert (outbox.append([event()]), outbox.dropped) == ([5000], 3)
    outbox.close()


def test_a_file_over_which_the_process_dies_each_time_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    damaged(tmp_path / "o", 9)
    for tries in (1, 2, 3):
        killed(tmp_path / "o", monkeypatch, after=0)
        assert names(tmp_path, "saving")[0].endswith(f"Z-{tries}")
    outbox = Outbox(tmp_path / "o", CAP)
    assert bodies(outbox) == []
    assert "ended 3 times" in caplog.text
    assert (names(tmp_path, "saving"), len(names(tmp_path, "damaged"))) == ([], 1)
    assert outbox.append([event()]) > [9]
    outbox.close()


def test_a_stop_in_good_order_is_no_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged(tmp_path / "o", 9)
    with monkeypatch.context() as patch:
        failing(patch, FULL)
        for _ in range(5):
            outbox = Outbox(tmp_path / "o", CAP, clock=Ticking().clock())
            assert bodies(outbox) == numbered(*range(1, 10))
            outbox.close()
    outbox = Outbox(tmp_path / "o", CAP)
    assert bodies(outbox) == numbered(*range(1, 10))
    outbox.close()


def test_a_second_service_leaves_it_to_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged(tmp_path / "o", 9)
    failing(monkeypatch, FULL)
    first = Outbox(tmp_path / "o", CAP)
    first.pending()
    before = names(tmp_path, "saving")
    second = Outbox(tmp_path / "o", CAP)
    assert (bodies(second), names(tmp_path, "saving")) == ([], before)
    assert len(bodies(first)) == 9
    second.close()
    first.close()


def test_a_journal_that_kept_its_old_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "o.saving-20261104T000000.000000Z-2").write_bytes(b"x")
    (tmp_path / "o.saving-20261104T000000.000000Z-1-wal").write_bytes(b"w")
    (found,) = wreck.take_up(tmp_path / "o", ())
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "o.saving-20261104T000000.000000Z-3",
        "o.saving-20261104T000000.000000Z-3-wal",
    ]
    assert found.earlier


@pytest.fixture
def no_rename(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:

        def refuse(_path: Path, _renamed: Path) -> None:
            raise OSError(30, "Read-only file system")

        patch.setattr(wreck, "_rename", refuse)
        yield


@pytest.mark.usefixtures("no_rename")
def test_what_cannot_be_renamed_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    aside = tmp_path / "o.saving-20261104T000000.000000Z-1"
    aside.write_bytes(b"x")
    outbox = Outbox(tmp_path / "o", CAP)
    assert (outbox.append([event()]), outbox.alarm) == ([1], None)
    assert "can't be renamed" in caplog.text
    assert not wreck.Wreck(aside).finish()
    outbox.close()


def test_a_disk_that_damages_every_file_does_not_fill_up_with_them(tmp_path: Path) -> None:
    for day in range(1, 8):
        (tmp_path / "o").write_bytes(b"x")
        set_aside(tmp_path / "o", datetime(2026, 11, day, tzinfo=timezone.utc))
    assert [name[:17] for name in names(tmp_path, "saving")] == ["o.saving-20261101", "o.saving-20261102"]
    assert [name[:18] for name in names(tmp_path, "damaged")] == ["o.damaged-20261106", "o.damaged-20261107"]

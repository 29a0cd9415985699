"""A violation that was open when the service died: its end is reported by the next one."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from mosquitto import Subscriber, wait_until
from violations import JPEG, make_end, make_notice

from edge_agent.outputs.mqtt import outbox
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.store import Store
from edge_agent.outputs.mqtt.worker import OUTBOX_FILE

pytestmark = pytest.mark.broker
Make = Callable[..., MqttOutput]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_its_end_comes_once_with_the_facts_of_its_start(watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(watch._port, snapshots=True)
    wait_until(lambda: output.stats().connected, "connected")
    going_on, over = make_notice(7, gender="female"), make_notice(8)
    output.handle(going_on, JPEG)
    output.handle(over)
    output.handle(make_end(of=over))
    watch.wait(lambda: len(watch.violations()) == 3, "all that was seen")
    output.stop()  # without a word of the end, as if it had been killed: to the outbox it is the same
    output = mqtt_output(watch._port, snapshots=True)
    watch.wait(lambda: len(watch.violations()) == 4, "the end")
    started, ended = watch.violations()[0], watch.violations()[3]
    assert ended["seq"] > watch.violations()[2]["seq"]
    assert ended["replayed"] is True
    assert 0 <= (moment(ended["ended_at"]) - moment(started["occurred_at"])).total_seconds() < 20
    told_anew = ("type", "ended_at", "seq", "replayed")
    assert {k: v for k, v in ended.items() if k not in told_anew} == {
        k: v for k, v in started.items() if k not in told_anew
    }
    assert (ended["type"], ended["event_id"]) == ("ended", going_on.violation.event_id)
    assert len(watch.on("/snapshot")) == 1, "no picture comes with an end"
    wait_until(lambda: output.stats().depth == 0, "delivered")
    output.stop()
    output = mqtt_output(watch._port)
    output.handle(make_end(9))
    watch.wait(lambda: watch.violations()[-1]["person"] == 9, "the next event")
    assert len(watch.violations()) == 5, "the end was told once"


def test_it_comes_late_from_a_disk_that_is_read_late(
    watch: Subscriber, mqtt_output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = mqtt_output(watch._port)
    watch.wait(lambda: watch.on("/availability"), "connected, and the outbox open")
    output.handle(make_notice(7))
    watch.wait(lambda: watch.violations(), "the start")
    wait_until(lambda: output.stats().depth == 0, "delivered")
    output.stop()
    watch.wait(lambda: watch.on("/availability")[-1].payload == b"offline", "the goodbye")
    monkeypatch.setattr(outbox, "DISK_RETRY", 0.1)
    with monkeypatch.context() as patch:

        def locked(_store: Store) -> Any:
            raise sqlite3.OperationalError("database is locked")

        patch.setattr(Store, "contents", locked)
        output = mqtt_output(watch._port)
        wait_until(lambda: output.stats().alarm, "without its disk")
        watch.wait(lambda: watch.on("/availability")[-1].payload == b"online", "connected, and the worker knows")
        output.handle(make_end(8))
        watch.wait(lambda: len(watch.violations()) == 2, "a live event all the same")
    watch.wait(lambda: len(watch.violations()) == 3, "the end")
    assert [(v["person"], v["type"], v["replayed"]) for v in watch.violations()] == [
        (7, "started", False),
        (8, "ended", False),
        (7, "ended", True),
    ]


def test_one_that_cannot_be_read_is_forgotten_with_a_word(
    watch: Subscriber, mqtt_output: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = mqtt_output(watch._port)
    for person in range(5):
        output.handle(make_notice(person))
    wait_until(lambda: output.stats().committed == 5, "committed")
    output.stop()
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / OUTBOX_FILE)) as db, db:
        body = db.execute("SELECT body FROM open_violation ORDER BY rowid").fetchone()[0]
        beyond = re.sub(rb'"occurred_at":"[^"]*"', b'"occurred_at":"9999-12-31T23:59:59.999Z"', body)
        db.execute("UPDATE open_violation SET body = ? WHERE rowid = 1", (beyond,))
        db.execute("UPDATE open_violation SET body = CAST('{}' AS BLOB), boot_id = 'other' WHERE rowid = 2")
        early = beyond.replace(b"9999-12-31T23:59:59.999Z", b"0001-01-01T00:00:00.000+05:00")
        db.execute("UPDATE open_violation SET body = ? WHERE rowid = 3", (early,))
        db.execute("UPDATE open_violation SET monotonic = 9e999 WHERE rowid = 4")
    output = mqtt_output(watch._port)
    output.handle(make_notice(9))  # what is new does not suffer for it
    watch.wait(lambda: [v for v in watch.violations() if v["type"] == "ended" and v["person"] == 4], "the others")
    watch.wait(lambda: 9 in [v["person"] for v in watch.violations()], "the new one")
    assert caplog.text.count("can't be read and is forgotten") == 4
    assert [v["person"] for v in watch.violations() if v["type"] == "ended"] == [4]
    output.stop()
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / OUTBOX_FILE)) as db:
        assert db.execute("SELECT count(*) FROM open_violation").fetchone() == (1,), "the new one"

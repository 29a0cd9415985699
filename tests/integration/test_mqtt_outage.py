"""Nothing committed is lost, and the order is kept: outages, a stalled network, clocks, disks and caps."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from mosquitto import Gate, Mosquitto, Subscriber, wait_until
from violations import JPEG, make_end, make_notice

from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.worker import OUTBOX_FILE

pytestmark = pytest.mark.broker
Make = Callable[..., MqttOutput]


def firsts(violations: list[dict[str, Any]]) -> list[str]:
    """Event ids in the order in which they were seen first."""
    return list(dict.fromkeys(found["event_id"] for found in violations))


def test_a_broker_killed_under_load_costs_nothing(
    broker: Mosquitto, watch: Subscriber, gate: Gate, mqtt_output: Make
) -> None:
    """The gate keeps the agent out until the subscriber is back: mosquitto keeps no messages for those away.

    A broker that acknowledges an event and dies before it passes it on loses it, whatever the agent does. So the
    last answers are kept back from the agent, and the broker dies once the subscriber has all that it acknowledged.
    """
    window = 8
    output = mqtt_output(gate.port, outbox={"replay_rate": 500, "inflight": window})
    watch.wait(lambda: watch.on("/availability"), "connected, and the worker knows: from here on events are live")
    sent: list[str] = []

    def violate(count: int) -> None:
        for _ in range(count):
            notice = make_notice(len(sent))
            sent.append(notice.violation.event_id)
            output.handle(notice)

    for _ in range(4):
        before = len(watch.violations())
        violate(30)
        watch.wait(lambda n=before: len(watch.violations()) > n, "some of them arrive")
        gate.mute()
        violate(30)  # more than a window
        # At most a window of answers is on its way to the agent while this reads what it knows of.
        watch.wait(
            lambda: len(firsts(watch.violations())) >= output.stats().committed - output.stats().depth + window,
            "what is acknowledged and what is on its way",
        )
        broker.kill(signal.SIGKILL)  # with a window full of events it took and nobody knows of
        gate.shut()
        violate(40)
        broker.start()
        watch.reconnect()
        gate.open()
        violate(20)
    watch.wait(lambda: set(firsts(watch.violations())) == set(sent), "all events arrive", 30)
    wait_until(lambda: output.stats().depth == 0, "the outbox is empty")
    found = watch.violations()
    print(f"tried {len(sent)}, lost {len(set(sent) - set(firsts(found)))}, repeated {len(found) - len(sent)}")
    assert firsts(found) == sent, "in order"
    again = [v for i, v in enumerate(found) if v["event_id"] in {w["event_id"] for w in found[:i]}]
    assert all(v["replayed"] for v in again), "a repeated message says so"
    assert any(not v["replayed"] for v in found), "while the broker is there, events are live"


def test_an_event_keeps_its_numbers_over_an_outage_and_a_restart(
    watch: Subscriber, gate: Gate, mqtt_output: Make
) -> None:
    gate.shut()
    output = mqtt_output(gate.port)
    notices = [make_end(person) for person in range(5)]
    for notice in notices:
        output.handle(notice)
    wait_until(lambda: output.stats().committed == 5, "committed")
    output.stop()
    gate.open()
    output = mqtt_output(gate.port)
    watch.wait(lambda: len(watch.violations()) == 5, "all five")
    output.handle(make_notice(6))
    watch.wait(lambda: len(watch.violations()) == 6, "a sixth")
    found = watch.violations()
    assert [v["event_id"] for v in found[:5]] == [n.violation.event_id for n in notices]
    assert [v["seq"] for v in found] == [1, 2, 3, 4, 5, 6]
    assert [v["replayed"] for v in found] == [True] * 5 + [False]


def test_catching_up_is_paced(watch: Subscriber, gate: Gate, mqtt_output: Make) -> None:
    gate.shut()
    output = mqtt_output(gate.port, outbox={"replay_rate": 20, "inflight": 8})
    for person in range(21):
        output.handle(make_notice(person))
    wait_until(lambda: output.stats().committed == 21, "committed")
    began = time.monotonic()
    gate.open()
    watch.wait(lambda: len(watch.violations()) == 21, "all")
    assert time.monotonic() - began > 0.99, "20 gaps of 50 ms"


def test_an_unanswered_publish_stays_in_the_outbox(watch: Subscriber, gate: Gate, mqtt_output: Make) -> None:
    """A network that swallows everything: no PUBACK, so nothing is delivered, whatever the socket took."""
    output = mqtt_output(gate.port)
    wait_until(lambda: output.stats().connected, "connected")
    gate.stall()
    for person in range(20):
        output.handle(make_end(person))
    wait_until(lambda: output.stats().committed == 20, "committed")
    assert output.stats().depth == 20
    began = time.monotonic()
    output.stop(2.0)
    assert time.monotonic() - began < 20, "the stop does not wait for a dead network"
    gate.shut()
    gate.open()
    mqtt_output(gate.port)
    watch.wait(lambda: len(firsts(watch.violations())) == 20, "all twenty")
    assert [v["person"] for v in watch.violations()] == list(range(20))


def test_a_connection_that_never_answers_is_given_up(gate: Gate, mqtt_output: Make) -> None:
    gate.stall()
    output = mqtt_output(gate.port, connect_timeout=0.3)
    wait_until(lambda: "no answer" in (output.stats().reason or ""), "given up")
    assert output.stats().failures > 0
    gate.shut()
    gate.open()
    wait_until(lambda: output.stats().connected, "connected once the network works")


def test_the_cap_drops_the_oldest_and_counts_them(
    watch: Subscriber, gate: Gate, mqtt_output: Make, tmp_path: Path
) -> None:
    gate.shut()
    output = mqtt_output(gate.port, snapshots=True, outbox={"max_bytes": 65_536, "replay_rate": 500})
    notices = [make_end(person) for person in range(400)]
    for notice in notices:
        output.handle(notice, JPEG)
    wait_until(lambda: output.stats().committed + output.stats().dropped_pictures >= 500, "all are taken in")
    wait_until(lambda: output.stats().dropped > 0, "the cap is reached")
    wait_until(lambda: output.stats().depth + output.stats().dropped == 400, "pictures went first")
    dropped = output.stats().dropped
    output.stop()
    size = sum(path.stat().st_size for path in (tmp_path / "state").glob(OUTBOX_FILE + "*"))
    assert size < 4 * 65_536, f"{size} bytes on the disk"
    gate.open()
    output = mqtt_output(gate.port, snapshots=True, outbox={"max_bytes": 65_536, "replay_rate": 500})
    watch.wait(lambda: len(watch.violations()) == 400 - dropped, "what was left")
    assert [v["person"] for v in watch.violations()] == list(range(dropped, 400)), "the newest, in order"
    assert output.stats().dropped == dropped, "the count survives the restart"


def test_a_damaged_outbox_is_set_aside_and_what_is_readable_saved(
    watch: Subscriber, gate: Gate, mqtt_output: Make, tmp_path: Path
) -> None:
    gate.shut()
    output = mqtt_output(gate.port)
    for person in range(200):
        output.handle(make_end(person))
    wait_until(lambda: output.stats().committed == 200, "committed")
    output.stop()
    path = tmp_path / "state" / OUTBOX_FILE
    size = path.stat().st_size
    with path.open("r+b") as file:  # one page in the middle
        file.seek(size // 2 // 4096 * 4096)
        file.write(os.urandom(4096))
    gate.open()
    output = mqtt_output(gate.port, outbox={"replay_rate": 1000})
    wait_until(lambda: "damaged and set aside" in (output.stats().alarm or ""), "the status says so")
    output.handle(make_notice(1000))
    watch.wait(lambda: watch.violations() and watch.violations()[-1]["person"] == 1000, "a new event")
    found = watch.violations()
    saved = [v["person"] for v in found if v["person"] < 1000]
    print(f"tried 200, saved {len(saved)}")
    assert saved == sorted(set(saved)), "in order, none twice"
    assert len(saved) >= 150, "one page of many"
    assert found[-1]["seq"] > 200, "numbers go on upwards"
    aside = [p.name for p in path.parent.glob("*.damaged-*Z")]
    assert len(aside) == 1
    assert f"damaged-{datetime.now(timezone.utc):%Y}" in aside[0], "it carries its date"


def test_an_outbox_that_is_no_database_at_all(watch: Subscriber, mqtt_output: Make, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / OUTBOX_FILE).write_bytes(os.urandom(20_000))
    output = mqtt_output(watch._port)
    output.handle(make_notice())
    watch.wait(lambda: watch.violations(), "the event")
    wait_until(lambda: "damaged" in (output.stats().alarm or ""), "the status says so")
    wait_until(lambda: output.stats().depth == 0, "delivered")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small file system here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_degrades_to_memory_with_an_alarm(
    small_disk: Path, watch: Subscriber, gate: Gate, mqtt_output: Make
) -> None:
    gate.shut()
    output = mqtt_output(gate.port, state_dir=small_disk, outbox={"replay_rate": 1000})
    sent: list[int] = []

    def violate(count: int) -> None:
        for _ in range(count):
            output.handle(make_notice(len(sent)))
            sent.append(len(sent))

    violate(100)
    wait_until(lambda: output.stats().committed == 100, "on the disk")
    with (small_disk / "ballast").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1024)):
                pass
        except OSError:
            pass
    violate(300)
    wait_until(lambda: output.stats().depth == 400, "in memory")
    wait_until(lambda: output.stats().alarm, "the alarm")
    assert "memory" in (output.stats().alarm or "")
    gate.open()
    watch.wait(lambda: len(watch.violations()) == 400, "all, disk or memory")
    print(f"tried 400, lost {400 - len({v['event_id'] for v in watch.violations()})}")
    assert [v["person"] for v in watch.violations()] == sent, "in order"
    (small_disk / "ballast").unlink()
    wait_until(lambda: output.stats().alarm is None, "the disk is used again")
    violate(5)
    watch.wait(lambda: len(watch.violations()) == 405, "and on")
    wait_until(lambda: output.stats().depth == 0, "delivered")


def test_a_read_only_disk_degrades_to_memory(small_disk: Path, watch: Subscriber, mqtt_output: Make) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    output = mqtt_output(watch._port, state_dir=small_disk)
    for person in range(10):
        output.handle(make_notice(person))
    watch.wait(lambda: len(watch.violations()) == 10, "all of them")
    wait_until(lambda: "memory" in (output.stats().alarm or ""), "the alarm")
    assert [v["seq"] for v in watch.violations()] == list(range(1, 11))


def test_the_file_is_private_and_used_by_one(mqtt_output: Make, gate: Gate, tmp_path: Path) -> None:
    gate.shut()
    output = mqtt_output(gate.port)
    output.handle(make_notice())
    wait_until(lambda: output.stats().committed == 1, "committed")
    path = tmp_path / "state" / OUTBOX_FILE
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite3.connect(path, timeout=0.1).execute("SELECT count(*) FROM message")


class Jumping:
    """A wall clock that tests move; `monotonic` is the real one."""

    def __init__(self) -> None:
        self.offset = timedelta(days=-400)
        self.synced = False

    def clock(self) -> Clock:
        return replace(Clock.system(), wall=self.now, synced=lambda: self.synced)

    def now(self) -> datetime:
        return datetime.now(timezone.utc) + self.offset


def test_times_are_corrected_once_the_clock_is_right(watch: Subscriber, gate: Gate, mqtt_output: Make) -> None:
    """A Pi without a battery boots 400 days ago, sees a violation, and learns the time before it has a network."""
    gate.shut()
    jumping = Jumping()
    output = mqtt_output(gate.port, clock=jumping.clock())
    before = datetime.now(timezone.utc)
    start = make_notice(1, occurred_at=jumping.now())
    begun = datetime.now(timezone.utc)
    output.handle(start)
    wait_until(lambda: output.stats().committed == 1, "committed")
    jumping.offset, jumping.synced = timedelta(0), True
    lasting = datetime.now(timezone.utc)
    output.handle(make_end(of=start))  # the violations room knows both by the wrong clock
    over = datetime.now(timezone.utc)
    gate.open()
    watch.wait(lambda: len(watch.violations()) == 2, "both")

    def lies_between(text: str, earliest: datetime, latest: datetime) -> bool:
        slack = timedelta(seconds=1)  # the clocks are read one after the other, and something may come between
        return earliest - slack <= datetime.fromisoformat(text.replace("Z", "+00:00")) <= latest + slack

    for found in watch.violations():
        assert lies_between(found["occurred_at"], before, begun)
        assert found["clock_synced"] is True
    assert lies_between(watch.violations()[1]["ended_at"], lasting, over)


def test_times_that_cannot_be_corrected_say_so(watch: Subscriber, mqtt_output: Make) -> None:
    jumping = Jumping()
    output = mqtt_output(watch._port, clock=jumping.clock())
    output.handle(make_notice(1, occurred_at=jumping.now()))
    watch.wait(lambda: watch.violations(), "the event")
    (found,) = watch.violations()
    assert found["clock_synced"] is False


def test_the_clock_of_an_earlier_boot_is_not_corrected(watch: Subscriber, gate: Gate, mqtt_output: Make) -> None:
    gate.shut()
    jumping = Jumping()
    wrong = jumping.now()
    output = mqtt_output(gate.port, clock=replace(jumping.clock(), boot_id="earlier-boot"))
    output.handle(make_end(1, occurred_at=wrong, ended_at=wrong))
    wait_until(lambda: output.stats().committed == 1, "committed")
    output.stop()
    jumping.synced = True
    gate.open()
    mqtt_output(gate.port, clock=jumping.clock())
    watch.wait(lambda: watch.violations(), "the event")
    (found,) = watch.violations()
    assert (found["boot_id"], found["clock_synced"], found["replayed"]) == ("earlier-boot", False, True)
    assert found["occurred_at"].startswith(f"{wrong:%Y-%m-%d}")


def test_jumps_of_a_right_clock_disturb_nothing(watch: Subscriber, mqtt_output: Make) -> None:
    jumping = Jumping()
    jumping.synced = True
    output = mqtt_output(watch._port, clock=jumping.clock(), outbox={"replay_rate": 1000})
    watch.wait(lambda: watch.on("/availability"), "connected, and the worker knows: from here on events are live")
    for person, days in enumerate((0, -3000, 3000, 1, -1)):
        jumping.offset = timedelta(days=days)
        output.handle(make_notice(person, occurred_at=jumping.now()))
    watch.wait(lambda: len(watch.violations()) == 5, "all")
    assert [v["person"] for v in watch.violations()] == list(range(5))
    assert [v["seq"] for v in watch.violations()] == [1, 2, 3, 4, 5]
    assert not any(v["replayed"] for v in watch.violations())

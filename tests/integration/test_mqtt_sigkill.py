"""A service that is killed at any moment loses nothing that it had committed, and leaves nothing open."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mosquitto import Mosquitto, Subscriber
from sigkill_agent import left_open

pytestmark = pytest.mark.broker

KILLS = 50

KILLED = """
import os, signal, sys
from pathlib import Path
from edge_agent.outputs.mqtt.messages import Draft
from edge_agent.outputs.mqtt.outbox import Outbox

Outbox(Path(sys.argv[1]), 1_000_000).append([Draft(b"{}", 1.0, True, opens="a")])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_journal_is_left_to_the_store_under_test(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    journal = (tmp_path / "outbox.sqlite3-wal").read_bytes()
    assert journal
    assert left_open(path) == 1
    assert (tmp_path / "outbox.sqlite3-wal").read_bytes() == journal


def test_fifty_kills_lose_no_committed_event(broker: Mosquitto, watch: Subscriber, tmp_path: Path) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    script = Path(__file__).with_name("sigkill_agent.py")
    run = subprocess.run(
        [sys.executable, str(script), str(broker.port), str(tmp_path), str(KILLS), str(seed)],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert run.returncode == 0, run.stderr
    print(run.stdout, end="")
    assert int(run.stdout.rpartition(":")[2]) > 0, "else no store had to recover a journal"
    committed = [tuple(line.split()) for line in (tmp_path / "ledger").read_text().splitlines()]

    def seen() -> tuple[set[str], set[str]]:
        """Ids of those that started, and of those that ended."""
        found = watch.violations()
        started, ended = ({v["event_id"] for v in found if v["type"] == kind} for kind in ("started", "ended"))
        return started, ended

    def all_there() -> bool:
        started, ended = seen()
        return started == ended and {event_id for _, event_id in committed} <= started

    deadline = time.monotonic() + 20
    while not all_there() and time.monotonic() < deadline:  # what is still missing then is counted as lost
        time.sleep(0.2)
    found = watch.violations()
    keys = [(v["type"], v["event_id"]) for v in found]
    lost = set(committed) - set(keys)
    late = {key for key in keys if key[0] == "ended"} - set(committed)
    print(f"seed {seed}: {KILLS} kills, tried {len(committed)} committed events, lost {len(lost)}, ", end="")
    print(f"seen {len(set(keys))}, repeated {len(keys) - len(set(keys))}, ended at a later start {len(late)}")
    assert len(committed) > KILLS
    assert not lost

    started, ended = seen()
    assert started == ended, "whatever began is over in the end"
    assert late, "else nothing was open when it was killed"
    firsts = list(dict.fromkeys(keys))
    position = {key: i for i, key in enumerate(firsts)}
    order = [position[key] for key in committed]
    assert order == sorted(order), "in the order in which they were committed"
    assert all(position["started", event_id] < position["ended", event_id] for event_id in ended)
    first_seq = {key: v["seq"] for key, v in reversed(list(zip(keys, found, strict=True)))}
    assert all(v["seq"] == first_seq[key] for key, v in zip(keys, found, strict=True)), (
        "a repeated event keeps its number, and none ends twice"
    )
    numbers = [first_seq[key] for key in firsts]
    assert numbers == sorted(set(numbers)), "numbers rise, none is given twice"
    before: set[tuple[str, str]] = set()
    for key, violation in zip(keys, found, strict=True):
        if key in before:
            assert violation["replayed"], "a repeated event says so"
        before.add(key)

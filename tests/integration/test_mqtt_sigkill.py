"""A service that is killed at any moment has lost nothing that it had committed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mosquitto import Mosquitto, Subscriber

pytestmark = pytest.mark.broker

KILLS = 50


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
    committed = (tmp_path / "ledger").read_text().split()
    with contextlib.suppress(AssertionError):  # what is still missing then is counted as lost
        watch.wait(lambda: set(committed) <= {v["event_id"] for v in watch.violations()}, "all of them", 10)
    found = watch.violations()
    ids = {v["event_id"] for v in found}
    lost = [event_id for event_id in committed if event_id not in ids]
    repeated = len(found) - len(ids)
    print(f"seed {seed}: {KILLS} kills, tried {len(committed)} committed events, lost {len(lost)}, ", end="")
    print(f"seen {len(ids)}, repeated {repeated}")
    assert len(committed) > KILLS
    assert lost == []

    firsts = list(dict.fromkeys(v["event_id"] for v in found))
    position = {event_id: i for i, event_id in enumerate(firsts)}
    order = [position[event_id] for event_id in committed]
    assert order == sorted(order), "in the order in which they were committed"
    first_seq = {v["event_id"]: v["seq"] for v in reversed(found)}
    assert all(v["seq"] == first_seq[v["event_id"]] for v in found), "a repeated event keeps its number"
    numbers = [first_seq[event_id] for event_id in firsts]
    assert numbers == sorted(set(numbers)), "numbers rise, none is given twice"
    seen: set[str] = set()
    for violation in found:
        if violation["event_id"] in seen:
            assert violation["replayed"], "a repeated event says so"
        seen.add(violation["event_id"])

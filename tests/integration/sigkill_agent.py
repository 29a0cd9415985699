"""Run by test_mqtt_sigkill.py: lets violations flow from real MQTT outputs and kills them at random moments.

Forks one child after the other, so that the imports are paid for once. Each child writes an event's type and id to
the ledger right after its commit; the ledger is appended to with single writes, which outlive a SIGKILL.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from violations import JPEG, make_end, make_notice

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.worker import OUTBOX_FILE
from edge_agent.outputs.switches import Switches
from edge_agent.types import ViolationNotice


def make_output(port: int, folder: Path) -> MqttOutput:
    settings = MqttSettings.model_validate(
        {
            "host": "127.0.0.1",
            "port": port,
            "reconnect_min": 0.02,
            "reconnect_max": 0.1,
            "outbox": {"replay_rate": 1000},
        }
    )
    output = MqttOutput(
        settings,
        DeviceSettings(id="door"),
        state_dir=folder,
        switches=Switches(folder / "switches.json"),
        on_buzzer_test=lambda: None,
        snapshots=True,
    )
    output.start()
    return output


def left_open(path: Path) -> int:
    """Violations that the one before began and could not end.

    Counted in a copy: whoever opens the file itself recovers it and removes its journal, and that is the work of
    the store under test.
    """
    if not path.exists():
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for file in path.parent.glob(path.name + "*"):
            if file.name.removeprefix(path.name) in ("", "-wal", "-shm"):
                shutil.copy(file, folder)
        return _count_left_open(Path(folder) / path.name)


def _count_left_open(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        tables = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'open_violation'").fetchone()[0]
        return int(db.execute("SELECT count(*) FROM open_violation").fetchone()[0]) if tables else 0


def be_killed(port: int, folder: Path, ledger: int) -> None:
    """Report violations until the kill comes; some of them end."""
    # `committed` counts messages: first the ends that this one owes, and an event with a picture is two
    waiting = [""] * left_open(folder / OUTBOX_FILE)
    output = make_output(port, folder)
    going_on: list[ViolationNotice] = []
    noted = 0
    number = 0
    while True:
        if going_on and random.random() < 0.45:
            notice = make_end(of=going_on.pop(random.randrange(len(going_on))))
            picture = False
        else:
            notice = make_notice(number % 1000)
            going_on.append(notice)
            picture = number % 3 == 0
        output.handle(notice, JPEG if picture else None)
        waiting += [""] * picture + [f"{notice.violation.type.value} {notice.violation.event_id}"]
        number += 1
        committed = output.stats().committed
        for line in waiting[noted:committed]:
            if line:
                os.write(ledger, line.encode() + b"\n")
        noted = max(noted, min(committed, len(waiting)))
        time.sleep(random.uniform(0, 0.004))


def main() -> None:
    port, folder, kills, seed = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    moments = random.Random(seed)
    hot = 0
    ledger = os.open(folder / "ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            random.seed()
            be_killed(port, folder, ledger)
        time.sleep(moments.uniform(0.02, 0.6))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.exit("a child ended before it was killed")
        journal = folder / f"{OUTBOX_FILE}-wal"
        hot += journal.exists() and journal.stat().st_size > 0
    print(f"journals left behind: {hot}")
    # what the last one left behind
    output = make_output(port, folder)
    deadline = time.monotonic() + 60
    time.sleep(0.2)
    while output.stats().depth or not output.stats().connected:
        if time.monotonic() > deadline:
            sys.exit(f"still {output.stats()}")
        time.sleep(0.02)
    output.stop()


if __name__ == "__main__":
    main()

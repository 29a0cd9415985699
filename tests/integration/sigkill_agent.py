"""Run by test_mqtt_sigkill.py: lets violations flow from real MQTT outputs and kills them at random moments.

Forks one child after the other, so that the imports are paid for once. Each child writes an event's id to the
ledger right after its commit; the ledger is appended to with single writes, which outlive a SIGKILL.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from violations import JPEG, make_notice

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.switches import Switches


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


def be_killed(port: int, folder: Path, ledger: int) -> None:
    """Report violations until the kill comes."""
    output = make_output(port, folder)
    waiting: list[str] = []
    noted = 0
    number = 0
    while True:
        notice = make_notice(number % 1000)
        picture = number % 3 == 0
        output.handle(notice, JPEG if picture else None)
        # `committed` counts messages: an event with a picture is two
        waiting += ([""] if picture else []) + [notice.violation.event_id]
        number += 1
        committed = output.stats().committed
        for event_id in waiting[noted:committed]:
            if event_id:
                os.write(ledger, event_id.encode() + b"\n")
        noted = max(noted, min(committed, len(waiting)))
        time.sleep(random.uniform(0, 0.004))


def main() -> None:
    port, folder, kills, seed = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    moments = random.Random(seed)
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

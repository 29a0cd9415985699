"""Run by test_mqtt_oversize.py: reports over MQTT, and tells by how much the memory it held at most has grown.

usage: memory_agent.py PORT FOLDER OPTIONS, where OPTIONS is the section `mqtt` as JSON. Answers each line of its
standard input with one of JSON, and ends with the input; `report` reports a violation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from violations import make_notice

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.switches import Switches


def kilobytes(name: str) -> int:
    """A figure of this process, as `VmRSS` or its peak `VmHWM`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


def main() -> None:
    port, folder, options = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    output = MqttOutput(
        MqttSettings.model_validate({"host": "127.0.0.1", "port": port, **options}),
        DeviceSettings(id="door"),
        state_dir=folder,
        switches=Switches(None),
        on_buzzer_test=lambda: None,
        snapshots=False,
    )
    before = kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    output.start()
    for line in sys.stdin:
        if line.strip() == "report":
            output.handle(make_notice())
        stats = output.stats()
        grown = kilobytes("VmHWM") - before
        told = {"grown": grown, "connected": stats.connected, "reason": stats.reason, "failures": stats.failures}
        told.update(depth=stats.depth, committed=stats.committed)
        print(json.dumps(told), flush=True)
    output.stop()


if __name__ == "__main__":
    main()

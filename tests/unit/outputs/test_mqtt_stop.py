"""The end of the MQTT output: what was handed over reaches the disk, if the disk gives any sign of life."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from violations import make_notice

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.outbox import Outbox
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.store import Store
from edge_agent.outputs.switches import Switches


def test_a_slow_disk_gets_the_time_to_take_the_latest_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = MqttOutput(
        MqttSettings(host="127.0.0.1", port=1),
        DeviceSettings(id="door"),
        state_dir=tmp_path,
        switches=Switches(tmp_path / "switches.json"),
        on_buzzer_test=lambda: None,
        snapshots=False,
    )
    change = Store.change

    def slow(store: Store, **what: Any) -> None:
        assert output._link._stopping.wait(60)  # longer, that is, than there is time for the goodbye
        change(store, **what)

    monkeypatch.setattr(Store, "change", slow)
    output.start()
    for person in range(3):
        output.handle(make_notice(person))
    output.stop(0.2, disk_timeout=60)
    monkeypatch.undo()
    outbox = Outbox(tmp_path / "outbox.sqlite3", 1_000_000)
    assert outbox.depth == 3
    outbox.close()

"""The MQTT output's worker without a broker: what was handed over reaches the disk, and the last words are said."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from mosquitto import wait_until
from violations import make_notice

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.inbox import Incoming, Up, Wake
from edge_agent.outputs.mqtt.outbox import Outbox
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.payloads import OFFLINE, ONLINE, StatusPayload
from edge_agent.outputs.mqtt.store import Store
from edge_agent.outputs.switches import Switches


def make(folder: Path) -> MqttOutput:
    return MqttOutput(
        MqttSettings(host="127.0.0.1", port=1),
        DeviceSettings(id="door"),
        state_dir=folder,
        switches=Switches(folder / "switches.json"),
        on_buzzer_test=lambda: None,
        snapshots=False,
    )


def waiting(folder: Path) -> int:
    outbox = Outbox(folder / "outbox.sqlite3", 1_000_000)
    try:
        return outbox.depth
    finally:
        outbox.close()


def test_a_slow_disk_gets_the_time_to_take_the_latest_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = make(tmp_path)
    change, join, waited_for = Store.change, output._worker.join, threading.Event()

    def slow(store: Store, **what: Any) -> None:
        assert waited_for.wait(60)  # longer, that is, than there is time for the goodbye
        change(store, **what)

    def patient(timeout: float) -> bool:
        if timeout > 1:
            waited_for.set()
        return join(timeout)

    monkeypatch.setattr(Store, "change", slow)
    monkeypatch.setattr(output._worker, "join", patient)
    output.start()
    for person in range(3):
        output.handle(make_notice(person))
    output.stop(0.2, disk_timeout=60)
    assert join(0), "all is on the disk when it returns"
    monkeypatch.undo()
    assert waiting(tmp_path) == 3


def test_no_event_suffers_for_what_came_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = make(tmp_path)

    def fault(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(output._worker, "_receive", fault)
    monkeypatch.setattr(output._worker, "_end_what_was_left_open", fault)
    output._inbox.put(Incoming("edge_agent/door/mute/set", b"ON", False))  # all in one go
    output.handle(make_notice(1))
    output._inbox.put(Incoming("edge_agent/door/mute/set", b"ON", False))
    output.handle(make_notice(2))
    output.start()
    wait_until(lambda: output.stats().depth == 2, "taken in")
    assert "a fault" in (output.stats().alarm or "")
    output._worker.stop(0.0, 0.0)
    output._inbox.put(Wake())
    output._worker.join(60)
    assert waiting(tmp_path) == 2


def test_a_connection_that_comes_up_at_the_end_learns_the_last_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = make(tmp_path)
    published: list[tuple[str, bytes | str]] = []

    def publish(topic: str, payload: bytes | str, *, retain: bool = False) -> None:
        published.append((topic.rpartition("/")[2], payload))

    monkeypatch.setattr(output._link, "publish", publish)
    output.publish_status(StatusPayload(version="1", uptime=1, camera="ok", health="ok"), connected=False)
    output._inbox.put(Up(1))
    output._worker.start()
    wait_until(lambda: any(topic == "state" for topic, _ in published), "connected")
    output._worker.stop(0.0, 0.0)
    output._inbox.put(Wake())
    assert output._worker.join(60)
    assert [topic for topic, _ in published[-2:]] == ["status", "availability"]
    assert published[-1][1] == OFFLINE
    assert ("availability", ONLINE) not in published, "there was no time for that"

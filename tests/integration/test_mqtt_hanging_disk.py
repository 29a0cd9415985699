"""A disk that hangs: it is told of, also to the broker, and the events go out once it is back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from mosquitto import Subscriber, wait_until
from violations import make_notice

from edge_agent.outputs.mqtt import output as mqtt
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.payloads import StatusPayload
from edge_agent.outputs.mqtt.store import Store

pytestmark = pytest.mark.broker


def test_a_disk_that_hangs_is_told_of_and_loses_nothing(
    watch: Subscriber, mqtt_output: Callable[..., MqttOutput], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "HANGS", 3.0)
    change, back = Store.change, threading.Event()
    output = mqtt_output(watch._port)
    output.publish_status(StatusPayload(version="1", uptime=1, camera="ok", health="ok"))
    watch.wait(lambda: watch.on("/availability"), "online")
    assert output.stats().alarm is None

    def hang(store: Store, **what: Any) -> None:
        assert back.wait(60)
        change(store, **what)

    monkeypatch.setattr(Store, "change", hang)
    output.handle(make_notice(1))
    try:
        wait_until(lambda: "does not answer" in (output.stats().alarm or ""), "an alarm")
        output.publish_status(StatusPayload(version="1", uptime=2, camera="ok", health="degraded", reason="disk"))
        watch.wait(lambda: watch.on("/status")[-1].json["reason"] == "disk", "the broker knows")
        assert not watch.on("/violation"), "it is committed first"
    finally:
        back.set()
    watch.wait(lambda: watch.on("/violation"), "the event")
    wait_until(lambda: output.stats().alarm is None, "all is well")


def test_a_quiet_worker_is_not_taken_for_a_hanging_one(
    watch: Subscriber, mqtt_output: Callable[..., MqttOutput], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = mqtt_output(watch._port)
    wait_until(lambda: output.stats().connected, "connected")
    assert output.stats().alarm is None
    monkeypatch.setattr(mqtt, "HANGS", 0.0)
    output.stop()
    assert output.stats().alarm is None, "it has ended"

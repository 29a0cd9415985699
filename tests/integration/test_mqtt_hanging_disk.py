"""A disk that hangs: it is told of, also to the broker, and the events go out once it is back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from mosquitto import Subscriber, wait_until
from violations import make_notice

from edge_agent.files import SLOW
from edge_agent.outputs.mqtt.inbox import Inbox
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.payloads import StatusPayload
from edge_agent.outputs.mqtt.store import Store

pytestmark = pytest.mark.broker


def test_a_disk_that_hangs_is_told_of_and_loses_nothing(
    watch: Subscriber,
    mqtt_output: Callable[..., MqttOutput],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    change, hangs, back = Store.change, threading.Event(), threading.Event()
    output = mqtt_output(watch._port)
    output.publish_status(StatusPayload(version="1", uptime=1, camera="ok", health="ok"))
    watch.wait(lambda: watch.on("/availability"), "online")
    assert output.stats().alarm is None

    def hang(store: Store, **what: Any) -> None:
        hangs.set()
        assert back.wait(60)
        change(store, **what)

    monkeypatch.setattr(Store, "change", hang)
    output.handle(make_notice(1))
    try:
        assert hangs.wait(60)
        assert output.stats().alarm is None, "for a moment any disk does"
        with monkeypatch.context() as later:
            later.setattr(Inbox, "unattended", SLOW)
            assert "does not answer" in (output.stats().alarm or "")
            for uptime in (2, 3):
                output.publish_status(degraded(uptime))
            watch.wait(lambda: watch.on("/status")[-1].json["uptime"] == 3, "the broker knows")
            assert not watch.on("/violation"), "it is committed first"
    finally:
        back.set()
    watch.wait(lambda: watch.on("/violation"), "the event")
    output.publish_status(StatusPayload(version="1", uptime=4, camera="ok", health="ok"))
    watch.wait(lambda: watch.on("/status")[-1].json["health"] == "ok", "all is well")
    assert output.stats().alarm is None
    said = [record.levelname for record in caplog.records if "disk" in record.getMessage()]
    assert said == ["ERROR", "INFO"]


def degraded(uptime: float) -> StatusPayload:
    return StatusPayload(version="1", uptime=uptime, camera="ok", health="degraded", reason="disk")


def test_an_output_that_has_ended_does_not_hang(
    watch: Subscriber, mqtt_output: Callable[..., MqttOutput], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = mqtt_output(watch._port)
    wait_until(lambda: output.stats().connected, "connected")
    output.stop()
    monkeypatch.setattr(Inbox, "unattended", SLOW)
    assert output.stats().alarm is None

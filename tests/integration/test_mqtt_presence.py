"""What Home Assistant is told when the device comes back: first how it is now, then that it is there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mosquitto import Gate, Subscriber, wait_until

from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.payloads import StatusPayload

pytestmark = pytest.mark.broker
Make = Callable[..., MqttOutput]


def status(violations: int, reason: str = "") -> StatusPayload:
    health = "degraded" if reason else "ok"
    return StatusPayload(version="1", uptime=1, camera="ok", health=health, violations=violations, reason=reason)


def told(watch: Subscriber, since: int) -> list[object]:
    """Violations of each status, and the availability, in their order."""
    seen = [m for m in watch.seen[since:] if m.topic.endswith(("/availability", "/status"))]
    seen = [m for m in seen if not m.topic.startswith("homeassistant/")]
    return [m.json["violations"] if m.topic.endswith("/status") else m.payload for m in seen]


def test_a_violation_that_is_over_does_not_come_back(watch: Subscriber, gate: Gate, mqtt_output: Make) -> None:
    output = mqtt_output(gate.port)
    wait_until(lambda: output.stats().connected, "connected")
    output.publish_status(status(1))
    watch.wait(lambda: watch.on("/availability") and watch.on("/status"), "somebody is without a mask")
    gate.shut()
    watch.wait(lambda: watch.on("/availability")[-1].payload == b"offline", "the will")
    output.publish_status(status(1, "no connection"), connected=False)
    since = len(watch.seen)
    gate.open()
    wait_until(lambda: output.stats().connected, "connected again")
    output.publish_status(status(0))
    watch.wait(lambda: b"online" in told(watch, since), "online")
    before = told(watch, since)[: told(watch, since).index(b"online")]
    assert before and before[-1] == 0, told(watch, since)


def test_without_a_new_status_the_old_one_is_told_and_then_online(
    watch: Subscriber, gate: Gate, mqtt_output: Make
) -> None:
    output = mqtt_output(gate.port)
    output.publish_status(status(1))
    watch.wait(lambda: watch.on("/availability"), "online")
    gate.shut()
    watch.wait(lambda: watch.on("/availability")[-1].payload == b"offline", "the will")
    output.publish_status(status(1), connected=False)
    since = len(watch.seen)
    gate.open()
    watch.wait(lambda: b"online" in told(watch, since), "online all the same")
    assert told(watch, since) == [1, b"online"]


def test_the_order_is_kept_after_a_birth_message(watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(watch._port)
    output.publish_status(status(2))
    watch.wait(lambda: watch.on("/availability"), "online")
    since = len(watch.seen)
    watch.publish("homeassistant/status", "online")
    watch.wait(lambda: b"online" in told(watch, since), "told again")
    assert told(watch, since) == [2, b"online"]
    topics = [m.topic for m in watch.seen[since:] if m.topic != "homeassistant/status"]
    assert topics[0] == "homeassistant/device/edge_agent_door/config"
    assert topics[-1] == "edge_agent/door/availability"

"""What the device says and hears at a plain broker: topics, retained states, switches, Home Assistant's birth."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from mosquitto import Mosquitto, Subscriber, wait_until
from violations import JPEG, make_notice

from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.payloads import StatusPayload
from edge_agent.outputs.switches import Switches
from edge_agent.types import Verdict, ViolationType

pytestmark = pytest.mark.broker
Make = Callable[..., MqttOutput]
BASE = "edge_agent/door"


def last(watch: Subscriber, topic: str) -> bytes | None:
    found = [m.payload for m in list(watch.seen) if m.topic == topic]
    return found[-1] if found else None


def retained(broker: Mosquitto) -> dict[str, bytes]:
    """What a newcomer finds at the broker."""
    newcomer = Subscriber(broker.port)
    newcomer.publish("edge_agent/marker/buzzer/test", "")  # comes after all that is retained
    newcomer.wait(lambda: newcomer.on("marker/buzzer/test"), "the marker")
    newcomer.close()
    return {m.topic: m.payload for m in newcomer.seen if m.retained}


def test_a_violation_arrives_with_all_its_fields(watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(watch._port)
    watch.wait(lambda: watch.on("/availability"), "connected, and the worker knows: from here on events are live")
    started = make_notice(7, kind=Verdict.INCORRECT, gender="female")
    ended_at = started.violation.occurred_at + timedelta(seconds=3)
    ended = make_notice(
        7,
        event_id=started.violation.event_id,
        type=ViolationType.ENDED,
        ended_at=ended_at,
        occurred_at=started.violation.occurred_at,
        monotonic=started.violation.monotonic + 3,
    )
    output.handle(started)
    output.handle(ended)
    watch.wait(lambda: len(watch.violations()) == 2, "two messages")
    first, second = watch.violations()
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert first == {
        "schema": 1,
        "event_id": started.violation.event_id,
        "type": "started",
        "kind": "incorrect",
        "person": 7,
        "confidence": 0.93,
        "votes": 8,
        "gender": "female",
        "box": [0.1, 0.2, 0.3, 0.4],
        "occurred_at": first["occurred_at"],
        "ended_at": None,
        "boot_id": boot_id,
        "seq": 1,
        "replayed": False,
        "clock_synced": first["clock_synced"],
    }
    assert datetime.fromisoformat(first["occurred_at"].replace("Z", "+00:00")) == (
        started.violation.occurred_at.replace(microsecond=started.violation.occurred_at.microsecond // 1000 * 1000)
    )
    assert (second["type"], second["event_id"], second["seq"]) == ("ended", first["event_id"], 2)
    assert second["occurred_at"] == first["occurred_at"]
    assert second["ended_at"] > second["occurred_at"]
    wait_until(lambda: (output.stats().committed, output.stats().depth) == (2, 0), "kept, and acknowledged")


def test_availability_follows_the_life_of_the_service(
    broker: Mosquitto, watch: Subscriber, mqtt_output: Make
) -> None:
    output = mqtt_output(broker.port)
    watch.wait(lambda: last(watch, f"{BASE}/availability") == b"online", "online")
    output.stop()
    watch.wait(lambda: last(watch, f"{BASE}/availability") == b"offline", "offline at a clean stop")
    mqtt_output(broker.port)
    watch.wait(lambda: last(watch, f"{BASE}/availability") == b"online", "online again")
    assert retained(broker)[f"{BASE}/availability"] == b"online"


def test_the_latest_status_is_retained_and_told_again_after_an_outage(
    broker: Mosquitto, watch: Subscriber, mqtt_output: Make
) -> None:
    output = mqtt_output(broker.port)
    wait_until(lambda: output.stats().connected, "connected")
    output.publish_status(StatusPayload(version="1", uptime=1, camera="ok", health="ok"))
    watch.wait(lambda: watch.on("/status"), "a status")
    broker.kill()
    wait_until(lambda: not output.stats().connected, "the loss is noticed")
    assert output.stats().reason
    output.publish_status(StatusPayload(version="1", uptime=2, camera="lost", health="failed", reason="no camera"))
    broker.start()
    watch.reconnect()
    watch.wait(lambda: watch.on("/status")[-1].json["camera"] == "lost", "the newer status")
    assert output.stats().reason is None


def test_switches_obey_answer_and_survive_a_restart(watch: Subscriber, mqtt_output: Make, tmp_path: Path) -> None:
    output = mqtt_output(watch._port)
    watch.wait(lambda: watch.on("/state"), "first states")
    for name, payload in (("detection", "OFF"), ("mute", "ON"), ("threshold", "0.8"), ("cooldown", "25")):
        watch.publish(f"{BASE}/{name}/set", payload)
        watch.wait(lambda n=name, p=payload: last(watch, f"{BASE}/{n}/state") == p.encode(), f"{name} answered")
    output.stop()

    switches = Switches(tmp_path / "state" / "switches.json")
    values = switches.get()
    assert (values.detection, values.mute, values.threshold, values.cooldown) == (False, True, 0.8, 25.0)
    before = len(watch.seen)
    mqtt_output(watch._port, switches=switches)
    watch.wait(lambda: len([m for m in watch.seen[before:] if m.topic.endswith("/state")]) >= 4, "states again")
    assert last(watch, f"{BASE}/detection/state") == b"OFF"
    assert last(watch, f"{BASE}/threshold/state") == b"0.8"


@pytest.mark.parametrize(
    ("name", "payload", "answer"),
    [
        ("detection", "on", b"ON"),
        ("mute", "true", b"OFF"),
        ("mute", "", b"OFF"),
        ("threshold", "0.2", b"0.65"),
        ("threshold", "nan", b"0.65"),
        ("threshold", "0,7", b"0.65"),
        ("cooldown", "-1", b"10"),
        ("cooldown", "inf", b"10"),
        ("cooldown", "\x00" * 5000, b"10"),
        ("detection", b"\xff\xfe", b"ON"),
    ],
)
def test_a_wrong_payload_is_answered_with_the_old_value(
    name: str, payload: str, answer: bytes, watch: Subscriber, mqtt_output: Make, caplog: pytest.LogCaptureFixture
) -> None:
    mqtt_output(watch._port)
    topic = f"{BASE}/{name}/state"
    watch.wait(lambda: last(watch, topic) is not None, "first state")
    before = len([m for m in watch.seen if m.topic == topic])
    watch.publish(f"{BASE}/{name}/set", payload)
    watch.wait(lambda: len([m for m in watch.seen if m.topic == topic]) > before, "an answer")
    assert last(watch, topic) == answer
    assert f"{name}/set refused" in caplog.text


def test_a_change_from_elsewhere_is_told(watch: Subscriber, mqtt_output: Make) -> None:
    switches = Switches(None)
    mqtt_output(watch._port, switches=switches)
    watch.wait(lambda: last(watch, f"{BASE}/mute/state") == b"OFF", "first state")
    switches.set("mute", True)
    watch.wait(lambda: last(watch, f"{BASE}/mute/state") == b"ON", "the change")


def test_retained_commands_are_ignored(watch: Subscriber, mqtt_output: Make) -> None:
    beeps: list[int] = []
    watch.publish(f"{BASE}/detection/set", "OFF", retain=True)
    watch.publish(f"{BASE}/buzzer/test", "", retain=True)
    watch.publish(f"{BASE}/buzzer/test", "x", retain=True)
    switches = Switches(None)
    mqtt_output(watch._port, switches=switches, beeps=beeps)
    watch.wait(lambda: last(watch, f"{BASE}/detection/state") == b"ON", "first state")
    # a live command afterwards: by then the retained ones have been looked at
    watch.publish(f"{BASE}/mute/set", "ON")
    watch.wait(lambda: last(watch, f"{BASE}/mute/state") == b"ON", "the live one is obeyed")
    assert switches.get().detection is True
    assert beeps == []


def test_the_test_beep(watch: Subscriber, mqtt_output: Make) -> None:
    beeps: list[int] = []
    output = mqtt_output(watch._port, beeps=beeps)
    watch.wait(lambda: watch.on("/state"), "ready")
    watch.publish(f"{BASE}/buzzer/test", "")
    wait_until(lambda: beeps == [1], "one beep")
    assert output.stats().connected


def test_a_snapshot_travels_before_its_event(watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(watch._port, snapshots=True)
    wait_until(lambda: output.stats().connected, "connected")
    for person in range(5):
        output.handle(make_notice(person), JPEG)
    watch.wait(lambda: len(watch.violations()) == 5, "five events")
    kinds = [m.topic.rpartition("/")[2] for m in watch.seen if m.topic.endswith(("/snapshot", "/violation"))]
    assert kinds == ["snapshot", "violation"] * 5
    assert watch.on("/snapshot")[0].payload == JPEG


def test_no_picture_leaves_while_snapshots_are_off(broker: Mosquitto, watch: Subscriber, mqtt_output: Make) -> None:
    broker.kill()
    earlier = mqtt_output(broker.port, snapshots=True)
    earlier.handle(make_notice(1), JPEG)
    wait_until(lambda: earlier.stats().committed == 2, "picture and event are kept")
    earlier.stop()
    broker.start()
    watch.reconnect()
    output = mqtt_output(broker.port, snapshots=False)
    output.handle(make_notice(2), JPEG)
    watch.wait(lambda: {v["person"] for v in watch.violations()} == {1, 2}, "both events")
    assert watch.on("/snapshot") == []


def test_discovery_comes_again_with_home_assistants_birth(watch: Subscriber, mqtt_output: Make) -> None:
    mqtt_output(watch._port)
    topic = "homeassistant/device/edge_agent_door/config"
    watch.wait(lambda: last(watch, topic), "described at connect")
    watch.wait(lambda: last(watch, f"{BASE}/availability") == b"online", "online")
    before = len(watch.seen)
    watch.publish("homeassistant/status", "offline")
    watch.publish("homeassistant/status", "online")
    watch.wait(lambda: any(m.topic == topic for m in watch.seen[before:]), "described again")
    watch.wait(lambda: any(m.topic.endswith("/availability") for m in watch.seen[before:]), "and online again")
    described = json.loads(last(watch, topic) or b"")
    assert described["components"]["snapshot"] == {"platform": "image"}, "removed while switched off"
    assert "availability_topic" not in described["components"]["connectivity"]


def test_without_discovery_home_assistant_is_left_alone(watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(watch._port, discovery={"enabled": False})
    watch.wait(lambda: last(watch, f"{BASE}/availability") == b"online", "online")
    watch.publish("homeassistant/status", "online")
    output.handle(make_notice())
    watch.wait(lambda: watch.violations(), "the event that came later")
    assert not [m for m in watch.seen if m.topic.startswith("homeassistant/device")]


def test_it_never_hears_itself(broker: Mosquitto, watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(broker.port)
    watch.wait(lambda: watch.on("/state"), "ready")
    output.handle(make_notice())
    watch.wait(lambda: watch.violations(), "an event")
    output.stop()
    subscriptions = [line for line in broker.log.read_text().splitlines() if "edge_agent_door 1 " in line]
    topics = {line.rpartition(" ")[2] for line in subscriptions}
    assert topics == {
        *(f"{BASE}/{name}/set" for name in ("detection", "mute", "threshold", "cooldown")),
        f"{BASE}/buzzer/test",
        "homeassistant/status",
    }


def test_the_stop_is_quick_with_a_dead_broker(broker: Mosquitto, mqtt_output: Make) -> None:
    broker.kill(signal.SIGKILL)
    output = mqtt_output(broker.port)
    output.handle(make_notice())
    began = time.monotonic()
    output.stop(60.0)
    assert time.monotonic() - began < 30, "there is nobody to use that time for"
    assert output.stats().committed == 1, "what was handed over is on the disk"


def test_times_are_utc(watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(watch._port, clock=replace(Clock.system(), synced=lambda: True))
    east = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2026, 11, 22, 5, 15, 0, 999_999, tzinfo=east)
    output.handle(make_notice(occurred_at=moment))
    watch.wait(lambda: watch.violations(), "an event")
    found: dict[str, Any] = watch.violations()[0]
    assert (found["occurred_at"], found["clock_synced"]) == ("2026-11-21T23:45:00.999Z", True)

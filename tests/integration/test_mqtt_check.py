"""`check` says what it has proven of a broker, and does no harm to what it finds there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_broker import FakeBroker
from mosquitto import LOOPBACK, PROGRAM, RIGHTS, Mosquitto, StrictMosquitto, Subscriber, probe, running, wait_until

from edge_agent.config import MqttSettings
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.payloads import StatusPayload

pytestmark = [pytest.mark.broker, pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")]
Make = Callable[..., MqttOutput]
DISCOVERY = "homeassistant/device/edge_agent_door/config"


@pytest.fixture
def strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictMosquitto]:
    monkeypatch.setenv("EDGE_AGENT_MQTT_PASSWORD", "geheim")
    with running(StrictMosquitto(tmp_path)) as broker:
        yield broker


def door(broker: Mosquitto, **changes: object) -> MqttSettings:
    options = {"host": LOOPBACK, "port": broker.port, "username": "door", "connect_timeout": 1, **changes}
    return MqttSettings.model_validate(options)


@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
def test_commands_that_would_not_arrive_are_found_out(protocol: str, strict: StrictMosquitto) -> None:
    """An `acl_file` never refuses a subscription: it withholds the messages."""
    line = probe(door(strict, protocol=protocol))
    assert (line.status, "commands reach it" in line.text) == ("ok", True), line
    assert f"tried: edge_agent/door/check, {DISCOVERY}" in line.text
    strict.allow(RIGHTS.replace("topic read edge_agent/door/+/set\n", ""))
    line = probe(door(strict, protocol=protocol))
    assert (line.status, "no commands reach it" in line.text) == ("fail", True), line
    assert "right to read edge_agent/door/detection/set" in line.hint and "buzzer/test" in line.hint
    strict.allow(RIGHTS.replace("+/set", "mute/set"))
    line = probe(door(strict, protocol=protocol))
    assert (line.status, "not all commands reach it" in line.text) == ("fail", True), line
    assert "cooldown/set" in line.hint and "mute" not in line.hint


def test_what_can_not_be_proven_is_not_claimed(strict: StrictMosquitto) -> None:
    """A user who may write what the service writes, and no more."""
    names = ("availability", "status", "violation", "snapshot", "check", "+/state")
    strict.allow(
        "".join(f"topic write edge_agent/door/{name}\n" for name in names)
        + RIGHTS.replace("topic write edge_agent/door/#\n", "")
    )
    line = probe(door(strict))
    assert line.status == "ok", line
    assert "whether commands arrive it does not tell" in line.text


def test_a_broker_that_leaves_instead_of_refusing() -> None:
    """MQTT 5 allows it (3.3.5 and 4.13), and that the user may not write commands is no fault."""
    fake = FakeBroker(leaves_at="/set")
    try:
        line = probe(MqttSettings(host=LOOPBACK, port=fake.port))
    finally:
        fake.close()
    assert line.status == "ok", line
    assert "whether commands arrive it does not tell" in line.text


@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
def test_a_description_that_would_be_refused_is_found_out(protocol: str, strict: StrictMosquitto) -> None:
    strict.allow(RIGHTS.replace(f"topic write {DISCOVERY}\n", ""))
    line = probe(door(strict, protocol=protocol))
    assert (line.status, f"may not publish {DISCOVERY}" in line.text) == ("fail", True), line
    assert f"right to write {DISCOVERY}" in line.hint
    assert probe(door(strict, protocol=protocol, discovery={"enabled": False})).status == "ok"


def test_a_broker_that_retains_nothing_is_found_out(tmp_path: Path, mqtt_output: Make) -> None:
    """It refuses the service at once, for its will is to be retained."""
    with running(Mosquitto(tmp_path, "retain_available false")) as broker:
        line = probe(door(broker, username=None))
        assert (line.status, "retain" in line.text) == ("fail", True), line
        assert "retain_available" in line.hint
        output = mqtt_output(broker.port)
        wait_until(lambda: "retain_available" in (output.stats().reason or ""), f"as the service; {output.stats()}")


@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
def test_it_does_no_harm(
    protocol: str,
    broker: Mosquitto,
    watch: Subscriber,
    mqtt_output: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:
    beeps: list[int] = []
    output = mqtt_output(broker.port, beeps=beeps)
    output.publish_status(StatusPayload(version="1", uptime=1, camera="ok", health="ok"))
    watch.wait(lambda: watch.on("/availability"), "online")
    described = watch.on(DISCOVERY)[-1].payload
    before = len(watch.seen)
    caplog.clear()
    line = probe(door(broker, username=None, protocol=protocol))
    assert line.status == "ok", line
    watch.publish("edge_agent/marker/buzzer/test", "")
    watch.wait(lambda: watch.on("marker/buzzer/test"), "the marker")
    own = ("/check", "/set", DISCOVERY, "marker/buzzer/test")
    assert [m.topic for m in watch.seen[before:] if not m.topic.endswith(own)] == []
    assert {m.payload for m in watch.seen[before:] if m.topic == DISCOVERY} == {described}, "nothing new"
    assert (beeps, caplog.text) == ([], "")
    newcomer = Subscriber(broker.port)
    newcomer.wait(lambda: newcomer.on(DISCOVERY) and newcomer.on("/availability"), "what is retained")
    newcomer.close()
    assert [m.payload for m in newcomer.on("/availability")] == [b"online"]
    assert newcomer.on("/check") == []
    wills = re.findall(r"Will message specified.*\n\d+: \s*(\S+)", broker.log.read_text())
    assert set(wills) == {"edge_agent/door/availability", "edge_agent/door/check"}, (
        "it says offline for nobody else"
    )

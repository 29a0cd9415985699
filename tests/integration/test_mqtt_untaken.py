"""A broker that does not take what it should retain: nobody would notice, were it not for the health."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from fake_broker import FakeBroker
from mosquitto import PROGRAM, RIGHTS, StrictMosquitto, Subscriber, wait_until
from violations import make_notice

from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.payloads import StatusPayload
from edge_agent.service.health import assess

pytestmark = [pytest.mark.broker, pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")]
Make = Callable[..., MqttOutput]
DISCOVERY = "homeassistant/device/edge_agent_door/config"
WITHOUT_DISCOVERY = RIGHTS.replace(f"topic write {DISCOVERY}\n", "")


@pytest.fixture
def strict(strict: StrictMosquitto, monkeypatch: pytest.MonkeyPatch) -> StrictMosquitto:
    monkeypatch.setenv("EDGE_AGENT_MQTT_PASSWORD", "geheim")
    return strict


def warnings(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [r.message for r in caplog.records if r.levelno >= logging.WARNING and word in r.message]


def test_a_refused_description_is_said_until_it_is_taken(
    strict: StrictMosquitto, owner: Subscriber, mqtt_output: Make, caplog: pytest.LogCaptureFixture
) -> None:
    strict.allow(WITHOUT_DISCOVERY)
    output = mqtt_output(strict.port, username="door", refused_retry=0.1)
    wait_until(lambda: DISCOVERY in (output.stats().reason or ""), f"the reason; {output.stats()}")
    stats = output.stats()
    health = assess(camera="ok", broker_connected=stats.connected, broker_reason=stats.reason)
    assert health.state == "degraded" and "Not authorized" in str(health) and "right to write" in str(health)
    output.handle(make_notice())
    owner.wait(lambda: owner.violations(), "events go out all the same")
    assert output.stats().alarm is None
    denied = strict.log.read_text().count("Denied PUBLISH")
    wait_until(lambda: strict.log.read_text().count("Denied PUBLISH") >= denied + 3, "tried again and again")
    assert len(warnings(caplog, DISCOVERY)) == 1, "logged once"
    strict.allow(RIGHTS)
    owner.wait(lambda: owner.on(DISCOVERY), "described without a restart")
    wait_until(lambda: output.stats().reason is None, "all is well")
    assert output.stats().failures == 0


def test_refused_states_are_named_and_told_later(
    strict: StrictMosquitto, owner: Subscriber, mqtt_output: Make
) -> None:
    strict.allow(RIGHTS.replace("edge_agent/door/#", "edge_agent/door/violation"))
    output = mqtt_output(strict.port, username="door", refused_retry=0.1)
    output.publish_status(StatusPayload(version="1", uptime=1, camera="ok", health="ok"))
    wait_until(lambda: "and 3 more" in (output.stats().reason or ""), f"six topics; {output.stats()}")
    assert "edge_agent/door/detection/state" in (output.stats().reason or "")
    strict.allow(RIGHTS)
    owner.wait(lambda: len({m.topic for m in owner.seen if m.topic != DISCOVERY}) == 6, "all of them")
    wait_until(lambda: output.stats().reason is None, "all is well")


def test_another_connection_warns_again(mqtt_output: Make, caplog: pytest.LogCaptureFixture) -> None:
    broker = FakeBroker(refuses={"/availability": 0x97, "/mute/state": 0x83})
    try:
        output = mqtt_output(broker.port, protocol="5")
        wait_until(lambda: len(warnings(caplog, "door/availability")) == 1, "warned")
        reason = output.stats().reason or ""
        assert "door/availability (Quota exceeded): raise" in reason, reason
        assert "door/mute/state (Implementation specific error): look into the broker's log" in reason
        broker.refuses = {"/availability": 0x97}
        for peer in broker._peers:
            peer.close()
        wait_until(lambda: len(warnings(caplog, "door/availability")) == 2, "warned again")
        wait_until(lambda: "availability" in (output.stats().reason or ""), "and said")
        assert "mute" not in (output.stats().reason or ""), "that was another connection"
    finally:
        broker.close()

"""Brokers that take nothing beyond a certain length, and `check` on them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_broker import FakeBroker
from mosquitto import LOOPBACK, PROGRAM, Mosquitto, Subscriber, probe, running, wait_until
from violations import make_notice

from edge_agent.config import MqttSettings
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.paho_client import publish_size

pytestmark = [pytest.mark.broker, pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")]
Make = Callable[..., MqttOutput]
DISCOVERY = "homeassistant/device/edge_agent_door/config"


def picture(size: int) -> bytes:
    return b"\xff\xd8\xff\xe0" + b"x" * (size - 4)


def warnings(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [r.message for r in caplog.records if r.levelno == logging.WARNING and word in r.message]


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Callable[[str], Mosquitto]]:
    made: list[Mosquitto] = []

    def make(line: str) -> Mosquitto:
        made.append(Mosquitto(tmp_path, line).start())
        return made[-1]

    yield make
    for broker in made:
        broker.kill()


def test_a_picture_beyond_the_limit_is_dropped_and_its_event_sent(
    limited: Callable[[str], Mosquitto], mqtt_output: Make, caplog: pytest.LogCaptureFixture
) -> None:
    broker = limited("max_packet_size 20000")
    watch = Subscriber(broker.port)
    output = mqtt_output(broker.port, snapshots=True)
    for person, size in enumerate((50_000, 60_000, 5000)):
        output.handle(make_notice(person), picture(size))
    watch.wait(lambda: [v["person"] for v in watch.violations()] == [0, 1, 2], "all events")
    wait_until(lambda: output.stats().committed == 6 and output.stats().depth == 0, "nothing waits")
    watch.wait(lambda: watch.on("/availability"), "online")
    assert (output.stats().failures, output.stats().dropped_pictures, output.stats().reason) == (0, 2, None)
    assert [len(m.payload) for m in watch.on("/snapshot")] == [5000]
    assert [m.payload for m in watch.on("/availability")] == [b"online"]
    (told,) = warnings(caplog, "picture")
    assert "20000 bytes" in told and "max_packet_size" in told and "snapshots.max_bytes" in told
    watch.close()


def test_a_description_beyond_the_limit_is_skipped_and_said(
    limited: Callable[[str], Mosquitto], mqtt_output: Make, caplog: pytest.LogCaptureFixture
) -> None:
    broker = limited("max_packet_size 4000")
    watch = Subscriber(broker.port)
    output = mqtt_output(broker.port)
    wait_until(lambda: DISCOVERY in (output.stats().reason or ""), f"the reason; {output.stats()}")
    assert "4000 bytes" in (output.stats().reason or "") and "max_packet_size" in (output.stats().reason or "")
    output.handle(make_notice())
    watch.wait(lambda: watch.violations() and watch.on("/availability"), "the event, and online")
    watch.publish("homeassistant/status", "online")
    watch.wait(lambda: len(watch.on("/availability")) == 2, "told again")
    assert {m.payload for m in watch.on("/availability")} == {b"online"}
    assert output.stats().failures == 0
    assert len(warnings(caplog, DISCOVERY)) == 1
    watch.close()


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("length", [20_000, 1_999_000, 2_200_000])
def test_the_limit_is_kept_to_the_byte(
    length: int, beyond: int, fake: Callable[..., FakeBroker], mqtt_output: Make
) -> None:
    """It counts the whole packet, whose head grows with its length (MQTT 5, 3.2.2.3.6 and 1.5.5)."""
    broker = fake(maximum_packet_size=publish_size("edge_agent/door/snapshot", length))
    output = mqtt_output(broker.port, snapshots=True)
    output.handle(make_notice(), picture(length + beyond))
    wait_until(lambda: output.stats().committed == 2 and output.stats().depth == 0, "all is seen to")
    (conversation,) = broker.conversations
    assert [len(body) for body in conversation.bodies("/snapshot")] == [length] * (1 - beyond)
    assert len(conversation.bodies("/violation")) == 1
    assert conversation.longest <= publish_size("edge_agent/door/snapshot", length)
    if not beyond:
        assert conversation.longest == publish_size("edge_agent/door/snapshot", length)


def test_an_event_beyond_the_limit_is_kept(fake: Callable[..., FakeBroker], mqtt_output: Make) -> None:
    broker = fake(maximum_packet_size=300)
    output = mqtt_output(broker.port, refused_retry=0.1)
    output.handle(make_notice())
    wait_until(lambda: "an event is longer than the 300 bytes" in (output.stats().reason or ""), "the reason")
    assert "max_packet_size" in (output.stats().alarm or "")
    wait_until(lambda: broker.conversations[0].bodies("/availability"), "online")
    assert (len(broker.conversations), output.stats().depth) == (1, 1)


def test_a_broker_that_says_why_it_leaves_is_believed(fake: Callable[..., FakeBroker], mqtt_output: Make) -> None:
    """No other client of the same id is suspected."""
    broker = fake(maximum_packet_size=4000, says_so=False)
    output = mqtt_output(broker.port, reconnect_max=0.05)
    reasons: set[str] = set()

    def tried() -> bool:
        stats = output.stats()
        reasons.add(stats.reason or "")
        return stats.failures >= 6

    wait_until(tried, "it comes again and again")
    assert any("Packet too large" in reason and "max_packet_size" in reason for reason in reasons), reasons
    assert not [reason for reason in reasons if "another client" in reason]


def test_a_refusal_that_the_standard_does_not_know_is_one_all_the_same(
    limited: Callable[[str], Mosquitto], mqtt_output: Make
) -> None:
    """mosquitto answers with 0x95 what is beyond its `message_size_limit`; paho would end the connection."""
    broker = limited("message_size_limit 4000")
    watch = Subscriber(broker.port)
    output = mqtt_output(broker.port, snapshots=True)
    wait_until(lambda: DISCOVERY in (output.stats().reason or ""), f"the reason; {output.stats()}")
    assert "message_size_limit" in (output.stats().reason or "")
    output.handle(make_notice(), picture(5000))
    watch.wait(lambda: watch.violations(), "the event")
    wait_until(lambda: output.stats().committed == 2 and output.stats().depth == 0, "nothing waits")
    assert (output.stats().failures, output.stats().dropped_pictures) == (0, 1)
    line = probe(MqttSettings(host=LOOPBACK, port=broker.port))
    assert (line.status, DISCOVERY in line.text, "message_size_limit" in line.hint) == ("fail", True, True)
    watch.close()


# -- check ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
def test_check_compares_the_limit_with_the_description(
    protocol: str, limited: Callable[[str], Mosquitto], tmp_path: Path
) -> None:
    broker = limited("max_packet_size 4000")
    line = probe(MqttSettings(host=LOOPBACK, port=broker.port, protocol=protocol))
    assert (line.status, "4000 bytes" in line.text, "max_packet_size" in line.hint) == ("fail", True, True), line
    assert "an event" not in line.text
    quiet = MqttSettings.model_validate({"host": LOOPBACK, "port": broker.port, "discovery": {"enabled": False}})
    assert probe(quiet).status == "ok", "without discovery there is no description"
    (enough,) = re.findall(r"limit to (\d+)", line.hint)
    with running(Mosquitto(tmp_path, f"max_packet_size {enough}")) as better:
        line = probe(MqttSettings(host=LOOPBACK, port=better.port, protocol=protocol))
        assert line.status == "ok", line


def test_check_compares_the_limit_with_an_event_and_a_picture(limited: Callable[[str], Mosquitto]) -> None:
    line = probe(MqttSettings(host=LOOPBACK, port=limited("max_packet_size 500").port))
    assert (line.status, "an event" in line.text) == ("fail", True), line
    broker = limited("max_packet_size 20000")
    line = probe(MqttSettings(host=LOOPBACK, port=broker.port), enabled=True, max_bytes=100_000)
    assert (line.status, "larger pictures" in line.text) == ("warn", True), line
    assert "snapshots.max_bytes" in line.hint
    assert probe(MqttSettings(host=LOOPBACK, port=broker.port), enabled=True, max_bytes=19_000).status == "ok"

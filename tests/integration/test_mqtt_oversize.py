"""A message of many megabytes on a topic of commands, which a board with little memory must not take in."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_broker import Liar
from mosquitto import LOOPBACK, PROGRAM, Mosquitto, Subscriber, free_port, probe, running, wait_until

from edge_agent.config import MqttSettings
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.paho_client import LONGEST_PACKET

pytestmark = [pytest.mark.broker, pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")]
Make = Callable[..., MqttOutput]

TOPIC = "edge_agent/door/mute/set"
HUGE = 20_000_000
ROOM = 6000
"""Kilobytes by which a process that connects and reports may grow."""


def publish(port: int, topic: str, payload: bytes, folder: Path, *, retain: bool = True) -> None:
    """From another process, so that this one does not hold it."""
    file = folder / "payload"
    file.write_bytes(payload)
    content = ["-f", str(file)] if payload else ["-n"]
    where = ["-h", LOOPBACK, "-p", str(port), "-t", topic, "-q", "1"]
    subprocess.run(["mosquitto_pub", *where, *content, *(["-r"] if retain else [])], check=True, timeout=60)


class Measured:
    """An output in a process of its own."""

    def __init__(self, port: int, folder: Path, **options: object) -> None:
        script = Path(__file__).with_name("memory_agent.py")
        defaults = {"reconnect_min": 0.05, "reconnect_max": 0.3, **options}
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(port), str(folder), json.dumps(defaults)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, line: str = "tell") -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def wait(self, condition: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while not condition(found := self.ask()):
            assert time.monotonic() < deadline, f"waited in vain: {what}; {found}"
            time.sleep(0.01)
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


@pytest.fixture
def ways(tmp_path: Path) -> Iterator[dict[str, int]]:
    """The ports of one broker by transport."""
    plain = free_port()
    lines = ("protocol websockets", "allow_anonymous true", f"listener {plain} {LOOPBACK}")
    with running(Mosquitto(tmp_path, *lines)) as broker:
        yield {"websockets": broker.port, "tcp": plain}


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Callable[..., Measured]]:
    made: list[Measured] = []

    def make(port: int, **options: object) -> Measured:
        made.append(Measured(port, tmp_path / "state", **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("transport", ["tcp", "websockets"])
def test_a_broker_of_mqtt_5_is_asked_to_keep_it(
    transport: str, ways: dict[str, int], measured: Callable[..., Measured], tmp_path: Path
) -> None:
    publish(ways["tcp"], TOPIC, b"x" * HUGE, tmp_path)
    agent = measured(ways[transport], transport=transport, protocol="5")
    agent.ask("report")
    agent.wait(lambda told: told["committed"] == 1 and told["depth"] == 0, "the event is delivered")
    publish(ways["tcp"], TOPIC, b"x" * HUGE, tmp_path, retain=False)
    agent.ask("report")
    told = agent.wait(lambda told: told["committed"] == 2 and told["depth"] == 0, "the next too")
    assert told["connected"] and told["failures"] == 0
    assert told["grown"] < ROOM, "the message was taken in"


def test_with_mqtt_3_over_websockets_it_ends_the_connection(
    ways: dict[str, int], measured: Callable[..., Measured], tmp_path: Path
) -> None:
    publish(ways["tcp"], TOPIC, b"x" * HUGE, tmp_path)
    agent = measured(ways["websockets"], transport="websockets", protocol="3.1.1", refused_retry=0.3)
    agent.ask("report")
    told = agent.wait(lambda told: told["failures"] >= 4, "it tries again and again")
    assert told["grown"] < ROOM, "the message was taken in"
    told = agent.wait(lambda told: not told["connected"], "given up for a while")
    assert f"{HUGE // 1_000_000} MB on {TOPIC}" in told["reason"]
    publish(ways["tcp"], TOPIC, b"", tmp_path)
    agent.wait(lambda told: told["connected"] and told["depth"] == 0, "removed, all is well")


def test_with_mqtt_3_it_is_thrown_away_as_it_comes(
    ways: dict[str, int], measured: Callable[..., Measured], tmp_path: Path
) -> None:
    publish(ways["tcp"], TOPIC, b"x" * HUGE, tmp_path)
    agent = measured(ways["tcp"], protocol="3.1.1")
    agent.ask("report")
    agent.wait(lambda told: told["committed"] == 1 and told["depth"] == 0, "the event is delivered all the same")
    publish(ways["tcp"], TOPIC, b"x" * HUGE, tmp_path, retain=False)
    agent.ask("report")
    told = agent.wait(lambda told: told["committed"] == 2 and told["depth"] == 0, "the next too")
    assert told["connected"] and told["failures"] == 0
    assert told["grown"] < ROOM, "the message was taken in"


def test_it_is_logged_once(
    ways: dict[str, int], mqtt_output: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(ways["tcp"], TOPIC, b"x" * HUGE, tmp_path)
    output = mqtt_output(ways["tcp"], protocol="3.1.1")

    def warned() -> list[str]:
        return [record.message for record in caplog.records if "not taken in" in record.message]

    wait_until(warned, "the warning")
    output.stop()
    mqtt_output(ways["tcp"], protocol="3.1.1")
    wait_until(lambda: len(warned()) == 2, "another start tells of it again")
    text = warned()[0]
    assert f"{HUGE // 1_000_000} MB on {TOPIC}" in text and f"mosquitto_pub -t '{TOPIC}' -r -n" in text


def test_commands_after_it_are_obeyed(ways: dict[str, int], mqtt_output: Make, tmp_path: Path) -> None:
    watch = Subscriber(ways["tcp"])
    mqtt_output(ways["tcp"], protocol="3.1.1")
    watch.wait(lambda: watch.on("/availability"), "online")
    publish(ways["tcp"], TOPIC, b"x" * (LONGEST_PACKET + 1), tmp_path, retain=False)
    publish(ways["tcp"], TOPIC, b"ON", tmp_path, retain=False)
    watch.wait(lambda: watch.on("/mute/state")[-1].payload == b"ON", "muted")
    assert [m.payload for m in watch.on("/availability")] == [b"online"], "the connection held"
    watch.close()


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_what_is_long_but_no_longer_than_allowed_is_taken(
    protocol: str, ways: dict[str, int], mqtt_output: Make, tmp_path: Path
) -> None:
    watch = Subscriber(ways["tcp"])
    output = mqtt_output(ways["tcp"], protocol=protocol)
    watch.wait(lambda: watch.on("/mute/state"), "online")
    publish(ways["tcp"], TOPIC, b"x" * (LONGEST_PACKET - 200), tmp_path, retain=False)
    watch.wait(lambda: len(watch.on("/mute/state")) >= 2, "answered with the old value")
    assert output.stats().failures == 0
    watch.close()


CONNACK = {"3.1.1": b"\x20\x02\x00\x00", "5": b"\x20\x03\x00\x00\x00"}
LENGTH = b"\xff\xff\xff\x7f"  # the longest there is


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_an_answer_of_that_length_is_nonsense_and_ends_the_connection(protocol: str, mqtt_output: Make) -> None:
    broker = Liar(CONNACK[protocol] + b"\x40" + LENGTH + b"\x00\x01")
    output = mqtt_output(broker.port, protocol=protocol)
    wait_until(lambda: broker.connections >= 3, "tried again")
    assert output.stats().failures >= 2
    broker.close()


def test_check_tells_of_it_too(ways: dict[str, int], tmp_path: Path) -> None:
    publish(ways["tcp"], TOPIC, b"x" * HUGE, tmp_path)
    line = probe(MqttSettings(host=LOOPBACK, port=ways["tcp"], protocol="3.1.1"))
    assert (line.status, TOPIC in line.text) == ("warn", True), line
    assert "-r -n" in line.hint
    line = probe(MqttSettings(host=LOOPBACK, port=ways["tcp"], protocol="5"))
    assert line.status == "ok", line

"""The newest version of MQTT that the broker knows is spoken: only in 5 does it tell of events that it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fake_broker import LOOPBACK, FakeBroker
from mosquitto import probe, wait_until

from edge_agent.config import MqttSettings
from edge_agent.demo.broker import _amqtt, _free_port
from edge_agent.outputs.mqtt.output import MqttOutput

Make = Callable[..., MqttOutput]


class Versioned(FakeBroker):
    """Knows some versions of MQTT (4 is 3.1.1), and refuses others or leaves without a word."""

    def __init__(self, *known: int, polite: bool = True) -> None:
        self.asked: list[int] = []
        self.silent: set[int] = set()
        self.known = known
        self._polite = polite
        super().__init__()

    def _connack(self, version: int) -> bytes:
        self.asked.append(version)
        if version in self.silent:
            return b""
        if version in self.known:
            return super()._connack(version)
        if not self._polite:
            raise ConnectionAbortedError
        return b"\x20\x02\x00\x01"  # MQTT 3.1.1, 3.2.2.3: unacceptable protocol version


@pytest.fixture
def versioned() -> Iterator[Callable[..., Versioned]]:
    brokers: list[Versioned] = []

    def make(*known: int, polite: bool = True) -> Versioned:
        brokers.append(Versioned(*known, polite=polite))
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.close()


def test_the_newest_version_is_spoken(versioned: Callable[..., Versioned], mqtt_output: Make) -> None:
    broker = versioned(4, 5)
    output = mqtt_output(broker.port)
    wait_until(lambda: output.stats().connected, "connected")
    assert broker.asked == [5]


def test_an_old_broker_is_spoken_to_in_its_own_version(
    versioned: Callable[..., Versioned], mqtt_output: Make, caplog: pytest.LogCaptureFixture
) -> None:
    broker = versioned(4)
    output = mqtt_output(broker.port, reconnect_min=60, refused_retry=60)  # without a pause, that is
    wait_until(lambda: output.stats().connected, "connected")
    assert (broker.asked, output.stats().failures) == ([5, 4], 0)
    assert "will not tell of events that it refuses" in caplog.text


def test_one_that_hangs_up_may_be_starting_up(versioned: Callable[..., Versioned], mqtt_output: Make) -> None:
    broker = versioned(4, polite=False)
    output = mqtt_output(broker.port, reconnect_min=0.05)
    wait_until(lambda: output.stats().connected, "connected")
    assert broker.asked == [5, 5, 4]
    for peer in broker._peers:
        peer.close()
    wait_until(lambda: len(broker.asked) >= 5 and output.stats().connected, "connected again")
    assert broker.asked[3:] == [5, 4], "it is known by now"

    young = versioned(4, 5)
    young.known = (4,)
    young._polite = False
    other = mqtt_output(young.port, reconnect_min=0.5)
    wait_until(lambda: young.asked == [5], "asked once, in vain")
    young.known = (4, 5)
    wait_until(lambda: other.stats().connected, "connected")
    assert young.asked == [5, 5]


def test_a_real_broker_of_that_kind(mqtt_output: Make) -> None:
    """amqtt, that is, which knows MQTT 3.1.1 alone."""
    pytest.importorskip("amqtt", reason="needs the demo extra")
    port = _free_port()
    with _amqtt(port):
        output = mqtt_output(port, reconnect_min=60, connect_timeout=1)
        wait_until(lambda: output.stats().connected, "connected")
        line = probe(MqttSettings(host=LOOPBACK, port=port))
        assert line.status == "ok" and "MQTT 3.1.1" in line.text, line


def test_a_broker_that_learns_is_spoken_to_in_the_new_version(
    versioned: Callable[..., Versioned], mqtt_output: Make
) -> None:
    broker = versioned(4)
    output = mqtt_output(broker.port, reconnect_min=0.05)
    wait_until(lambda: output.stats().connected, "connected")
    broker.known = (4, 5)
    for peer in broker._peers:
        peer.close()
    wait_until(lambda: len(broker.asked) >= 3 and output.stats().connected, "connected again")
    assert broker.asked[2:] == [5]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_version_that_was_chosen_is_the_only_one(
    version: str, versioned: Callable[..., Versioned], mqtt_output: Make
) -> None:
    number = {"5": 5, "3.1.1": 4}[version]
    broker = versioned(9 - number)
    output = mqtt_output(broker.port, protocol=version, reconnect_min=0.05, refused_retry=0.05)
    wait_until(lambda: output.stats().failures >= 2, "refused twice")
    assert set(broker.asked) == {number}


def test_a_broker_that_hangs_is_not_taken_for_an_old_one(
    versioned: Callable[..., Versioned], mqtt_output: Make
) -> None:
    broker = versioned(4, 5)
    output = mqtt_output(broker.port, reconnect_min=0.05, connect_timeout=0.3)
    wait_until(lambda: output.stats().connected, "connected")
    broker.silent = {5}
    for peer in broker._peers:
        peer.close()
    wait_until(lambda: len(broker.asked) >= 4, "asked again and again")
    broker.silent = set()
    wait_until(lambda: output.stats().connected, "connected again")
    assert set(broker.asked) == {5}, "in 3.1.1 it would lose what is refused, and nobody would know"


def test_one_that_hung_at_the_start_is_asked_once_more(
    versioned: Callable[..., Versioned], mqtt_output: Make, caplog: pytest.LogCaptureFixture
) -> None:
    broker = versioned(4, 5)
    broker.silent = {5}
    output = mqtt_output(broker.port, reconnect_min=0.05, connect_timeout=0.3, refused_retry=0.3)
    wait_until(lambda: broker.asked == [5, 4] and output.stats().connected, "connected")
    broker.silent = set()
    wait_until(lambda: broker.asked == [5, 4, 5] and output.stats().connected, "connected in the newest version")

    old = versioned(4)
    old.silent = {5}
    caplog.clear()
    other = mqtt_output(old.port, reconnect_min=0.05, connect_timeout=0.3, refused_retry=0.3)
    wait_until(lambda: old.asked == [5, 4, 5, 4] and other.stats().connected, "asked once more, in vain")
    assert "once more whether it knows MQTT 5" in caplog.text


def test_an_old_broker_in_the_place_of_a_newer_one_is_found_out(
    versioned: Callable[..., Versioned], mqtt_output: Make
) -> None:
    broker = versioned(4, 5)
    output = mqtt_output(broker.port, reconnect_min=0.02, reconnect_max=0.02, refused_retry=60)
    wait_until(lambda: output.stats().connected, "connected")
    broker.known = (4,)
    broker._polite = False
    for peer in broker._peers:
        peer.close()
    wait_until(lambda: len(broker.asked) >= 2 and output.stats().connected, "connected again")
    assert (broker.asked[:-1], broker.asked[-1]) == ([5] * 21, 4), "not before many attempts"


def test_attempts_that_were_answered_between_do_not_add_up(
    versioned: Callable[..., Versioned], mqtt_output: Make
) -> None:
    broker = versioned(4, 5)
    output = mqtt_output(broker.port, reconnect_min=0.02, reconnect_max=0.02, refused_retry=60)
    for asked in (1, 17, 33):
        wait_until(lambda: output.stats().connected, "connected")
        assert set(broker.asked) == {5}, "15 attempts without an answer are not many"
        broker.known, broker._polite = (4,), False
        for peer in broker._peers:
            peer.close()
        wait_until(lambda least=asked + 15: len(broker.asked) >= least, "asked in vain")
        broker.known = (4, 5)

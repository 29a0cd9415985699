"""Brokers that acknowledge nothing, or let only few messages be on their way at once."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from fake_broker import FakeBroker
from mosquitto import Gate, Subscriber, wait_until
from violations import JPEG, make_notice

from edge_agent.outputs.mqtt.output import MqttOutput

Make = Callable[..., MqttOutput]


def persons(bodies: list[bytes]) -> list[int]:
    return [json.loads(body)["person"] for body in bodies]


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_a_broker_that_acknowledges_nothing_is_left_and_given_everything_again(
    protocol: str, fake: Callable[..., FakeBroker], mqtt_output: Make
) -> None:
    broker = fake(acknowledges=False)
    output = mqtt_output(broker.port, protocol=protocol, outbox={"ack_timeout": 0.5, "replay_rate": 1000})
    for person in range(20):
        output.handle(make_notice(person))
    wait_until(lambda: "does not acknowledge events" in (output.stats().reason or ""), "the reason")
    wait_until(lambda: "does not acknowledge events" in (output.stats().alarm or ""), "which is an alarm, too")
    wait_until(lambda: len(broker.conversations) >= 3, "it goes and comes back, again and again")
    assert output.stats().failures >= 2
    assert output.stats().depth == 20, "nothing counts as delivered"
    first, second = broker.conversations[:2]
    assert not first.goodbye, "a goodbye would void the will, and the device be online all the time"
    assert persons(first.bodies("/violation"))[:8] == list(range(8))
    assert persons(second.bodies("/violation"))[:8] == list(range(8)), "sent again"
    assert all(json.loads(body)["replayed"] for body in second.bodies("/violation"))

    broker.acknowledges = True
    wait_until(lambda: output.stats().depth == 0, "all is taken at last")
    wait_until(lambda: output.stats().reason is None and output.stats().alarm is None, "all is well")
    wait_until(lambda: output.stats().connected, "connected")
    last = persons(broker.conversations[-1].bodies("/violation"))
    # All of them, unless the first answers came in the moment in which the connection before was left.
    assert last == list(range(20))[-len(last) :]


def test_a_broker_that_is_slow_but_goes_on_is_given_its_time(
    fake: Callable[..., FakeBroker], mqtt_output: Make
) -> None:
    """The last of many takes longer than the deadline, but none of them does so by itself."""
    broker = fake(idle=0.05)
    # The hundredth is answered after 5 s; 2 s leave a busy machine forty times what one takes.
    output = mqtt_output(broker.port, outbox={"ack_timeout": 2, "inflight": 100, "replay_rate": 1000})
    wait_until(lambda: output.stats().connected, "connected")
    for person in range(100):
        output.handle(make_notice(person))
    wait_until(lambda: output.stats().committed == 100 and output.stats().depth == 0, "all are taken")
    assert len(broker.conversations) == 1
    assert output.stats().failures == 0


@pytest.mark.broker
def test_a_network_that_keeps_the_answers_back(watch: Subscriber, gate: Gate, mqtt_output: Make) -> None:
    output = mqtt_output(gate.port, outbox={"ack_timeout": 0.5})
    watch.wait(lambda: watch.on("/availability"), "connected, and the worker knows: from here on events are live")
    gate.mute()
    output.handle(make_notice(7))
    watch.wait(lambda: watch.violations(), "the broker hears it")
    wait_until(lambda: output.stats().failures, "the connection is given up")
    watch.wait(lambda: watch.on("/availability")[-1].payload == b"offline", "the will")
    gate.shut()
    gate.open()
    wait_until(lambda: output.stats().depth == 0, "delivered at last")
    assert [v["replayed"] for v in watch.violations()] == [False, *[True] * (len(watch.violations()) - 1)]


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_is_on_its_way_than_the_broker_allows(
    most: int, fake: Callable[..., FakeBroker], mqtt_output: Make
) -> None:
    """MQTT 5 lets a broker name a Receive Maximum, and throw out whoever exceeds it."""
    broker = fake(acknowledges=False, receive_maximum=most)
    output = mqtt_output(broker.port, protocol="5", outbox={"replay_rate": 1000}, snapshots=True)
    for person in range(30):
        output.handle(make_notice(person), JPEG)
    wait_until(lambda: broker.conversations and broker.conversations[0].most_unanswered == most, "made use of")
    broker.acknowledges = True
    wait_until(lambda: output.stats().committed == 60 and output.stats().depth == 0, "all are taken")
    (conversation,) = broker.conversations
    assert conversation.most_unanswered == most, "and not exceeded"
    assert persons(conversation.bodies("/violation")) == list(range(30)), "in order"


def test_a_broker_that_allows_much_gets_no_more_than_before(
    fake: Callable[..., FakeBroker], mqtt_output: Make
) -> None:
    broker = fake(acknowledges=False, receive_maximum=1000)
    output = mqtt_output(broker.port, protocol="5", outbox={"inflight": 4, "replay_rate": 1000})
    for person in range(30):
        output.handle(make_notice(person))
    wait_until(lambda: broker.conversations and broker.conversations[0].bodies("/violation"), "events")
    broker.acknowledges = True
    wait_until(lambda: output.stats().committed == 30 and output.stats().depth == 0, "all are taken")
    assert broker.conversations[0].most_unanswered <= 20

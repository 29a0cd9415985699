"""Brokers that talk nonsense or go silent, and faults in the process itself: the output comes back."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_broker import Liar
from mosquitto import LOOPBACK, Gate, Mosquitto, Subscriber, probe, wait_until
from violations import make_end, make_notice

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt import client, worker
from edge_agent.outputs.mqtt.inbox import Inbox
from edge_agent.outputs.mqtt.outbox import Outbox
from edge_agent.outputs.mqtt.output import MqttOutput
from edge_agent.outputs.mqtt.payloads import OFFLINE
from edge_agent.outputs.mqtt.store import Store
from edge_agent.outputs.switches import Switches

pytestmark = pytest.mark.broker
Make = Callable[..., MqttOutput]

CONNACK = b"\x20\x02\x00\x00"
NONSENSE = {
    "a remaining length without end": CONNACK + b"\x30\xff\xff\xff\xff\xff",
    "a topic longer than its packet": CONNACK + b"\x30\x04\xff\xff\x00\x00",
    "a topic that is no UTF-8": CONNACK + b"\x30\x05\x00\x03\xff\xfe\xfd",
    "an acknowledgement of half a length": CONNACK + b"\x40\x01\x00",
    "a web server": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "nothing, and the end": b"",
}


@pytest.fixture(params=list(NONSENSE))
def liar(request: pytest.FixtureRequest) -> Iterator[Liar]:
    found = Liar(NONSENSE[request.param])
    yield found
    found.close()


def test_nonsense_is_survived(liar: Liar, mqtt_output: Make) -> None:
    output = mqtt_output(liar.port, connect_timeout=0.5, keepalive=5)
    output.handle(make_notice())
    wait_until(lambda: liar.connections >= 3, f"it tries again; {output.stats()}")
    wait_until(lambda: output.stats().committed == 1, "the disk has the event")
    assert output.stats().depth == 1, "nothing of that was an acknowledgement"


def test_check_survives_nonsense(liar: Liar) -> None:
    line = probe(MqttSettings(host=LOOPBACK, port=liar.port, connect_timeout=0.5))
    assert line.status == "fail"


def test_a_network_that_dies_silently_is_noticed(watch: Subscriber, gate: Gate, mqtt_output: Make) -> None:
    output = mqtt_output(gate.port, keepalive=5)
    wait_until(lambda: output.stats().connected, "connected")
    gate.stall()
    output.handle(make_notice())
    wait_until(lambda: not output.stats().connected, "noticed by the keep-alive", 20)
    gate.shut()
    gate.open()
    watch.wait(lambda: watch.violations(), "the event, once the network is back")


def test_reconnecting_leaves_no_sockets_behind(watch: Subscriber, gate: Gate, mqtt_output: Make) -> None:
    output = mqtt_output(gate.port, reconnect_max=0.05)
    watch.wait(lambda: watch.on("/availability"), "connected, and the outbox open")
    files = Path("/proc/self/fd")
    gc.collect()
    gc.disable()  # so that nothing hides behind a collection that happens to come in time
    try:
        before = len(list(files.iterdir()))
        for _ in range(15):
            gate.shut()
            wait_until(lambda: not output.stats().connected, "cut")
            gate.open()
            wait_until(lambda: output.stats().connected, "connected again")
        wait_until(lambda: len(list(files.iterdir())) <= before, "no more open files than before", 10)
    finally:
        gc.enable()


def test_a_fault_in_the_worker_loses_no_event_and_is_said(broker: Mosquitto, watch: Subscriber) -> None:
    def fault() -> None:
        raise RuntimeError("a loose wire")

    output = MqttOutput(
        MqttSettings(host=LOOPBACK, port=broker.port),
        DeviceSettings(id="door"),
        state_dir=broker.log.parent / "state",
        switches=Switches(None),
        on_buzzer_test=fault,
        snapshots=False,
    )
    output.start()
    watch.wait(lambda: watch.on("/state"), "ready")
    watch.publish("edge_agent/door/buzzer/test", "")
    wait_until(lambda: "a loose wire" in (output.stats().alarm or ""), "the alarm")
    output.handle(make_notice())
    watch.wait(lambda: watch.violations(), "later events")
    output.stop()


def test_an_outbox_that_cannot_even_be_made_is_said_and_tried_again(
    watch: Subscriber, mqtt_output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def make(*arguments: Any, **options: Any) -> Outbox:
        tries.append(1)
        if len(tries) < 3:
            raise MemoryError
        return Outbox(*arguments, **options)

    attended: list[int] = []
    monkeypatch.setattr(worker, "Outbox", make)
    monkeypatch.setattr(worker, "REOPEN_AFTER", 0.5)
    monkeypatch.setattr(Inbox, "attended", lambda _: attended.append(len(tries)))
    output = mqtt_output(watch._port)
    output.handle(make_notice())
    wait_until(lambda: "MemoryError" in (output.stats().alarm or ""), "the alarm")
    watch.wait(lambda: watch.violations(), "the event")
    wait_until(lambda: (output.stats().depth, output.stats().alarm) == (0, None), "delivered, and all is well")
    assert attended == [0, 1, 2], "this is no disk that hangs"


def test_the_stop_does_not_wait_for_an_outbox_that_cannot_be_made(
    watch: Subscriber, mqtt_output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(*_arguments: Any, **_options: Any) -> Outbox:
        raise MemoryError

    monkeypatch.setattr(worker, "Outbox", make)
    monkeypatch.setattr(worker, "REOPEN_AFTER", 600.0)
    output = mqtt_output(watch._port)
    wait_until(lambda: output.stats().alarm and output.stats().connected, "the alarm")
    output.stop(30.0)
    assert output._worker.join(0), "it did not wait for the next try"


def test_a_flood_of_commands_does_not_stop_the_events(watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(watch._port)
    watch.wait(lambda: watch.on("/state"), "ready")
    for _ in range(300):
        watch._client.publish("edge_agent/door/mute/set", b"x" * 20_000, qos=0)
    output.handle(make_notice())
    watch.wait(lambda: watch.violations(), "the event")
    wait_until(lambda: output.stats().depth == 0, "acknowledged")


def test_a_disk_that_hangs_at_the_stop_leaves_no_device_online(
    watch: Subscriber, mqtt_output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The goodbye voids the will: without `offline` before it, a dead device would be retained as online."""
    output = mqtt_output(watch._port)
    wait_until(lambda: [m.payload for m in watch.on("/availability")] == [b"online"], "online")
    hangs, release, change = threading.Event(), threading.Event(), Store.change

    def slow(store: Store, **what: Any) -> None:
        hangs.set()
        release.wait(60)
        change(store, **what)

    monkeypatch.setattr(Store, "change", slow)
    output.handle(make_notice())
    assert hangs.wait(20)
    began = time.monotonic()
    output.stop(1.0)
    took = time.monotonic() - began
    try:
        watch.wait(lambda: watch.on("/availability")[-1].payload == b"offline", "offline")
        newcomer = Subscriber(watch._port)
        newcomer.wait(lambda: newcomer.on("/availability"), "what is retained")
        newcomer.close()
        assert [(m.payload, m.retained) for m in newcomer.on("/availability")] == [(b"offline", True)]
        assert took < 20, "the stop does not wait for the disk"
    finally:
        release.set()
        output.stop(5)


def test_an_end_that_comes_while_the_goodbye_is_said_is_kept_for_the_next_start(
    watch: Subscriber, mqtt_output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vision worker on a slow board may hand over its last word late."""
    output = mqtt_output(watch._port)
    wait_until(lambda: output.stats().connected, "connected")
    publish = output._link.publish

    def late(topic: str, payload: bytes | str, **how: Any) -> int | None:
        if topic.endswith("/availability") and payload == OFFLINE:
            output.handle(make_end(event_id="late"))
        return publish(topic, payload, **how)

    monkeypatch.setattr(output._link, "publish", late)
    output.stop(2)
    assert not watch.violations()
    mqtt_output(watch._port)
    watch.wait(lambda: watch.violations(), "the event")
    assert [event["event_id"] for event in watch.violations()] == ["late"]


def test_a_password_that_is_no_text_is_said_and_can_be_mended(
    watch: Subscriber, mqtt_output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_AGENT_MQTT_PASSWORD", os.fsdecode(b"p\xe4ss"))
    output = mqtt_output(watch._port, username="door", refused_retry=0.2)
    wait_until(lambda: "UTF-8" in (output.stats().reason or ""), "the reason")
    monkeypatch.setenv("EDGE_AGENT_MQTT_PASSWORD", "pass")
    wait_until(lambda: output.stats().connected, "connected")


def test_no_fault_in_the_link_ends_it(
    watch: Subscriber, mqtt_output: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []
    build = client.build_client

    def fault(*arguments: Any) -> client.Client:
        tries.append(1)
        if len(tries) < 4:
            raise RuntimeError("can't start new thread")
        return build(*arguments)

    monkeypatch.setattr(client, "build_client", fault)
    output = mqtt_output(watch._port, refused_retry=0.1)
    wait_until(lambda: len(tries) == 1, "the first try")
    wait_until(lambda: "RuntimeError" in (output.stats().reason or ""), "the reason")
    wait_until(lambda: output.stats().connected, "connected")
    assert [record.levelname for record in caplog.records if "a fault" in record.message] == ["ERROR"], "once"

"""Brokers that talk nonsense or go silent, and faults in the process itself: the output comes back."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mosquitto import LOOPBACK, Gate, Mosquitto, Subscriber, wait_until
from violations import make_notice

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.check import probe
from edge_agent.outputs.mqtt.output import MqttOutput
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


class Liar:
    """Listens like a broker and answers every connection with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            peer.recv(4096)
            if self._answer:
                peer.sendall(self._answer)
                self._kept.append(peer)  # stays open: the client has to notice by itself
            else:
                peer.close()
            self.connections += 1

    def close(self) -> None:
        self._listener.close()
        for peer in self._kept:
            peer.close()


@pytest.fixture(params=list(NONSENSE))
def liar(request: pytest.FixtureRequest) -> Iterator[Liar]:
    found = Liar(NONSENSE[request.param])
    yield found
    found.close()


def test_nonsense_is_survived(liar: Liar, mqtt_output: Make) -> None:
    output = mqtt_output(liar.port, connect_timeout=0.5, keepalive=5)
    output.handle(make_notice())
    wait_until(lambda: liar.connections >= 3, f"it tries again; {output.stats()}")
    assert output.stats().depth == 1, "nothing of that was an acknowledgement"


def test_check_survives_nonsense(liar: Liar) -> None:
    line = probe(
        MqttSettings(host=LOOPBACK, port=liar.port, connect_timeout=0.5), DeviceSettings(id="door", name="Door")
    )
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


def test_a_flood_of_commands_does_not_stop_the_events(watch: Subscriber, mqtt_output: Make) -> None:
    output = mqtt_output(watch._port)
    watch.wait(lambda: watch.on("/state"), "ready")
    for _ in range(300):
        watch._client.publish("edge_agent/door/mute/set", b"x" * 20_000, qos=0)
    output.handle(make_notice())
    watch.wait(lambda: watch.violations(), "the event")
    wait_until(lambda: output.stats().depth == 0, "acknowledged")

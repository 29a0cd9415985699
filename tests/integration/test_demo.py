"""The demo: everything a newcomer sees in the first minute."""

from __future__ import annotations

import subprocess
import sys
import threading

import paho.mqtt.client as mqtt
import paho.mqtt.publish
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.demo import broker as demo_broker

pytestmark = pytest.mark.broker


def test_the_demo_receives_violations_and_sums_up() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "demo"], capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"type":"started"' in done.stdout
    assert '"type":"ended"' in done.stdout
    assert "buzzer" in done.stdout
    for column in ("frames", "people", "violations started", "beeps", "frames/s"):
        assert column in done.stdout
    assert "Traceback" not in done.stderr


def test_the_demo_ends_when_it_is_told_to() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "demo", "--seconds", "3"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_number_of_seconds_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "demo", "--seconds", "0"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "--seconds" in done.stderr


def test_without_mosquitto_the_library_is_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_broker.shutil, "which", lambda *_args, **_named: None)
    with demo_broker.broker() as (name, port):
        assert name == "amqtt"
        arrived = threading.Event()
        subscribed = threading.Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_connect = lambda c, *_: c.subscribe("a/b", qos=1)
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = lambda *_: arrived.set()
        client.connect("127.0.0.1", port)
        client.loop_start()
        try:
            assert subscribed.wait(10)
            paho.mqtt.publish.single("a/b", "x", qos=1, hostname="127.0.0.1", port=port)
            assert arrived.wait(10)
        finally:
            client.disconnect()
            client.loop_stop()

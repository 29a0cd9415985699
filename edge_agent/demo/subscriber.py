"""A subscriber like any dashboard: prints each message as it arrives."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

_CONNECT_SECONDS = 10.0


class Subscriber:
    """Keeps the violations that arrived; `show` is called for each message with its topic and text."""

    def __init__(self, show: Callable[[str, str], None]) -> None:
        self._show = show
        self.violations: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def listening(self, port: int) -> Iterator[None]:
        """Be subscribed to everything on a loopback broker while the block runs. Raises TimeoutError."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="demo-subscriber")
        subscribed = threading.Event()
        client.on_connect = lambda c, *_: c.subscribe("#", qos=1)
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = lambda _client, _data, message: self._take(message)
        client.connect("127.0.0.1", port)
        client.loop_start()
        try:
            if not subscribed.wait(_CONNECT_SECONDS):
                raise TimeoutError("the demo's subscriber could not subscribe")
            yield
        finally:
            client.disconnect()
            client.loop_stop()

    def _take(self, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith("/violation"):
            self.violations.append(json.loads(message.payload))
        if message.topic.endswith("/snapshot"):
            text = f"JPEG of {len(message.payload)} bytes"
        else:
            text = message.payload.decode("utf-8", "replace")
        self._show(message.topic, text)

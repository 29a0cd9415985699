"""A short conversation with the broker, for commands: every step of it is waited for."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.errors import ConfigError, EdgeAgentError
from edge_agent.outputs.mqtt.commands import CHECK
from edge_agent.outputs.mqtt.factory import build_client, client_id, versions
from edge_agent.outputs.mqtt.paho_client import Client, TooLargeError
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.mqtt.troubles import (
    Trouble,
    explain_end,
    explain_error,
    explain_oversize,
    explain_refusal,
    explain_too_large,
    is_unknown_version,
)


class BrokerError(EdgeAgentError):
    """The broker can't be reached, or does not let this device do what it must."""

    def __init__(self, trouble: Trouble, *, other_version: bool = False) -> None:
        """`other_version`: the broker may know another version of MQTT."""
        super().__init__(str(trouble))
        self.trouble = trouble
        self.other_version = other_version


_GONE = Trouble("the broker closed the connection", "look into its log")


class Talk:
    """One connection whose every step is waited for."""

    def __init__(self, client: Client, identity: str, version: str, timeout: float) -> None:
        """`identity`: the client's id; `version`: of MQTT; `timeout`: seconds that an answer may take."""
        self.version = version
        """Of MQTT."""
        self._client = client
        self._identity = identity
        self._timeout = timeout
        self._answers: dict[int, list[ReasonCode]] = {}
        self._heard: set[str] = set()
        self._gone: Trouble | None = None
        self._news = threading.Condition()
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.on_end = self._on_end

    @property
    def oversize(self) -> Trouble | None:
        """What came that was too long to be taken in."""
        return explain_oversize(self._client.oversize) if self._client.oversize is not None else None

    @property
    def longest_packet(self) -> int | None:
        """Bytes of the longest packet that the broker takes; None: it names no limit."""
        return self._client.longest_packet

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> ReasonCode:
        """Publish with QoS 1 and return the broker's answer.

        Raises:
            BrokerError: none comes, or it takes nothing of that length.
        """
        try:
            mid = self._client.publish_fitting(topic, payload, retain=retain).mid
        except TooLargeError as error:
            raise BrokerError(explain_too_large(topic, error.limit)) from None
        return self._answer(mid)[0]

    def hear(self, topics: Collection[str]) -> set[str]:
        """Wait until each of these topics has carried something, and say which of them did in the time there is."""
        with self._news:
            self._news.wait_for(lambda: self._heard.issuperset(topics) or self._gone, self._timeout)
            return self._heard.intersection(topics)

    def subscribe(self, topics: tuple[str, ...]) -> list[ReasonCode]:
        """Subscribe and return the broker's answer to each topic. Raises `BrokerError` if none comes."""
        return self._answer(self._client.subscribe([(topic, 1) for topic in topics])[1])

    def unsubscribe(self, topics: tuple[str, ...]) -> None:
        """End subscriptions; what is retained there has come by then. Raises `BrokerError` if no answer comes."""
        self._answer(self._client.unsubscribe(list(topics))[1])

    def _answer(self, mid: int | None) -> list[ReasonCode]:
        """The answer to a message; `mid`: None if the connection was gone when it was to be sent."""
        with self._news:
            self._news.wait_for(lambda: mid is None or mid in self._answers or self._gone, self._timeout)
            if mid in self._answers:
                return self._answers.pop(mid)
            if self._client.overwhelmed and self.oversize is not None:
                raise BrokerError(self.oversize)
            if mid is None or self._gone is not None:
                raise BrokerError(self._gone or _GONE)
            raise BrokerError(Trouble(f"the broker gave no answer within {self._timeout:g} s", "look into its log"))

    def _on_publish(self, _c: mqtt.Client, _u: Any, mid: int, code: ReasonCode, _p: Any) -> None:
        self._note(mid, [code])

    def _on_subscribe(self, _c: mqtt.Client, _u: Any, mid: int, codes: list[ReasonCode], _p: Any) -> None:
        self._note(mid, codes)

    def _on_message(self, _c: mqtt.Client, _u: Any, message: mqtt.MQTTMessage) -> None:
        if message.payload == CHECK:
            with self._news:
                self._heard.add(message.topic)
                self._news.notify_all()

    def _on_disconnect(self, _c: mqtt.Client, _u: Any, flags: Any, code: ReasonCode, _p: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self._end(explain_end(code, self._identity))

    def _on_end(self) -> None:
        self._end(_GONE)

    def _end(self, trouble: Trouble) -> None:
        with self._news:
            self._gone = self._gone or trouble
            self._news.notify_all()

    def _note(self, mid: int, codes: list[ReasonCode]) -> None:
        with self._news:
            self._answers[mid] = codes
            self._news.notify_all()


@contextmanager
def converse(settings: MqttSettings, device: DeviceSettings, version: str | None = None) -> Iterator[Talk]:
    """Connect under an id of its own, so that a running service is not thrown out; in this version of MQTT, or in
    the one that the service would take. Like the service it leaves a will, with the same flags, for a broker may
    refuse those; but on `<base>/check`, and an empty one, lest it says that a running service is offline.

    Raises:
        BrokerError: no connection; its text says why and what to do.
    """
    identity = client_id(settings, device.id) + "_check"
    asked = (version,) if version else versions(settings)
    for spoken in asked:
        try:
            client = _connected(settings, device, identity, spoken)
            break
        except BrokerError as error:
            if spoken == asked[-1] or not error.other_version:
                raise
    try:
        yield Talk(client, identity, spoken, settings.connect_timeout)
    finally:
        client.disconnect()
        # the loop's thread is a daemon and ends with the connection; a dead network must not hold the command


def _connected(settings: MqttSettings, device: DeviceSettings, identity: str, version: str) -> Client:
    try:
        client = build_client(settings, identity, version)
    except ConfigError as error:
        raise BrokerError(explain_error(error, settings)) from None
    client.will_set(Topics(device.id).check, b"", qos=1, retain=True)
    answered = threading.Event()
    codes: list[ReasonCode] = []

    def on_connect(_c: mqtt.Client, _u: Any, _f: Any, code: ReasonCode, properties: Properties | None) -> None:
        client.keep_to(properties)
        codes.append(code)
        answered.set()

    client.on_connect = on_connect
    client.on_disconnect = lambda *_: answered.set()
    try:
        client.dial(settings.host, settings.port, settings.keepalive)
    except (OSError, ValueError) as error:
        raise BrokerError(explain_error(error, settings)) from None
    client.loop_start()
    try:
        if not answered.wait(settings.connect_timeout):
            raise BrokerError(explain_error(TimeoutError(), settings), other_version=True)
        if not codes:
            raise BrokerError(explain_error(ConnectionResetError(), settings), other_version=True)
        if codes[0].is_failure:
            raise BrokerError(explain_refusal(codes[0]), other_version=is_unknown_version(codes[0]))
    except BrokerError:
        client.disconnect()
        raise
    return client

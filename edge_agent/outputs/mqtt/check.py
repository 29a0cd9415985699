"""Short conversations with the broker for the commands `check` and `purge-discovery`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.errors import ConfigError, EdgeAgentError
from edge_agent.outputs.mqtt.factory import (
    Trouble,
    build_client,
    client_id,
    explain_error,
    explain_oversize,
    explain_refusal,
    is_unknown_version,
    versions,
)
from edge_agent.outputs.mqtt.paho_client import Client
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.types import CheckLine


class BrokerError(EdgeAgentError):
    """The broker can't be reached, or does not let this device do what it must."""

    def __init__(self, trouble: Trouble, *, other_version: bool = False) -> None:
        """`other_version`: the broker may know another version of MQTT."""
        super().__init__(str(trouble))
        self.trouble = trouble
        self.other_version = other_version


_GONE = Trouble("the broker closed the connection", "look into its log")


class _Talk:
    """One connection whose every step is waited for."""

    def __init__(self, client: Client, version: str, timeout: float) -> None:
        self.version = version
        """Of MQTT."""
        self._client = client
        self._timeout = timeout
        self._answers: dict[int, list[ReasonCode]] = {}
        self._over = False
        self._news = threading.Condition()
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_subscribe
        client.on_end = self._on_end

    @property
    def oversize(self) -> Trouble | None:
        """What came that was too long to be taken in."""
        return explain_oversize(self._client.oversize) if self._client.oversize is not None else None

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> ReasonCode:
        """Publish with QoS 1 and return the broker's answer. Raises `BrokerError` if none comes."""
        return self._answer(self._client.publish(topic, payload, qos=1, retain=retain).mid)[0]

    def subscribe(self, topics: tuple[str, ...]) -> list[ReasonCode]:
        """Subscribe and return the broker's answer to each topic. Raises `BrokerError` if none comes."""
        return self._answer(self._client.subscribe([(topic, 1) for topic in topics])[1])

    def unsubscribe(self, topics: tuple[str, ...]) -> None:
        """End subscriptions; what is retained there has come by then. Raises `BrokerError` if no answer comes."""
        self._answer(self._client.unsubscribe(list(topics))[1])

    def _answer(self, mid: int | None) -> list[ReasonCode]:
        """The answer to a message; `mid`: None if the connection was gone when it was to be sent."""
        with self._news:
            self._news.wait_for(lambda: mid is None or mid in self._answers or self._over, self._timeout)
            if mid in self._answers:
                return self._answers.pop(mid)
            if self._client.overwhelmed and self.oversize is not None:
                raise BrokerError(self.oversize)
            if mid is None or self._over:
                raise BrokerError(_GONE)
            raise BrokerError(Trouble(f"the broker gave no answer within {self._timeout:g} s", "look into its log"))

    def _on_publish(self, _c: mqtt.Client, _u: Any, mid: int, code: ReasonCode, _p: Any) -> None:
        self._note(mid, [code])

    def _on_subscribe(self, _c: mqtt.Client, _u: Any, mid: int, codes: list[ReasonCode], _p: Any) -> None:
        self._note(mid, codes)

    def _on_end(self) -> None:
        with self._news:
            self._over = True
            self._news.notify_all()

    def _note(self, mid: int, codes: list[ReasonCode]) -> None:
        with self._news:
            self._answers[mid] = codes
            self._news.notify_all()


@contextmanager
def _talk(settings: MqttSettings, device: DeviceSettings, version: str | None = None) -> Iterator[_Talk]:
    """Connect under an id of its own, so that a running service is not thrown out; in this version of MQTT, or in
    the one that the service would take.

    Raises:
        BrokerError: no connection; its text says why and what to do.
    """
    asked = (version,) if version else versions(settings)
    for spoken in asked:
        try:
            client = _connected(settings, device, spoken)
            break
        except BrokerError as error:
            if spoken == asked[-1] or not error.other_version:
                raise
    try:
        yield _Talk(client, spoken, settings.connect_timeout)
    finally:
        client.disconnect()
        # the loop's thread is a daemon and ends with the connection; a dead network must not hold the command


def _connected(settings: MqttSettings, device: DeviceSettings, version: str) -> Client:
    try:
        client = build_client(settings, client_id(settings, device.id) + "_check", version)
    except ConfigError as error:
        raise BrokerError(explain_error(error, settings)) from None
    answered = threading.Event()
    codes: list[ReasonCode] = []

    def on_connect(_c: mqtt.Client, _u: Any, _f: Any, code: ReasonCode, _p: Any) -> None:
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


def probe(settings: MqttSettings, device: DeviceSettings) -> CheckLine:
    """Connect as the service would and find out whether it may listen and publish; leaves nothing at the broker.

    Only an empty message on `<base>/check` is published. Whether it is taken is told by MQTT 5 alone, so that
    version is tried for this one question even if 3.1.1 is configured.
    """
    topics = Topics(device.id, settings.discovery.prefix)
    where = f"{settings.host}:{settings.port}"
    began = time.monotonic()
    try:
        with _talk(settings, device) as talk:
            took = time.monotonic() - began
            refused = [
                topic
                for topic, code in zip(topics.commands(), talk.subscribe(topics.commands()), strict=False)
                if code.is_failure
            ]
            talk.unsubscribe(topics.commands())  # what is retained there has come by then
            oversize = talk.oversize
            version = talk.version
            writable = _may_write(talk, topics) if version == "5" else None
        if settings.protocol == "3.1.1":
            writable = _ask_in_version_5(settings, device, topics)
    except BrokerError as error:
        return CheckLine("broker", "fail", error.trouble.what, error.trouble.remedy)
    if refused:
        hint = f"give this user the right to read {', '.join(refused)}"
        return CheckLine("broker", "fail", f"{where}: connected, but it may not listen to commands", hint)
    if writable is False:
        hint = f"give this user the right to write {topics.base}/# and {topics.discovery}"
        return CheckLine("broker", "fail", f"{where}: connected, but it may not publish", hint)
    if oversize is not None:
        return CheckLine("broker", "warn", f"{where}: connected, but {oversize.what}", oversize.remedy)
    security = "TLS" if settings.tls.enabled else "no TLS"
    rights = "may listen and publish" if writable else "may listen; MQTT 3.1.1 does not tell whether it may publish"
    text = f"{where}: connected in {took * 1000:.0f} ms, MQTT {version}, {security}, {rights}"
    return CheckLine("broker", "ok", text)


def _may_write(talk: _Talk, topics: Topics) -> bool:
    return not talk.publish(f"{topics.base}/check", b"").is_failure


def _ask_in_version_5(settings: MqttSettings, device: DeviceSettings, topics: Topics) -> bool | None:
    try:
        with _talk(settings, device, "5") as talk:
            return _may_write(talk, topics)
    except BrokerError:
        return None  # an old broker: it can't be known


def purge_discovery(settings: MqttSettings, device: DeviceSettings) -> None:
    """Remove the device from Home Assistant, and all that it retained from the broker.

    Raises:
        BrokerError: the broker can't be reached, or does not allow it.
    """
    topics = Topics(device.id, settings.discovery.prefix)
    # the description first: without it Home Assistant has forgotten the entities before their states go
    ordered = (topics.discovery, *(topic for topic in topics.retained() if topic != topics.discovery))
    with _talk(settings, device) as talk:
        for topic in ordered:
            code = talk.publish(topic, b"", retain=True)
            if code.is_failure:
                remedy = f"give this user the right to write {topics.base}/# and {topics.discovery}"
                raise BrokerError(Trouble(f"the broker does not let this user clear {topic} ({code})", remedy))

"""The connection to the broker: made again for ever, with pauses that spare it; says why when there is none."""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config import MqttSettings
from edge_agent.errors import ConfigError
from edge_agent.outputs.mqtt.factory import build_client, versions
from edge_agent.outputs.mqtt.paho_client import Oversize
from edge_agent.outputs.mqtt.session import End, Listener, Session, Will
from edge_agent.outputs.mqtt.troubles import (
    explain_end,
    explain_error,
    explain_oversize,
    explain_refusal,
    is_lasting,
    is_unknown_version,
)

_LOG = logging.getLogger(__name__)

STABLE_AFTER = 10.0
"""Seconds a connection must hold before the next pause begins at the shortest again."""

_HUNG_UP = 2
"""Attempts in a row at which it hung up, after which a broker is taken for one that knows an older MQTT only."""

_EXCHANGED = 20
"""Attempts in a row without any answer, after which a broker that knew the newest MQTT may have been exchanged."""

_SUSPICIOUS = 3
"""Short connections in a row after which another client of the same id is suspected where nobody says why."""


class Link:
    """Keeps one connection; publishing is thread-safe and never waits."""

    def __init__(self, settings: MqttSettings, identity: str, will: Will, listener: Listener) -> None:
        self._settings = settings
        self._identity = identity
        self._will = will
        self._listener = listener
        self._stopping = threading.Event()
        self._session: Session | None = None
        self._number = 0
        self._short = 0  # connections in a row that did not last
        self._hung_up = 0  # attempts in the newest version, in a row, at which the broker hung up
        self._unanswered = 0  # and at which it hung up or was silent
        self._old = False  # whether an old broker was told of
        self._knows_newest = False  # whether the broker has spoken the newest version with us
        self._asked_again = False  # whether the guess that it does not know it was tested
        self.failures = 0
        """Attempts since the start that found no broker or were refused, and connections that were lost."""
        self._reason: str | None = "not connected yet"
        self._logged: str | None = None
        self._told: str | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt-link", daemon=True)

    @property
    def connected(self) -> bool:
        session = self._session
        return session is not None and session.up and not session.closed.is_set()

    @property
    def reason(self) -> str | None:
        """Why there is no connection; None: there is one."""
        return None if self.connected else self._reason

    def start(self) -> None:
        self._thread.start()

    def publish(self, topic: str, payload: bytes | str, *, retain: bool = False) -> int | None:
        """Hand a message with QoS 1 to the network thread and return its id; None: there is no connection.

        Raises:
            TooLargeError: the broker of this connection takes nothing of that length; nothing was sent.
        """
        session = self._session
        if session is None or not self.connected:
            return None
        info = session.client.publish_fitting(topic, payload, retain=retain)
        return info.mid if info.rc == mqtt.MQTT_ERR_SUCCESS else None

    def subscribe(self, topics: tuple[str, ...]) -> None:
        session = self._session
        if session is not None and topics:
            session.client.subscribe([(topic, 1) for topic in topics])

    def give_up(self, session: int, reason: str) -> None:
        """End this connection, if it is the present one; it is made anew after a pause, as after any failure."""
        present = self._session
        if present is not None and present.number == session:
            present.farewell = reason
            present.client.break_off()

    def stop(self, timeout: float) -> None:
        """Say goodbye to the broker and end; returns after `timeout` seconds even if the network hangs."""
        deadline = time.monotonic() + timeout
        self._stopping.set()
        session = self._session
        if session is not None:
            session.client.disconnect()
            if session.up:
                session.closed.wait(max(0.0, deadline - time.monotonic()))
            session.answered.set()
            session.closed.set()
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        pause = self._settings.reconnect_min
        while not self._stopping.is_set():
            try:
                end = self._connect()
            except Exception as error:  # whatever it is may pass: without this thread nothing would be sent again
                # its kind alone: the words of an error may quote a password, and the reason goes into the status
                end = End(f"a fault in the connection ({type(error).__name__}): see the log", slow=True)
                if end.reason != self._logged:
                    _LOG.error("MQTT: a fault in the connection", exc_info=True)
                    self._logged = end.reason
            self._session = None
            if self._stopping.is_set():
                break
            self.failures += 1
            self._reason = end.reason
            if end.reason != self._logged:
                _LOG.warning("MQTT: %s", end.reason)
                self._logged = end.reason
            if end.slow:
                delay = self._settings.refused_retry
            else:
                if end.lasted >= STABLE_AFTER:
                    pause = self._settings.reconnect_min
                delay = pause
                pause = min(pause * 2, max(self._settings.reconnect_max, self._settings.reconnect_min))
            # jitter, so that not all devices of a building come back in the same moment
            self._stopping.wait(delay * random.uniform(0.75, 1.25))

    def _connect(self) -> End:
        """Connect in the first version of MQTT that the broker knows, and say how it ended.

        The newest is tried each time, and another one only if the broker said that it does not know it, or, unless
        it has spoken it with us before, took the time for an answer without giving one or hung up twice: one that
        hangs or is starting up must not be held for an old one, which does not tell of the events that it refuses.
        That it has spoken it is forgotten after many such attempts: another broker may stand in its place.
        """
        newest, *older = versions(self._settings)
        end = self._connect_once(newest)
        self._hung_up = self._hung_up + 1 if end.hung_up else 0
        self._unanswered = self._unanswered + 1 if end.hung_up or end.silent else 0
        if self._knows_newest and self._unanswered >= _EXCHANGED:
            self._knows_newest = self._asked_again = False
        for version in older:
            guess = not self._knows_newest and (end.silent or self._hung_up >= _HUNG_UP)
            if self._stopping.is_set() or not (end.unknown_version or guess):
                break
            end = self._connect_once(version, guess=guess)
        return end

    def _connect_once(self, version: str, *, guess: bool = False) -> End:
        """Connect, wait until it is over, and say how it ended.

        `guess`: that the broker knows no newer version is a guess; once it is asked again after a while.
        """
        settings = self._settings
        try:
            client = build_client(settings, self._identity, version)
        except ConfigError as error:
            return End(str(explain_error(error, settings)), slow=True)
        self._number += 1
        session = Session(self._number, client)
        self._wire(session)
        self._session = session
        try:
            client.dial(settings.host, settings.port, settings.keepalive)
            client.loop_start()
            return self._see_through(session, version, guess=guess)
        except (OSError, ValueError) as error:
            return End(str(explain_error(error, settings)))
        finally:
            client.disconnect()  # if it is connected still, or only now
            # the callbacks hold the session, and it the client: without this circle the client's sockets are closed
            # as soon as its thread has ended, not whenever the garbage is collected
            client.on_connect = client.on_disconnect = client.on_end = None
            client.on_message = client.on_publish = client.on_subscribe = client.on_oversize = None

    def _see_through(self, session: Session, version: str, *, guess: bool) -> End:
        """Wait for the broker's answer and then for the end of the connection."""
        settings, client = self._settings, session.client
        if not session.answered.wait(settings.connect_timeout):
            return End(str(explain_error(TimeoutError(), settings)), silent=True)
        if session.refusal is not None:
            return End(
                str(explain_refusal(session.refusal)),
                slow=is_lasting(session.refusal),
                unknown_version=is_unknown_version(session.refusal),
            )
        if not session.up:
            return End(str(explain_error(ConnectionResetError(), settings)), hung_up=True)
        began = time.monotonic()
        _LOG.info("MQTT %s: connected to %s:%d", version, settings.host, settings.port)
        if version != versions(settings)[0] and not self._old:
            self._old = True
            _LOG.warning("the broker knows no MQTT 5, and will not tell of events that it refuses: they are lost")
        if version == versions(settings)[0]:
            self._knows_newest = True
        elif guess and not self._asked_again:
            self._asked_again = True
            if not session.closed.wait(settings.refused_retry):
                session.farewell = "asking the broker once more whether it knows MQTT 5"
                client.break_off()  # without a goodbye: should the next connection fail, the will is true
        session.closed.wait()
        lasted = time.monotonic() - began
        if lasted >= STABLE_AFTER:
            self._logged = None
        self._listener.on_down(session.number)
        if client.overwhelmed and client.oversize is not None:  # retained, it comes again
            return End(str(explain_oversize(client.oversize)), slow=True)
        reason = session.farewell or "the connection to the broker was lost"
        self._short = self._short + 1 if lasted < STABLE_AFTER and session.farewell is None else 0
        if self._short >= _SUSPICIOUS:
            reason += f", again soon after it began: does another client use the id {self._identity}?"
        return End(reason, lasted=lasted)

    def _wire(self, session: Session) -> None:
        client = session.client
        client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        # ours is the outbox's window; paho's leaves room for the retained states beside it. Beyond, or beyond what
        # a broker of MQTT 5 allows, paho queues in order
        client.max_inflight_messages_set(max(20, self._settings.outbox.inflight + 8))

        def on_connect(_c: mqtt.Client, _u: Any, _f: Any, code: ReasonCode, properties: Properties | None) -> None:
            if code.is_failure:
                session.refusal = code
            elif not self._stopping.is_set():
                client.keep_to(properties)
                session.up = True
                self._listener.on_up(session.number)
            session.answered.set()

        def on_disconnect(_c: mqtt.Client, _u: Any, flags: Any, code: ReasonCode, _p: Any) -> None:
            if flags.is_disconnect_packet_from_server:
                session.farewell = str(explain_end(code, self._identity))
            on_end()

        def on_end() -> None:
            session.closed.set()
            session.answered.set()

        def on_message(_c: mqtt.Client, _u: Any, message: mqtt.MQTTMessage) -> None:
            self._listener.on_message(message.topic, bytes(message.payload), message.retain)

        def on_publish(_c: mqtt.Client, _u: Any, mid: int, code: ReasonCode, _p: Any) -> None:
            self._listener.on_ack(session.number, mid, str(code) if code.is_failure else None)

        def on_subscribe(_c: mqtt.Client, _u: Any, _mid: int, codes: list[ReasonCode], _p: Any) -> None:
            if any(code.is_failure for code in codes):
                self._listener.on_subscription_refused()

        def on_oversize(packet: Oversize) -> None:
            text = str(explain_oversize(packet))
            if text != self._told:  # a retained one comes again at each connect
                _LOG.warning("MQTT: %s; it is not taken in", text)
            self._told = text

        client.on_oversize = on_oversize
        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_end = on_end
        client.on_message = on_message
        client.on_publish = on_publish
        client.on_subscribe = on_subscribe

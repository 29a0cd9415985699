"""paho's client, mended where it would harm a device that nobody looks after."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MessageType, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_LOG = logging.getLogger(__name__)

LONGEST_PACKET = 65_536
"""Bytes of the longest packet that is taken from a broker; no command needs a hundredth of it."""

_HEAD = 1024
"""Bytes that are read of a longer one, for the sake of its topic."""


@dataclass(frozen=True, slots=True)
class Oversize:
    """A packet that was too long to be read."""

    length: int
    topic: str | None
    """None: it can't be told."""
    retained: bool


class Client(mqtt.Client):
    """For one connection. Tells of the end of its network thread, whatever ends it, and takes no huge packets."""

    on_end: Callable[[], None] | None = None

    def __init__(self, identity: str, **options: Any) -> None:
        """`identity`: the client id; `options`: paho's."""
        super().__init__(CallbackAPIVersion.VERSION2, client_id=identity, **options)
        self._broken_off = False
        self.oversize: Oversize | None = None
        """The packet for whose length this side has ended the connection."""

    def dial(self, host: str, port: int, keepalive: int) -> None:
        """Connect; a broker of MQTT 5 is asked to keep all that is longer than `LONGEST_PACKET`.

        Raises:
            OSError: nobody answers there.
            ValueError: the broker's name can't be used.
        """
        properties = None
        if self.protocol == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types there
            properties.MaximumPacketSize = LONGEST_PACKET
        self.connect(host, port, keepalive=keepalive, properties=properties)

    def break_off(self) -> None:
        """End the connection within a second and without a goodbye, so that the broker tells the will.

        May be called from any thread.
        """
        self._broken_off = True

    def limit_inflight(self, properties: Properties | None) -> None:
        """Keep to the Receive Maximum in the broker's CONNACK; call it in `on_connect`, before anything is sent.

        paho reads it but does not mind it, and its own setter takes no number once there is a connection.
        """
        allowed = getattr(properties, "ReceiveMaximum", None)
        if allowed:  # 0 would be no limit to paho, and is against the standard
            self._max_inflight_messages = min(self._max_inflight_messages, allowed)

    def loop_misc(self) -> MQTTErrorCode:
        """What the network thread does in each round, at least once a second."""
        if self._broken_off:
            self._sock_close()
        return super().loop_misc()

    def loop_forever(self, *args: Any, **kwargs: Any) -> MQTTErrorCode:
        """What `loop_start` runs in its thread: a packet that paho can't read would end it without a word."""
        try:
            return super().loop_forever(*args, **kwargs)
        except Exception:
            _LOG.exception("MQTT: the broker sent what can't be understood")
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        finally:
            if self.on_end is not None:
                self.on_end()

    def _sock_recv(self, bufsize: int) -> bytes:
        """What paho reads with: it asks for all the rest of a packet at once, and holds it three times.

        A packet that is too long ends the connection here, with little more read than its length. MQTT 3.1.1 knows
        no other way to be spared it, and a broker of MQTT 5 may err.
        """
        if bufsize <= LONGEST_PACKET:
            return super()._sock_recv(bufsize)
        head = super()._sock_recv(_HEAD)
        if not head:
            return head
        command = self._in_packet["command"]
        if command & 0xF0 == MessageType.PUBLISH:
            self.oversize = Oversize(bufsize, _topic(head), bool(command & 1))
        else:
            self.oversize = Oversize(bufsize, None, False)
        raise ConnectionAbortedError("the packet is too long")  # to paho, the connection is lost


def _topic(head: bytes) -> str | None:
    """The topic at the start of a publication, if it is there as a whole."""
    end = 2 + int.from_bytes(head[:2], "big")
    topic = head[2:end].decode("utf-8", "replace")
    return topic if len(head) >= end and topic.isprintable() else None

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
"""Bytes that are kept of a longer one, for the sake of its topic."""
_PIECE = 16_384
"""Bytes of it that are read at once."""


@dataclass(frozen=True, slots=True)
class Oversize:
    """A publication that was too long to be taken in."""

    length: int
    topic: str | None
    """None: it can't be told."""
    retained: bool


class Client(mqtt.Client):
    """For one connection. Tells of the end of its network thread, whatever ends it, and takes no huge packets."""

    on_end: Callable[[], None] | None = None
    on_oversize: Callable[[Oversize], None] | None = None

    def __init__(self, identity: str, **options: Any) -> None:
        """`identity`: the client id; `options`: paho's."""
        super().__init__(CallbackAPIVersion.VERSION2, client_id=identity, **options)
        self._broken_off = False
        self.oversize: Oversize | None = None
        """The latest publication of which only the beginning was taken."""
        self.overwhelmed = False
        """Whether this side ended the connection because of it."""

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

        Of a publication that is too long its beginning is kept, and what follows is thrown away as it comes: to
        paho, the rest of its payload is never more than a piece. MQTT 3.1.1 knows no way to be spared it, and a
        broker of MQTT 5 may err. It ends the connection if it comes over WebSockets, whose frames paho holds whole
        and copies at each piece; any other packet of that length is nonsense and does so, too.
        """
        packet = self._in_packet
        if packet["remaining_length"] <= LONGEST_PACKET or not packet["have_remaining"]:
            return super()._sock_recv(bufsize)
        if packet["command"] & 0xF0 != MessageType.PUBLISH:
            raise ConnectionAbortedError("the packet is too long")  # to paho, the connection is lost
        if packet["packet"]:
            del packet["packet"][_HEAD:]
            return super()._sock_recv(min(bufsize, _PIECE))
        head = super()._sock_recv(_HEAD)
        if head:
            self.oversize = Oversize(packet["remaining_length"], _topic(head), bool(packet["command"] & 1))
            if self._transport == "websockets":
                self.overwhelmed = True
                raise ConnectionAbortedError("the message is too long")
            if self.on_oversize is not None:
                self.on_oversize(self.oversize)
        return head


def _topic(head: bytes) -> str | None:
    """The topic at the start of a publication, if it is there as a whole."""
    end = 2 + int.from_bytes(head[:2], "big")
    topic = head[2:end].decode("utf-8", "replace")
    return topic if len(head) >= end and topic.isprintable() else None

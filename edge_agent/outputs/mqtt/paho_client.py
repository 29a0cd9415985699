"""paho's client, mended where it would harm a device that nobody looks after."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

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


_PACKET_TOO_LARGE = 0x95
_QUOTA_EXCEEDED = 0x97
_UNSPECIFIED = 0x80
_PUBACK_REFUSALS = frozenset({_UNSPECIFIED, 0x83, 0x87, 0x90, 0x91, _QUOTA_EXCEEDED, 0x99})
"""What a PUBACK may say besides that the message was taken (MQTT 5, 3.4.2.1)."""


class TooLargeError(Exception):
    """A publication is longer than the broker of this connection takes, and was not sent."""

    def __init__(self, size: int, limit: int) -> None:
        """`size`: of the packet; `limit`: the broker's Maximum Packet Size; both in bytes."""
        super().__init__(f"{size} bytes, the broker takes {limit}")
        self.size = size
        self.limit = limit


def publish_size(topic: str, length: int) -> int:
    """Bytes of the packet that publishes a payload of `length` bytes with QoS 1 and without properties.

    MQTT 5, 2.1.4 and 3.3: the topic with its length (2 bytes), the packet's number (2) and the length of no
    properties (1), after a fixed header of one byte and the length of all that, which has one to four.
    """
    rest = 2 + len(topic.encode()) + 2 + 1 + length
    return 1 + max(1, -(-rest.bit_length() // 7)) + rest


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
        self.longest_packet: int | None = None
        """Bytes of the longest packet that the broker takes; None: it names no limit."""

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

    def keep_to(self, properties: Properties | None) -> None:
        """Keep to what the broker's CONNACK allows; call it in `on_connect`, before anything is sent.

        Receive Maximum (MQTT 5, 3.2.2.3.3): paho reads it but does not mind it, and its own setter takes no number
        once there is a connection. Maximum Packet Size (3.2.2.3.6): a client must not send a longer packet; a
        broker that gets one ends the connection.
        """
        allowed = getattr(properties, "ReceiveMaximum", None)
        if allowed:  # 0 would be no limit to paho, and is against the standard
            self._max_inflight_messages = min(self._max_inflight_messages, allowed)
        self.longest_packet = getattr(properties, "MaximumPacketSize", None) or None  # 0 is against the standard

    def publish_fitting(self, topic: str, payload: bytes | str, *, retain: bool) -> mqtt.MQTTMessageInfo:
        """Publish with QoS 1.

        Raises:
            TooLargeError: the broker said that it takes nothing of that length; the connection goes on.
        """
        body = payload.encode() if isinstance(payload, str) else payload
        size = publish_size(topic, len(body))
        if self.longest_packet is not None and size > self.longest_packet:
            raise TooLargeError(size, self.longest_packet)
        return self.publish(topic, body, qos=1, retain=retain)

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

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        """What paho reads a PUBACK with: a refusal that the standard does not know would end the connection, and
        that again at each connect where it is about something retained.

        mosquitto answers so what is beyond its `message_size_limit` (0x95, Packet too large). The standard's word
        for "an administrative imposed limit has been exceeded" is 0x97.
        """
        packet = self._in_packet["packet"]
        if self.protocol == mqtt.MQTTv5 and len(packet) > 2:
            code = packet[2]  # after the number of the packet (MQTT 5, 3.4.2)
            if code >= _UNSPECIFIED and code not in _PUBACK_REFUSALS:
                packet[2] = _QUOTA_EXCEEDED if code == _PACKET_TOO_LARGE else _UNSPECIFIED
        return super()._handle_pubackcomp(cmd)

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

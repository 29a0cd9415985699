"""Brokers that do not do what one hopes for: one keeps to the letter of MQTT, the other to nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"

_CONNECT, _PUBLISH, _SUBSCRIBE, _PING, _DISCONNECT = 1, 3, 8, 12, 14
_IDLE = 0.01
"""Seconds without a word after which the client counts as having sent all that it may."""


@dataclass
class Conversation:
    """What one connection said."""

    published: list[tuple[str, bytes]] = field(default_factory=list)
    """(topic, payload) in the order of their arrival."""
    goodbye: bool = False
    """Whether the client ended it with a DISCONNECT, which voids its will."""
    most_unanswered: int = 0
    """Most publications that waited for their acknowledgement at once."""
    longest: int = 0
    """Bytes of the longest packet."""

    def bodies(self, end: str) -> list[bytes]:
        """Payloads of the topics that end so."""
        return [payload for topic, payload in list(self.published) if topic.endswith(end)]


class FakeBroker:
    """Takes all connections, answers pings and subscriptions, and acknowledges publications one at a time."""

    def __init__(
        self,
        *,
        acknowledges: bool = True,
        receive_maximum: int | None = None,
        maximum_packet_size: int | None = None,
        says_so: bool = True,
        refuses: dict[str, int] | None = None,
        leaves_at: str | None = None,
        idle: float = _IDLE,
    ) -> None:
        """`acknowledges`: False never does; may be changed at any time.

        `idle`: seconds without a word before each acknowledgement.

        `receive_maximum`: told to clients of MQTT 5; one that has more on its way is thrown out, as the standard
        demands (reason 0x93). `maximum_packet_size`: likewise (reason 0x95), and told to them if it `says_so`.

        `refuses`: codes with which publications are answered in MQTT 5, by the ends of their topics; may be changed
        at any time. `leaves_at`: end of topics at which it ends the connection (reason 0x87) instead.
        """
        self.acknowledges = acknowledges
        self.conversations: list[Conversation] = []
        self._receive_maximum = receive_maximum
        self._maximum_packet_size = maximum_packet_size
        self._says_so = says_so
        self.refuses = refuses or {}
        self._leaves_at = leaves_at
        self._idle = idle
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._peers: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        _end(self._listener)
        for peer in self._peers:
            peer.close()

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            conversation = Conversation()
            self.conversations.append(conversation)
            threading.Thread(target=self._serve, args=(peer, conversation), daemon=True).start()

    def _serve(self, peer: socket.socket, conversation: Conversation) -> None:
        buffer = bytearray()
        unanswered: deque[bytes] = deque()
        version = 4
        peer.settimeout(self._idle)
        try:
            while not conversation.goodbye:
                try:
                    data = peer.recv(65_536)
                except TimeoutError:
                    if unanswered and self.acknowledges:
                        peer.sendall(unanswered.popleft())
                    continue
                if not data:
                    return
                buffer += data
                before = len(buffer)
                while (packet := _take_packet(buffer)) is not None:
                    head, body = packet
                    size, before = before - len(buffer), len(buffer)
                    conversation.longest = max(conversation.longest, size)
                    if self._maximum_packet_size is not None and size > self._maximum_packet_size:
                        peer.sendall(b"\xe0\x02\x95\x00")
                        return
                    if head >> 4 == _CONNECT:
                        version = body[6]
                        peer.sendall(self._connack(version))
                    elif head >> 4 == _SUBSCRIBE:
                        granted = b"\x01" * _count_topics(body, version)
                        answer = body[:2] + (b"\x00" if version == 5 else b"") + granted
                        peer.sendall(bytes([0x90, len(answer)]) + answer)
                    elif head >> 4 == _PING:
                        peer.sendall(b"\xd0\x00")
                    elif head >> 4 == _DISCONNECT:
                        conversation.goodbye = True
                    elif head >> 4 == _PUBLISH:
                        if self._receive_maximum is not None and len(unanswered) >= self._receive_maximum:
                            peer.sendall(b"\xe0\x02\x93\x00")
                            return
                        number = _note(conversation, body, version)
                        topic = conversation.published[-1][0]
                        if self._leaves_at is not None and topic.endswith(self._leaves_at):
                            peer.sendall(b"\xe0\x02\x87\x00")
                            return
                        unanswered.append(self._puback(topic, number, version))
                        conversation.most_unanswered = max(conversation.most_unanswered, len(unanswered))
        except OSError:
            return
        finally:
            peer.close()

    def _connack(self, version: int) -> bytes:
        if version != 5:
            return b"\x20\x02\x00\x00"
        properties = b"" if self._receive_maximum is None else b"\x21" + self._receive_maximum.to_bytes(2, "big")
        if self._maximum_packet_size is not None and self._says_so:
            properties += b"\x27" + self._maximum_packet_size.to_bytes(4, "big")
        body = b"\x00\x00" + bytes([len(properties)]) + properties
        return bytes([0x20, len(body)]) + body

    def _puback(self, topic: str, number: bytes, version: int) -> bytes:
        code = next((code for end, code in self.refuses.items() if topic.endswith(end)), None)
        if version != 5 or code is None:
            return b"\x40\x02" + number
        return b"\x40\x03" + number + bytes([code])


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
        _end(self._listener)
        for peer in self._kept:
            peer.close()


def _end(listener: socket.socket) -> None:
    """Close it; that alone would not wake the thread in `accept`, which would take whoever gets its number next."""
    with contextlib.suppress(OSError):  # not every system lets one that is not connected be shut down
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _take_packet(buffer: bytearray) -> tuple[int, bytes] | None:
    """The first byte and the body of the packet at the buffer's start, which is removed; None: not all is there."""
    length, shift = 0, 0
    for position in range(1, min(5, len(buffer))):
        length |= (buffer[position] & 127) << shift
        shift += 7
        if buffer[position] < 128:
            end = position + 1 + length
            if len(buffer) < end:
                return None
            head, body = buffer[0], bytes(buffer[position + 1 : end])
            del buffer[:end]
            return head, body
    return None


def _count_topics(body: bytes, version: int) -> int:
    """How many topics a SUBSCRIBE without properties asks for."""
    count, position = 0, 3 if version == 5 else 2
    while position < len(body):
        position += 3 + int.from_bytes(body[position : position + 2], "big")
        count += 1
    return count


def _note(conversation: Conversation, body: bytes, version: int) -> bytes:
    """Write down a publication of QoS 1 without properties, and return its id."""
    end = 2 + int.from_bytes(body[:2], "big")
    payload = body[end + (3 if version == 5 else 2) :]
    conversation.published.append((body[2:end].decode(), payload))
    return body[end : end + 2]

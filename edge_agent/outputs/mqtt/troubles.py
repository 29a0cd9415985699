"""Plain words for all that can go wrong between this device and a broker, and what the owner can do about it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config import MqttSettings
from edge_agent.errors import ConfigError
from edge_agent.outputs.mqtt.paho_client import Oversize


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, and what the owner can do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


def explain_error(error: Exception, settings: MqttSettings) -> Trouble:
    """Why no connection came about."""
    where = f"{settings.host}:{settings.port}"
    if isinstance(error, ConfigError):
        return Trouble(str(error), "correct mqtt in the configuration")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble(
            f"the certificate of {where} is not trusted ({error.verify_message})",
            "set mqtt.tls.ca_file to the authority that signed it, and mqtt.host to a name in it",
        )
    if isinstance(error, ssl.SSLError):
        return Trouble(
            f"TLS with {where} failed ({getattr(error, 'reason', None) or error})",
            "is this the broker's TLS port (often 8883), and does it want a client certificate?",
        )
    if isinstance(error, socket.gaierror):
        return Trouble(f"the name {settings.host} can't be resolved", "check mqtt.host and the network")
    if isinstance(error, ConnectionRefusedError):
        return Trouble(f"nobody listens at {where}", "is the broker running, and mqtt.port right?")
    if isinstance(error, TimeoutError):
        return Trouble(
            f"no answer from {where} within {settings.connect_timeout:g} s", "check mqtt.host and the firewall"
        )
    if isinstance(error, mqtt.WebsocketConnectionError):
        return Trouble(
            f"{where} does not speak WebSockets at {settings.websocket_path} ({error})",
            "check mqtt.transport, mqtt.port and mqtt.websocket_path",
        )
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return Trouble(
            f"{where} closed the connection",
            "does it expect TLS (mqtt.tls.enabled), or WebSockets (mqtt.transport)?",
        )
    return Trouble(f"no connection to {where} ({error})", "check mqtt.host, mqtt.port and the network")


def explain_oversize(packet: Oversize) -> Trouble:
    """What a broker sent that was not taken in."""
    size = f"{packet.length / 1e6:.0f} MB" if packet.length >= 1_000_000 else f"{packet.length / 1e3:.0f} kB"
    if packet.topic is None:
        return Trouble(f"the broker sent a message of {size}", "look into its log")
    what = f"the broker sent {size} on {packet.topic}, where only short commands belong"
    if packet.retained:
        return Trouble(what, f"remove it there with mosquitto_pub -t '{packet.topic}' -r -n")
    return Trouble(what, "find out who does that")


_UNKNOWN_VERSION = "Unsupported protocol version"
_WHERE = "in /etc/edge-agent/mqtt_password, which only root may read (sudo edge-agent check)"
_REFUSALS = {
    "Bad user name or password": Trouble(
        "the broker refused user or password", f"check mqtt.username and the password {_WHERE}"
    ),
    "Not authorized": Trouble(
        "the broker does not let this client in",
        f"check mqtt.username, the user's rights and the password {_WHERE}",
    ),
    _UNKNOWN_VERSION: Trouble(
        "the broker does not speak this version of MQTT", "set mqtt.protocol to another one of auto, 5 and 3.1.1"
    ),
    "Client identifier not valid": Trouble("the broker does not accept the client id", "set mqtt.client_id"),
    "Banned": Trouble("the broker has banned this client", "ask whoever runs it"),
    "Retain not supported": Trouble(
        "the broker retains no messages", "allow it there (mosquitto: retain_available true)"
    ),
    "QoS not supported": Trouble(
        "the broker takes no messages of QoS 1", "allow it there (mosquitto: max_qos 1 or more)"
    ),
    "Server unavailable": Trouble("the broker says that it is unavailable", "it is tried again"),
    "Server busy": Trouble("the broker says that it is too busy", "it is tried again"),
}
_PASSING = {"Server unavailable", "Server busy", "Server shutting down", "Connection rate exceeded"}


def is_unknown_version(code: ReasonCode) -> bool:
    """Whether a refused CONNACK comes from a broker that does not know this version of MQTT."""
    return code.getName() == _UNKNOWN_VERSION


def explain_refusal(code: ReasonCode) -> Trouble:
    """A refused CONNACK in plain words."""
    return _REFUSALS.get(
        code.getName(), Trouble(f"the broker refused the connection ({code})", "look into the broker's log")
    )


_RAISE = "raise its limit (mosquitto: max_packet_size)"


def explain_end(code: ReasonCode, identity: str) -> Trouble:
    """A broker's DISCONNECT in plain words (MQTT 5, 3.14.2.1); `identity`: the client id."""
    if code.getName() == "Session taken over":
        what = f"another client of the id {identity} has taken this one's place"
        return Trouble(what, "give each an mqtt.client_id, or a device.id, of its own")
    remedies = {
        "Packet too large": _RAISE,
        "Retain not supported": _REFUSALS["Retain not supported"].remedy,
        "QoS not supported": _REFUSALS["QoS not supported"].remedy,
    }
    return Trouble(f"the broker ended the connection ({code})", remedies.get(code.getName(), "look into its log"))


def explain_too_large(what: str, limit: int) -> Trouble:
    """Why something is not sent at all; `limit`: the broker's, in bytes (its Maximum Packet Size).

    Without the thing's own size, so that the words stay the same while it varies.
    """
    return Trouble(f"{what} is longer than the {limit} bytes that the broker takes", _RAISE)


_UNTAKEN = {
    "Not authorized": "give this user the right to write {topic}",
    # "An implementation or administrative imposed limit has been exceeded"
    "Quota exceeded": "raise the broker's limits or this user's quota "
    "(mosquitto: message_size_limit, max_queued_messages, max_queued_bytes)",
    "Topic name invalid": "find out which topics it allows: device.id and mqtt.discovery.prefix are part of them",
    "Payload format invalid": "have the broker allow what docs/mqtt.md says of {topic}",
}


def remedy_of_untaken(refusal: str, topic: str) -> str:
    """What to do about a refused PUBACK; `refusal`: the name of its reason code (MQTT 5, 3.4.2.1)."""
    return _UNTAKEN.get(refusal, "look into the broker's log").format(topic=topic)


def is_lasting(code: ReasonCode) -> bool:
    """Whether a refusal will stand until somebody changes something, so that hurrying is of no use."""
    return code.getName() not in _PASSING

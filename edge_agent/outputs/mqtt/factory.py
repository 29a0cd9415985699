"""A paho client from the settings, and plain words for the ways in which it can't connect."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config import MqttSettings
from edge_agent.errors import ConfigError
from edge_agent.outputs.mqtt import credentials
from edge_agent.outputs.mqtt.paho_client import Client, Oversize


def client_id(settings: MqttSettings, device_id: str) -> str:
    """The configured client id, or one made from the device id; two clients of one id throw each other out."""
    return settings.client_id or f"edge_agent_{device_id}"


def versions(settings: MqttSettings) -> tuple[str, ...]:
    """The versions of MQTT to be tried at a connect, one after the other until the broker knows one."""
    return ("5", "3.1.1") if settings.protocol == "auto" else (settings.protocol,)


def build_client(settings: MqttSettings, identity: str, version: str) -> Client:
    """An unconnected client for one connection; it does not reconnect by itself.

    `identity`: the client id; `version`: `5` or `3.1.1`.

    Raises:
        ConfigError: the password, the authority's or the client's certificate can't be read.
    """
    protocol = mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311
    client = Client(
        identity,
        # MQTT 5 says it at connect instead (clean_start), where paho's default is the same for a first connect
        clean_session=None if protocol == mqtt.MQTTv5 else True,
        protocol=protocol,
        transport=settings.transport,
        # a new client for every connection: paho would send its own copies of what is unacknowledged, without
        # the mark that they are repeated, and its pause knows neither jitter nor a refusal
        reconnect_on_failure=False,
    )
    client.connect_timeout = settings.connect_timeout
    username, password = credentials.resolve(settings)
    if username is not None:
        client.username_pw_set(username, password)
    if settings.transport == "websockets":
        client.ws_set_options(path=settings.websocket_path)
    if settings.tls.enabled:
        client.tls_set_context(tls_context(settings))
    return client


def tls_context(settings: MqttSettings) -> ssl.SSLContext:
    """Checks the broker's certificate and name against the own authority or the system's.

    Raises:
        ConfigError: a file is missing, unreadable or no certificate.
    """
    tls = settings.tls
    try:
        context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"mqtt.tls.ca_file: {tls.ca_file} can't be used: {error}") from None
    if tls.cert_file is not None:
        try:
            # an encrypted key would otherwise ask for its password on a terminal nobody sits at
            context.load_cert_chain(str(tls.cert_file), str(tls.key_file), password=_no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise ConfigError(f"mqtt.tls.cert_file and key_file can't be used: {error}") from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted: store it without a password, readable by the service alone")


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


def is_lasting(code: ReasonCode) -> bool:
    """Whether a refusal will stand until somebody changes something, so that hurrying is of no use."""
    return code.getName() not in _PASSING

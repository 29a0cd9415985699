"""A paho client from the settings."""

from __future__ import annotations

import ssl

import paho.mqtt.client as mqtt

from edge_agent.config import MqttSettings
from edge_agent.errors import ConfigError
from edge_agent.outputs.mqtt import credentials
from edge_agent.outputs.mqtt.paho_client import Client


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

"""User and password of the broker: from a file, a systemd credential or the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edge_agent.config import MqttSettings
from edge_agent.errors import ConfigError

PASSWORD_VARIABLE = "EDGE_AGENT_MQTT_PASSWORD"
USERNAME_VARIABLE = "EDGE_AGENT_MQTT_USERNAME"
SYSTEM_PASSWORD = Path("/etc/edge-agent/mqtt_password")
"""Where the installer keeps it; the units load it as their credential `mqtt_password`."""


def resolve(settings: MqttSettings, environment: Mapping[str, str] | None = None) -> tuple[str | None, str | None]:
    """(user, password), each None if there is none; read at every connect, so that a new password takes effect.

    The password: `mqtt.password_file`, else the systemd credential `mqtt_password`, else EDGE_AGENT_MQTT_PASSWORD.
    The user: `mqtt.username`, else the credential `mqtt_username`, else EDGE_AGENT_MQTT_USERNAME.

    Raises:
        ConfigError: the file can't be read, there is a password without a user, or one of them is no text.
    """
    env = os.environ if environment is None else environment
    password = None
    if settings.password_file is not None:
        password = _read(settings.password_file, "mqtt.password_file")
    if password is None:
        password = _credential(env, "mqtt_password") or env.get(PASSWORD_VARIABLE) or None
    username = settings.username or _credential(env, "mqtt_username") or env.get(USERNAME_VARIABLE) or None
    if password is not None and username is None:
        raise ConfigError("there is a password for the broker but no user: set mqtt.username")
    for what, text in (("user", username), ("password", password)):
        # Bytes of the environment that are no UTF-8 arrive as lone surrogates. Not quoted: it may be the password.
        if text is not None and any("\ud800" <= sign <= "\udfff" for sign in text):
            raise ConfigError(f"the {what} for the broker is no UTF-8 text")
    return username, password


def with_system_password(
    settings: MqttSettings, environment: Mapping[str, str] | None = None, path: Path | None = None
) -> MqttSettings:
    """The settings with which a command run by hand gets the password that systemd hands to the service.

    That is the file at `path` (None: `SYSTEM_PASSWORD`), if it can be read and no other password is configured.
    """
    env = os.environ if environment is None else environment
    path = path or SYSTEM_PASSWORD
    configured = settings.password_file or env.get("CREDENTIALS_DIRECTORY") or env.get(PASSWORD_VARIABLE)
    # whoever may not read it, as nobody but root may, goes on without
    if configured or not os.access(path, os.R_OK):
        return settings
    return settings.model_copy(update={"password_file": path})


def _credential(env: Mapping[str, str], name: str) -> str | None:
    """A credential of systemd's LoadCredential= (systemd.exec(5))."""
    directory = env.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return None
    path = Path(directory) / name
    return _read(path, f"credential {name}") if path.exists() else None


def _read(path: Path, what: str) -> str | None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what}: {path} can't be read: {error}") from None
    return text.rstrip("\r\n") or None

"""One connection to the broker: what becomes of it, and who is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.outputs.mqtt.paho_client import Client


class Listener(Protocol):
    """Told what happens, in the network thread: must be quick and must not raise.

    `session` counts connections, so that news of an earlier one can be told apart.
    """

    def on_up(self, session: int) -> None: ...

    def on_down(self, session: int) -> None: ...

    def on_message(self, topic: str, payload: bytes, retained: bool) -> None: ...

    def on_ack(self, session: int, mid: int, refusal: str | None) -> None:
        """The broker answered a publication: `refusal` is None if it has taken it, else its reason code's name."""

    def on_subscription_refused(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says, retained, when the connection is lost."""

    topic: str
    payload: str


@dataclass(frozen=True, slots=True)
class End:
    """How a session ended."""

    reason: str
    slow: bool = False
    """Whether the next attempt should wait for long."""
    lasted: float = 0.0
    """Seconds it was connected."""
    unknown_version: bool = False
    """Whether the broker said that it does not know this version of MQTT."""
    silent: bool = False
    """Whether it took the time for an answer without giving one."""
    hung_up: bool = False
    """Whether it ended the connection without an answer."""


class Session:
    """One connection: a paho client and what became of it."""

    def __init__(self, number: int, client: Client) -> None:
        self.number = number
        self.client = client
        self.answered = threading.Event()
        self.closed = threading.Event()
        self.refusal: ReasonCode | None = None
        self.farewell: str | None = None
        """Why it ended, where that was said; None: the connection was just gone."""
        self.up = False

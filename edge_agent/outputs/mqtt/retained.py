"""What the broker retains: published, and asked whether it was taken, for nobody else would notice."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.paho_client import TooLargeError
from edge_agent.outputs.mqtt.troubles import explain_too_large, remedy_of_untaken

_LOG = logging.getLogger(__name__)

_MOST_NAMED = 3
"""Topics that are named in one breath."""

Publish = Callable[[str, "bytes | str"], "int | None"]
"""(topic, payload), to be retained, to the publication's number; None: there is no connection. Raises
`TooLargeError`: the broker takes nothing of that length."""


class Retained:
    """Publishes, and says what the broker did not take, which is tried again once in a while. Used by one thread
    alone, but for `publish` if that hangs.

    Only a broker of MQTT 5 tells; to one of 3.1.1 all is as if it were taken.
    """

    def __init__(self, publish: Publish, *, clock: Clock, retry: float) -> None:
        """`retry`: seconds after which what was refused is published again."""
        self._publish = publish
        self._clock = clock
        self._retry = retry
        self._latest: dict[str, bytes | str] = {}
        self._waiting: dict[int, str] = {}  # publications without an answer yet, by their numbers
        self._refused: dict[str, str] = {}  # by topic: the name of the reason code
        self._too_large: dict[str, int] = {}  # by topic: the broker's limit
        self._warned: set[str] = set()
        self._retry_at = math.inf

    @property
    def wait(self) -> float:
        """Seconds until something refused is due to be tried again."""
        return max(0.0, self._retry_at - self._clock.monotonic())

    @property
    def untaken(self) -> str | None:
        """What the broker does not take, why, and what to do about it; None: nothing."""
        texts = [str(explain_too_large(topic, limit)) for topic, limit in self._too_large.copy().items()]
        refused = self._refused.copy()  # another thread may publish if the worker hangs
        for refusal in dict.fromkeys(refused.values()):
            topics = [topic for topic, other in refused.items() if other == refusal]
            named = ", ".join(topics[:_MOST_NAMED])
            if len(topics) > _MOST_NAMED:
                named += f" and {len(topics) - _MOST_NAMED} more"
            remedy = remedy_of_untaken(refusal, "them" if len(topics) > 1 else "it")
            texts.append(f"the broker does not take {named} ({refusal}): {remedy}")
        return "; ".join(texts) or None

    def connected(self) -> None:
        """A new connection: nothing is known of what it takes."""
        self._waiting.clear()
        self._refused.clear()
        self._too_large.clear()
        self._warned.clear()
        self._retry_at = math.inf

    def publish(self, topic: str, payload: bytes | str) -> int | None:
        """Publish, or skip what the broker would break the connection over; returns the publication's number, None:
        it was not sent."""
        self._latest[topic] = payload
        try:
            mid = self._publish(topic, payload)
        except TooLargeError as error:
            self._too_large[topic] = error.limit
            self._warn(topic, f"{explain_too_large(topic, error.limit)}, to {error.size} at least")
            return None
        if mid is not None:
            self._waiting[mid] = topic
        return mid

    def answered(self, mid: int, refusal: str | None) -> bool:
        """The broker's answer (:class:`Ack`); False: to something else."""
        topic = self._waiting.pop(mid, None)
        if topic is None:
            return False
        if refusal is None:
            self._refused.pop(topic, None)
            self._too_large.pop(topic, None)
            return True
        self._refused[topic] = refusal
        self._warn(topic, f"the broker does not take {topic} ({refusal}): {remedy_of_untaken(refusal, 'it')}")
        self._retry_at = min(self._retry_at, self._clock.monotonic() + self._retry)
        return True

    def retry(self) -> None:
        """Publish again what was refused, if it is time."""
        if self.wait <= 0:
            self._retry_at = math.inf
            for topic in list(self._refused):
                self.publish(topic, self._latest[topic])

    def _warn(self, topic: str, text: str) -> None:
        if topic not in self._warned:
            self._warned.add(topic)
            _LOG.warning("MQTT: %s", text)

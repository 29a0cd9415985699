"""What others may tell the device: switches and the test beep."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable

from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.switches import NAMES, Switches, SwitchValues

_LOG = logging.getLogger(__name__)

CHECK = b"check"
"""What `edge-agent check` sends to a switch to see whether commands arrive; it switches nothing."""

_WORDS = {"ON": True, "OFF": False}
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?")
_LONGEST = 48
_QUIET = 60.0
"""Seconds in which no second complaint of a topic is logged: whoever sends nonsense may send it without end, and
the journal drops the service's other lines where there are too many."""


class Commands:
    """Carries out the messages on the command topics."""

    def __init__(
        self,
        topics: Topics,
        switches: Switches,
        *,
        on_buzzer_test: Callable[[], None],
        publish_state: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`publish_state`: called with a switch's name when its state is to be told again; `monotonic`: seconds."""
        self._topics = topics
        self._switches = switches
        self._on_buzzer_test = on_buzzer_test
        self._publish_state = publish_state
        self._names = {topics.switch_set(name): name for name in NAMES}
        self._monotonic = monotonic
        self._told: dict[str, tuple[float, int]] = {}
        """By topic: when a complaint was logged, and how many were not since."""

    def handle(self, topic: str, payload: bytes, *, retained: bool) -> bool:
        """Carry out one message; False if its topic is no command. Never raises for a wrong payload."""
        name = self._names.get(topic)
        if name is None and topic != self._topics.buzzer_test:
            return False
        if name is not None and payload == CHECK:
            return True
        if retained:
            # somebody's old wish: obeying it at each connect would undo what was switched since
            self._complain(topic, f"retained message on {topic} ignored: commands must not be retained")
        elif name is None:
            self._on_buzzer_test()
        else:
            self._switch(name, payload)
        return True

    def _switch(self, name: str, payload: bytes) -> None:
        before = self._switches.get()
        try:
            values = self._switches.set(name, parse(name, payload))
        except ValueError as error:
            topic = self._topics.switch_set(name)
            self._complain(topic, f"message on {topic} refused: {error}")
            self._publish_state(name)
            return
        if values == before:  # nothing changed, so no observer was called; the asker is answered all the same
            self._publish_state(name)

    def _complain(self, topic: str, what: str) -> None:
        now = self._monotonic()
        before, unsaid = self._told.get(topic, (-math.inf, 0))
        if now - before < _QUIET:
            self._told[topic] = before, unsaid + 1
            return
        self._told[topic] = now, 0
        _LOG.warning("%s%s", what, f" ({unsaid} like it went before)" if unsaid else "")


def parse(name: str, payload: bytes) -> bool | float:
    """The value that a payload on a switch's topic stands for.

    Raises:
        ValueError: it is neither `ON`/`OFF` nor a number, whichever the switch needs.
    """
    text = payload[: _LONGEST + 1].decode("utf-8", errors="replace").strip()
    shown = repr(text[:_LONGEST])
    if name in ("detection", "mute"):
        if text not in _WORDS:
            raise ValueError(f"{name} takes ON or OFF, not {shown}")
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):  # float() would take "1_0" and "infinity" too
        raise ValueError(f"{name} takes a number, not {shown}")
    return float(text)


def state_text(name: str, values: SwitchValues) -> str:
    """What a switch's state topic says."""
    value = getattr(values, name)
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    return f"{value:.6g}" if abs(value) < 100_000 else repr(value)

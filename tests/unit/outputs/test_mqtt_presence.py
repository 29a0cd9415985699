"""In which order the presence is told, by a clock of its own."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from edge_agent.config import DeviceSettings, MqttSettings
from edge_agent.outputs.mqtt.clock import Clock
from edge_agent.outputs.mqtt.payloads import StatusPayload
from edge_agent.outputs.mqtt.presence import STATUS_AFTER, Presence
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.switches import Switches


class Desk:
    """A presence with a link and a clock of its own."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.said: list[str] = []
        clock = Clock(
            wall=lambda: datetime.now(timezone.utc),
            monotonic=lambda: self.seconds,
            synced=lambda: True,
            boot_id="boot",
        )
        self.presence = Presence(
            MqttSettings(refused_retry=60),
            DeviceSettings(id="door"),
            topics=Topics("door"),
            switches=Switches(None),
            snapshots=False,
            link=self,  # type: ignore[arg-type]  # all of it that is needed
            clock=clock,
        )

    def publish(self, topic: str, payload: bytes | str, *, retain: bool = False) -> int:
        leaf = topic.partition("/")[2].partition("/")[2]
        self.said.append(str(payload) if leaf == "availability" else leaf)
        return len(self.said)

    def subscribe(self, _topics: tuple[str, ...]) -> None:
        self.said.append("subscribed")

    def last(self, count: int) -> list[str]:
        return self.said[-count:]


def status(uptime: float) -> StatusPayload:
    return StatusPayload(version="1", uptime=uptime, camera="ok", health="ok")


def test_a_connection_waits_for_a_status_that_knows_of_it() -> None:
    desk = Desk()
    desk.presence.inform(status(1), connected=False)
    desk.presence.introduce()
    desk.presence.tell()
    desk.presence.inform(status(1), connected=False)  # taken before the connection, and told of only now
    desk.presence.tell()
    assert not {"online", "status"} & set(desk.said)
    desk.presence.inform(status(2), connected=True)
    desk.presence.tell()
    assert desk.last(2) == ["status", "online"]
    desk.presence.tell()
    assert desk.said.count("online") == 1
    desk.presence.inform(status(3), connected=True)
    desk.presence.tell()
    assert desk.last(2) == ["online", "status"]


@pytest.mark.parametrize("known", [True, False])
def test_it_does_not_wait_for_ever(known: bool) -> None:
    desk = Desk()
    if known:
        desk.presence.inform(status(1), connected=False)
    desk.presence.introduce()
    assert desk.presence.wait == pytest.approx(STATUS_AFTER)
    assert STATUS_AFTER <= 1
    desk.seconds += STATUS_AFTER
    desk.presence.tell()
    assert desk.said[-1] == "online"
    assert ("status" in desk.said) is known
    assert desk.presence.wait > 1e6


def test_a_status_that_knows_of_the_connection_already_is_told_at_once() -> None:
    desk = Desk()
    desk.presence.inform(status(1), connected=True)
    desk.presence.introduce()
    desk.presence.tell()
    assert desk.last(2) == ["status", "online"]


def test_home_assistant_may_be_born_while_it_waits() -> None:
    desk = Desk()
    desk.presence.introduce()
    desk.presence.describe()
    assert "online" not in desk.said
    desk.presence.inform(status(1), connected=True)
    desk.presence.tell()
    assert desk.last(2) == ["status", "online"]


def test_who_leaves_while_it_waits_was_never_online() -> None:
    desk = Desk()
    desk.presence.inform(status(1), connected=True)
    desk.presence.introduce()
    desk.presence.leave()
    assert desk.last(2) == ["status", "offline"]
    desk.seconds += STATUS_AFTER
    desk.presence.tell()
    desk.presence.describe()
    assert "online" not in desk.said


def test_what_was_refused_is_tried_again_in_a_while() -> None:
    desk = Desk()
    desk.presence.introduce()
    number = desk.said.index("mute/state") + 1
    assert desk.presence.answered(number, "Not authorized")
    assert not desk.presence.answered(number, None), "answered already"
    assert not desk.presence.answered(4711, None), "somebody else's"
    assert "edge_agent/door/mute/state" in (desk.presence.untaken or "")
    desk.seconds += 59
    desk.presence.tell()
    assert desk.said.count("mute/state") == 1
    desk.seconds += 1
    desk.presence.tell()
    assert desk.said.count("mute/state") == 2
    assert desk.presence.answered(len(desk.said), None)
    assert desk.presence.untaken is None
    assert desk.presence.wait > 1e6


def test_past_a_worker_that_hangs_the_status_is_told_once_and_nothing_else() -> None:
    desk = Desk()
    desk.presence.inform(status(1), connected=True)
    desk.presence.introduce()
    desk.presence.tell()
    since = len(desk.said)
    desk.presence.inform(status(2), connected=False)
    desk.presence.insist()  # it says that there is no connection, which is over
    assert desk.said[since:] == []
    desk.presence.inform(status(3), connected=True)
    for _ in range(2):
        desk.presence.insist()
    desk.presence.tell()
    assert desk.said[since:] == ["status"]


def test_a_connection_past_a_worker_that_hangs_is_introduced_later() -> None:
    desk = Desk()
    desk.presence.inform(status(1), connected=True)
    desk.presence.insist()
    assert desk.said == ["status"]
    desk.presence.introduce()
    desk.presence.tell()
    assert desk.last(2) == ["status", "online"]

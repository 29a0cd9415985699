"""What the service ties together: commands reach the rooms they are for, and every output gets what it shows."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mosquitto import Mosquitto, Subscriber
from test_service import configuration, edge_agent, running

Run = Callable[..., None]


@pytest.fixture
def service(tmp_path: Path, broker: Mosquitto) -> Iterator[Run]:
    """Runs the service with these sections besides the film's and the broker's."""
    with ExitStack() as stack:
        yield lambda **sections: stack.enter_context(
            running(*edge_agent("run", "-c", configuration(tmp_path, broker.port, **sections)))
        )


def statuses(watch: Subscriber) -> list[dict[str, Any]]:
    return [message.json for message in watch.on("door/status")]


def test_detection_is_switched_off_and_on(service: Run, watch: Subscriber) -> None:
    service()
    watch.wait(lambda: watch.violations(), "somebody is reported", 60)
    watch.publish("edge_agent/door/detection/set", "OFF")
    watch.wait(lambda: [s["camera"] for s in statuses(watch)[-1:]] == ["paused"], "nobody looks", 60)
    watch.wait(lambda: statuses(watch)[-1]["people"] == 0, "nobody is in view", 60)

    def events(kind: str) -> set[str]:
        return {violation["event_id"] for violation in watch.violations() if violation["type"] == kind}

    watch.wait(lambda: events("started") == events("ended"), "what nobody watches is over", 60)
    before = events("started")
    watch.publish("edge_agent/door/detection/set", "ON")
    watch.wait(lambda: events("started") > before, "reported again", 60)


def test_mute_and_a_test_beep_reach_the_buzzer(tmp_path: Path, broker: Mosquitto, watch: Subscriber) -> None:
    with running(*edge_agent("run", "-c", configuration(tmp_path, broker.port))) as process:
        watch.wait(lambda: watch.on("/availability"), "online", 60)
        watch.publish("edge_agent/door/mute/set", "ON")
        watch.wait(lambda: watch.on("/mute/state")[-1].payload == b"ON", "muted")
        watch.publish("edge_agent/door/buzzer/test", "please")
        watch.wait(lambda: watch.violations(), "somebody is reported", 60)
        process.terminate()
        _, log = process.communicate(timeout=60)
    beeps = [line.rpartition("buzzer: ")[2] for line in log.splitlines() if "buzzer: " in line]
    assert beeps == ["test, 1 times"], "asked for by hand, it sounds; an alarm does not"


def test_a_picture_comes_before_its_event(service: Run, watch: Subscriber) -> None:
    service(snapshots={"enabled": True})
    watch.wait(lambda: watch.violations(), "somebody is reported", 60)
    ends = [message.topic.rpartition("/")[2] for message in list(watch.seen)]
    assert ends.index("snapshot") < ends.index("violation")
    picture = cv2.imdecode(np.frombuffer(watch.on("/snapshot")[0].payload, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.shape[2] == 3


def test_what_the_disk_does_not_take_is_told_with_the_health(
    service: Run, tmp_path: Path, watch: Subscriber
) -> None:
    (tmp_path / "state" / "today.json" / "in the way").mkdir(parents=True)
    (tmp_path / "pictures").touch()
    service(snapshots={"enabled": True, "directory": str(tmp_path / "pictures")})
    wanted = ("disk: today's counts can't be kept", "disk: snapshots can't be kept")
    watch.wait(lambda: watch.on("door/status"), "a status", 60)
    watch.wait(lambda: all(text in statuses(watch)[-1]["reason"] for text in wanted), "the status says so", 60)


def test_the_page_shows_the_status_that_is_published(service: Run, watch: Subscriber) -> None:
    pytest.importorskip("aiohttp", reason="needs the web extra")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service(web={"enabled": True, "port": port})
    watch.wait(lambda: statuses(watch), "a status", 60)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status", timeout=10) as answer:
        shown = json.load(answer)
    assert shown["version"] == statuses(watch)[-1]["version"]
    assert shown["camera"] == "ok" and shown["schema"] == 1

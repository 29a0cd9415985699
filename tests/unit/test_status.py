"""The status message: complete, never invalid, and sent when something people wait for has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema

from edge_agent.camera.stats import CameraStats
from edge_agent.outputs.buzzer import BuzzerStats
from edge_agent.outputs.mqtt.output import MqttStats
from edge_agent.outputs.mqtt.payloads import StatusPayload, schemas
from edge_agent.outputs.snapshots import SnapshotStats
from edge_agent.service.board_watch import BoardState
from edge_agent.service.health import Health
from edge_agent.service.statistics import Statistics
from edge_agent.status import changed, status_line, status_payload


def status(**other: Any) -> StatusPayload:
    values: dict[str, Any] = {
        "camera": CameraStats("ok", failures={"stalled": 2}, reopened=2),
        "word": "ok",
        "figures": Statistics().snapshot(),
        "people": 2,
        "violations": 1,
        "mqtt": MqttStats(True, None, 2, depth=3, committed=9, dropped=1, dropped_pictures=0, alarm=None),
        "bell": BuzzerStats("gpio", True, None, muted=False, beeps=4, skipped=0, failures=5),
        "snapshots": SnapshotStats(made=3, saved=1, failed=6, skipped=0),
        "slowed": None,
        "board": BoardState(51.0, (), True),
        "health": Health("ok"),
    }
    return status_payload(**{**values, **other})


def test_it_is_what_the_schema_says() -> None:
    import json

    message = json.loads(status().to_json())
    jsonschema.validate(message, schemas()["status"])
    assert message["camera_failures"] == {"stalled": 2}
    assert message["people"] == 2
    assert message["outbox"] == {"depth": 3, "dropped": 1, "alarm": None}
    failures = [message[f"{part}_failures"] for part in ("broker", "buzzer", "snapshot")]
    assert failures == [2, 5, 6]


def test_what_is_switched_off_never_fails() -> None:
    off = status(mqtt=None, snapshots=None)
    assert (off.outbox.depth, off.broker_failures, off.snapshot_failures) == (0, 0, 0)


def test_a_camera_ahead_of_our_clock_makes_no_invalid_message() -> None:
    figures = replace(Statistics().snapshot(), latency_ms=-3.0, fps_captured=0.0)
    assert status(figures=figures).frame_age_ms == 0.0


def test_seconds_that_pass_are_no_news() -> None:
    old = status(health=Health("failed", ("the newest frame is 11 s old",)))
    assert not changed(old, status(health=Health("failed", ("the newest frame is 12 s old",))))
    assert changed(old, status(health=Health("failed", ("frames are 1.2 s old when they come",))))
    assert changed(old, status(health=Health("failed", ("the newest frame is 12 s old", "board: throttled"))))


def test_what_people_wait_for_is_a_change_and_rates_are_not() -> None:
    before = status()
    assert changed(None, before)
    assert not changed(before, status(board=BoardState(60.0, (), True), mqtt=None))
    assert changed(before, status(people=3))
    assert changed(before, status(health=Health("degraded", ("hot",))))
    assert changed(before, status(slowed="80 °C hot"))


def test_the_line_for_systemctl_names_the_reason() -> None:
    line = status_line(status(health=Health("degraded", ("buzzer: GPIO 17 is busy",))))
    assert line.startswith("degraded: camera ok")
    assert "(buzzer: GPIO 17 is busy)" in line
    assert "3 waiting for the broker" in line

"""The status message: complete, never invalid, and sent when something people wait for has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema

from edge_agent.camera.stats import CameraStats
from edge_agent.outputs.mqtt.payloads import OutboxStatus, StatusPayload, schemas
from edge_agent.report import changed, status_line, status_payload
from edge_agent.service.health import Health
from edge_agent.service.statistics import Statistics


def status(**other: Any) -> StatusPayload:
    values: dict[str, Any] = {
        "camera": CameraStats("ok", failures={"stalled": 2}, reopened=2),
        "paused": False,
        "figures": Statistics().snapshot(),
        "people": 2,
        "violations": 1,
        "outbox": OutboxStatus(depth=3),
        "slowed": None,
        "temperature": 51.0,
        "throttled": (),
        "clock_synced": True,
        "health": Health("ok"),
    }
    return status_payload(**{**values, **other})


def test_it_is_what_the_schema_says() -> None:
    import json

    message = json.loads(status().to_json())
    jsonschema.validate(message, schemas()["status"])
    assert message["camera_failures"] == {"stalled": 2}
    assert message["people"] == 2


def test_a_camera_ahead_of_our_clock_makes_no_invalid_message() -> None:
    figures = replace(Statistics().snapshot(), latency_ms=-3.0, fps_captured=0.0)
    assert status(figures=figures).frame_age_ms == 0.0


def test_a_paused_watch_says_so_unless_the_camera_is_lost() -> None:
    assert status(paused=True).camera == "paused"
    assert status(paused=True, camera=CameraStats("lost", "unplugged")).camera == "lost"


def test_what_people_wait_for_is_a_change_and_rates_are_not() -> None:
    before = status()
    assert changed(None, before)
    assert not changed(before, status(temperature=60.0, outbox=OutboxStatus(depth=4)))
    assert changed(before, status(people=3))
    assert changed(before, status(health=Health("degraded", ("hot",))))
    assert changed(before, status(slowed="80 °C hot"))


def test_the_line_for_systemctl_names_the_reason() -> None:
    line = status_line(status(health=Health("degraded", ("the buzzer does not work",))))
    assert line.startswith("degraded: camera ok")
    assert "(the buzzer does not work)" in line
    assert "3 waiting for the broker" in line

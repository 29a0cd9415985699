from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import jsonschema
import pytest
from pydantic import ValidationError
from violations import make_notice

from edge_agent.config import DeviceSettings, ViolationSettings
from edge_agent.outputs.mqtt.check import LONGEST_VIOLATION
from edge_agent.outputs.mqtt.discovery import EVENT_TYPES, components, discovery_message
from edge_agent.outputs.mqtt.payloads import (
    StatusPayload,
    ViolationFacts,
    ViolationPayload,
    rfc3339,
    schemas,
)
from edge_agent.outputs.mqtt.topics import Topics
from edge_agent.outputs.switches import NAMES, Switches
from edge_agent.types import Verdict

ROOT = Path(__file__).parents[3]
TOPICS = Topics("door")
RANGES = Switches(None).ranges


def test_times_are_utc_with_milliseconds() -> None:
    west = timezone(-timedelta(hours=8))
    assert rfc3339(datetime(2026, 12, 31, 16, 0, 0, 999_999, tzinfo=west)) == "2027-01-01T00:00:00.999Z"
    assert rfc3339(datetime(2026, 1, 2, tzinfo=timezone.utc)) == "2026-01-02T00:00:00.000Z"


def test_every_schema_is_a_valid_schema() -> None:
    for schema in schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("availability", "gone"),
        ("switch", "on"),
        ("threshold", 0.4),
        ("cooldown", -1),
        ("status", {"schema": 1}),
        ("violation", {"schema": 2}),
        ("discovery", {"device": {}, "origin": {}, "components": {}}),
    ],
)
def test_every_schema_refuses_something(name: str, wrong: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schemas()[name])


def test_a_status_needs_real_numbers() -> None:
    with pytest.raises(ValidationError):
        StatusPayload(version="1", uptime=float("nan"), camera="ok", health="ok")
    with pytest.raises(ValidationError):
        StatusPayload(version="1", uptime=1, camera="ok", health="fine")  # type: ignore[arg-type]


def test_a_box_is_clipped_to_the_frame() -> None:
    facts = ViolationFacts.from_violation(make_notice(box=(-0.2, 0.1, 1.3, 0.123456)).violation)
    assert facts.box == (0.0, 0.1, 1.0, 0.1235)


def test_a_confidence_that_rounding_lifts_above_one_is_no_loss() -> None:
    assert ViolationFacts.from_violation(make_notice(confidence=1.0000000000000002).violation).confidence == 1.0


def test_no_violation_is_longer_than_check_reckons() -> None:
    late = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc)
    longest = ViolationPayload(
        event_id=str(uuid4()),
        type="started",
        kind="incorrect",
        person=2**63,
        confidence=0.12345678901234566,
        votes=2**63,
        gender="unknown",
        box=(0.1234, 0.1234, 0.1234, 0.1234),
        occurred_at=late,
        ended_at=late,
        boot_id=str(uuid4()),
        seq=2**63,
        replayed=False,
        clock_synced=False,
    )
    assert LONGEST_VIOLATION - 100 < len(longest.to_json()) <= LONGEST_VIOLATION


def test_a_verdict_that_is_no_violation_is_refused() -> None:
    with pytest.raises(ValidationError):
        ViolationFacts.from_violation(make_notice(kind=Verdict.MASK).violation)


def test_gender_may_be_switched_off() -> None:
    facts = json.loads(ViolationFacts.from_violation(make_notice(gender=None).violation).to_json())
    assert facts["gender"] is None


def test_the_ranges_of_the_schema_are_those_of_the_switches() -> None:
    schema = schemas()
    assert (schema["threshold"]["minimum"], schema["threshold"]["maximum"]) == RANGES["threshold"]
    assert (schema["cooldown"]["minimum"], schema["cooldown"]["maximum"]) == RANGES["cooldown"]
    assert ViolationSettings(cooldown=RANGES["cooldown"][1]), "the configuration allows as much"


def test_the_page_is_up_to_date() -> None:
    run = subprocess.run(
        [sys.executable, str(ROOT / "script" / "generate-mqtt-docs"), "--check"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("snapshots", [True, False])
def test_discovery_follows_home_assistants_documentation(snapshots: bool) -> None:
    device = DeviceSettings(id="door", name="Eingang Süd")
    message = json.loads(discovery_message(TOPICS, device, snapshots=snapshots, ranges=RANGES))
    jsonschema.validate(message, schemas()["discovery"])
    found = message["components"]
    full = {key: entity for key, entity in found.items() if len(entity) > 1}
    assert len({entity["unique_id"] for entity in full.values()}) == len(full)
    assert all(entity["default_entity_id"].startswith(entity["platform"] + ".") for entity in full.values())
    assert ("snapshot" in full) is snapshots
    assert found["snapshot"] == {"platform": "image"} or snapshots, "removed by its platform alone"


def test_discovery_lists_all_entities() -> None:
    platforms = {key: e["platform"] for key, e in components(TOPICS, snapshots=True, ranges=RANGES).items()}
    assert platforms == {
        "camera": "sensor",
        "camera_reopened": "sensor",
        "connectivity": "binary_sensor",
        "problem": "binary_sensor",
        "occupancy": "binary_sensor",
        "violation": "event",
        "today_no_mask": "sensor",
        "today_incorrect": "sensor",
        "fps": "sensor",
        "temperature": "sensor",
        "health": "sensor",
        "reason": "sensor",
        "detection": "switch",
        "mute": "switch",
        "threshold": "number",
        "cooldown": "number",
        "test_beep": "button",
        "snapshot": "image",
    }


def test_replayed_events_have_types_of_their_own() -> None:
    event = components(TOPICS, snapshots=False, ranges=RANGES)["violation"]
    assert event["event_types"] == list(EVENT_TYPES)
    assert {f"replayed_{name}" for name in ("started", "ended")} <= set(EVENT_TYPES)


def test_entities_use_the_devices_own_topics() -> None:
    own = {TOPICS.availability, TOPICS.status, TOPICS.violation, TOPICS.snapshot, TOPICS.buzzer_test}
    own |= {TOPICS.switch_set(name) for name in NAMES} | {TOPICS.switch_state(name) for name in NAMES}
    for entity in components(TOPICS, snapshots=True, ranges=RANGES).values():
        used = {value for key, value in entity.items() if key.endswith("_topic")}
        assert used
        assert used <= own


def test_an_upper_case_device_id_makes_a_lower_case_entity_id() -> None:
    found = components(Topics("Front-Door_1"), snapshots=False, ranges=RANGES)
    assert found["health"]["default_entity_id"] == "sensor.edge_agent_front-door_1_health"
    assert found["health"]["unique_id"] == "edge_agent_Front-Door_1_health"


def test_commands_are_never_what_the_device_publishes() -> None:
    published = {*TOPICS.retained(), TOPICS.violation, TOPICS.snapshot}
    assert published.isdisjoint(TOPICS.commands())
    assert not any(sign in topic for topic in TOPICS.commands() for sign in "+#")

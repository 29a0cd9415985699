"""The one message by which Home Assistant finds the device and all its entities.

The format is Home Assistant's MQTT device discovery: https://www.home-assistant.io/integrations/mqtt/#discovery-messages-device
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edge_agent import __version__
from edge_agent.config import DeviceSettings
from edge_agent.outputs.mqtt.payloads import OFFLINE, ONLINE
from edge_agent.outputs.mqtt.topics import Topics

Ranges = Mapping[str, tuple[float, float]]

EVENT_TYPES = ("started", "ended", "replayed_started", "replayed_ended")
"""A replayed event has a type of its own, so that no automation takes it for a live one."""

# an event entity wants `event_type` in the payload; the rest of it becomes attributes
_EVENT_TEMPLATE = (
    "{{ dict(value_json, event_type=('replayed_' if value_json.replayed else '') ~ value_json.type) | tojson }}"
)


def discovery_message(topics: Topics, device: DeviceSettings, *, snapshots: bool, ranges: Ranges) -> bytes:
    """The retained JSON for `topics.discovery`. `ranges`: lowest and highest `threshold` and `cooldown`."""
    message = {
        "device": {
            "identifiers": [f"edge_agent_{topics.device_id}"],
            "name": device.name,
            "manufacturer": "edge-agent",
            "model": "Face-mask watch",
            "sw_version": __version__,
        },
        "origin": {"name": "edge-agent", "sw_version": __version__},
        "components": components(topics, snapshots=snapshots, ranges=ranges),
        "qos": 1,
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def components(topics: Topics, *, snapshots: bool, ranges: Ranges) -> dict[str, dict[str, Any]]:
    """All entities by key; one that is switched off holds its platform alone, which removes it."""
    found: dict[str, dict[str, Any]] = {
        # no availability of its own: it is to say "disconnected", not to become unavailable
        "connectivity": {
            "platform": "binary_sensor",
            "name": "Connection",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": topics.availability,
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
        },
        **{key: {**entity, **_availability(topics)} for key, entity in _readings(topics).items()},
        **{key: {**entity, **_availability(topics)} for key, entity in _controls(topics, ranges).items()},
        # nor this: coming back from "unavailable" would look like its latest event happening again
        "violation": {
            "platform": "event",
            "name": "Violation",
            "icon": "mdi:face-mask-outline",
            "state_topic": topics.violation,
            "event_types": list(EVENT_TYPES),
            "value_template": _EVENT_TEMPLATE,
        },
    }
    if snapshots:
        found["snapshot"] = {
            "platform": "image",
            "name": "Last violation",
            "image_topic": topics.snapshot,
            "content_type": "image/jpeg",
            **_availability(topics),
        }
    for key, entity in found.items():
        entity["unique_id"] = f"edge_agent_{topics.device_id}_{key}"
        entity["default_entity_id"] = f"{entity['platform']}.edge_agent_{topics.device_id}_{key}".lower()
    if not snapshots:
        found["snapshot"] = {"platform": "image"}
    return found


def _availability(topics: Topics) -> dict[str, str]:
    return {
        "availability_topic": topics.availability,
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
    }


def _readings(topics: Topics) -> dict[str, dict[str, Any]]:
    """What the status tells."""
    diagnostic = {"entity_category": "diagnostic"}
    entities: dict[str, dict[str, Any]] = {
        "problem": {
            "platform": "binary_sensor",
            "name": "Violation now",
            "device_class": "problem",
            "value_template": "{{ 'ON' if value_json.violations > 0 else 'OFF' }}",
        },
        "occupancy": {
            "platform": "binary_sensor",
            "name": "People in view",
            "device_class": "occupancy",
            "value_template": "{{ 'ON' if value_json.people > 0 else 'OFF' }}",
        },
        "today_no_mask": {
            "platform": "sensor",
            "name": "Without a mask today",
            "icon": "mdi:counter",
            "state_class": "total_increasing",
            "value_template": "{{ value_json.today.no_mask }}",
        },
        "today_incorrect": {
            "platform": "sensor",
            "name": "Mask worn incorrectly today",
            "icon": "mdi:counter",
            "state_class": "total_increasing",
            "value_template": "{{ value_json.today.incorrect }}",
        },
        "fps": {
            "platform": "sensor",
            "name": "Frame rate",
            "icon": "mdi:speedometer",
            "state_class": "measurement",
            "unit_of_measurement": "FPS",
            "suggested_display_precision": 1,
            "value_template": "{{ value_json.frames.processed }}",
            **diagnostic,
        },
        "camera": {
            "platform": "sensor",
            "name": "Camera",
            "icon": "mdi:cctv",
            "value_template": "{{ value_json.camera }}",
            **diagnostic,
        },
        "camera_reopened": {
            "platform": "sensor",
            "name": "Camera opened again",
            "icon": "mdi:restart-alert",
            "state_class": "total_increasing",
            "value_template": "{{ value_json.camera_reopened }}",
            **diagnostic,
        },
        "temperature": {
            "platform": "sensor",
            "name": "Temperature",
            "device_class": "temperature",
            "state_class": "measurement",
            "unit_of_measurement": "°C",
            "value_template": "{{ value_json.temperature }}",
            **diagnostic,
        },
        "health": {
            "platform": "sensor",
            "name": "Health",
            "device_class": "enum",
            "options": ["ok", "degraded", "failed"],
            "value_template": "{{ value_json.health }}",
            **diagnostic,
        },
        "reason": {
            "platform": "sensor",
            "name": "Health reason",
            "icon": "mdi:information-outline",
            "value_template": "{{ (value_json.reason or '-')[:255] }}",
            **diagnostic,
        },
    }
    return {key: {**entity, "state_topic": topics.status} for key, entity in entities.items()}


def _controls(topics: Topics, ranges: Ranges) -> dict[str, dict[str, Any]]:
    """What can be switched."""
    config = {"entity_category": "config"}
    entities: dict[str, dict[str, Any]] = {
        "detection": {"platform": "switch", "name": "Detection", "icon": "mdi:eye"},
        "mute": {"platform": "switch", "name": "Mute", "icon": "mdi:volume-off"},
        "threshold": {
            "platform": "number",
            "name": "Threshold",
            "icon": "mdi:tune",
            "step": 0.01,
            "mode": "slider",
            **config,
        },
        "cooldown": {
            "platform": "number",
            "name": "Cooldown",
            "icon": "mdi:timer-outline",
            "step": 1,
            "mode": "box",
            "unit_of_measurement": "s",
            **config,
        },
    }
    for name, entity in entities.items():
        entity["state_topic"] = topics.switch_state(name)
        entity["command_topic"] = topics.switch_set(name)
        if name in ranges:
            entity["min"], entity["max"] = ranges[name]
    entities["test_beep"] = {
        "platform": "button",
        "name": "Test beep",
        "icon": "mdi:bullhorn",
        "command_topic": topics.buzzer_test,
        "payload_press": "PRESS",
        **config,
    }
    return entities

"""JSON Schema of the discovery message, after Home Assistant's documentation of each platform.

https://www.home-assistant.io/integrations/mqtt/ and its pages for the platforms name the options and which of them
are required; only the options that the device uses are allowed here, so that a misspelt one is found.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_COMMON = {
    "platform",
    "unique_id",
    "default_entity_id",
    "name",
    "icon",
    "entity_category",
    "availability_topic",
    "payload_available",
    "payload_not_available",
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "icon": {"type": "string", "pattern": "^mdi:[a-z0-9-]+$"},
    "entity_category": {"enum": ["config", "diagnostic"]},
    "state_class": {"enum": ["measurement", "total", "total_increasing"]},
    "options": {"type": "array", "items": _TEXT, "minItems": 1},
    "event_types": {"type": "array", "items": _TEXT, "minItems": 1},
    "suggested_display_precision": {"type": "integer", "minimum": 0},
    "min": {"type": "number"},
    "max": {"type": "number"},
    "step": {"type": "number", "minimum": 0.001},
    "mode": {"enum": ["auto", "box", "slider"]},
    "default_entity_id": {"type": "string", "pattern": r"^[a-z_]+\.[a-z0-9_-]+$"},
}
_PLATFORMS: dict[str, tuple[set[str], set[str]]] = {
    # platform: (required, optional) besides the common ones
    "binary_sensor": ({"state_topic"}, {"device_class", "payload_on", "payload_off", "value_template"}),
    "sensor": (
        {"state_topic"},
        {
            "device_class",
            "options",
            "state_class",
            "suggested_display_precision",
            "unit_of_measurement",
            "value_template",
        },
    ),
    "switch": ({"command_topic"}, {"state_topic"}),
    "number": ({"command_topic"}, {"state_topic", "min", "max", "step", "mode", "unit_of_measurement"}),
    "button": ({"command_topic"}, {"payload_press"}),
    "event": ({"state_topic", "event_types"}, {"value_template"}),
    "image": ({"image_topic"}, {"content_type"}),
}


def discovery_schema() -> dict[str, Any]:
    """The schema, draft 2020-12, without its `$schema`."""
    entities: list[dict[str, Any]] = [
        {
            "title": "removed",
            "description": "The platform alone removes an entity that was described before.",
            "type": "object",
            "properties": {"platform": {"enum": sorted(_PLATFORMS)}},
            "required": ["platform"],
            "additionalProperties": False,
        }
    ]
    for platform, (required, optional) in _PLATFORMS.items():
        names = sorted(_COMMON | required | optional)
        properties = {name: _OPTIONS.get(name, _TEXT) for name in names}
        entities.append(
            {
                "title": platform,
                "type": "object",
                "properties": {**properties, "platform": {"const": platform}},
                "required": sorted({"platform", "unique_id", "name"} | required),
                "additionalProperties": False,
            }
        )
    texts = {"type": "array", "items": _TEXT, "minItems": 1}
    device = {"identifiers": texts, **dict.fromkeys(("name", "manufacturer", "model", "sw_version"), _TEXT)}
    origin = dict.fromkeys(("name", "sw_version"), _TEXT)
    return {
        "title": "Discovery",
        "description": "`homeassistant/device/edge_agent_<device_id>/config`: all entities. Retained.",
        "type": "object",
        "properties": {
            "device": _closed(device, ["identifiers", "name"]),
            "origin": _closed(origin, ["name"]),
            "components": {
                "type": "object",
                "additionalProperties": {"oneOf": entities},
                "minProperties": 1,
            },
            "qos": {"enum": [0, 1, 2]},
        },
        "required": ["device", "origin", "components"],
        "additionalProperties": False,
    }


def _closed(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }

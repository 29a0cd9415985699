"""What crosses the wire: the JSON payloads, their JSON Schema, and the two words of availability."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, TypeAdapter, WithJsonSchema

from edge_agent.outputs.mqtt.discovery_schema import discovery_schema
from edge_agent.types import Violation

ONLINE = "online"
OFFLINE = "offline"

SNAPSHOT_CONTENT_TYPE = "image/jpeg"


def rfc3339(moment: datetime) -> str:
    """An aware `datetime` as RFC 3339 in UTC with milliseconds: `2026-11-22T21:33:00.123Z`."""
    utc = moment.astimezone(timezone.utc)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


Timestamp = Annotated[
    AwareDatetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
    ),
]
"""RFC 3339, UTC, milliseconds."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(ge=0.0)]


class Part(BaseModel):
    """What payloads are made of."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True, allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )  # fmt: skip


class Payload(Part):
    """One JSON message; a change of its fields raises `schema`."""

    # `schema` itself is a name that pydantic's BaseModel holds already
    schema_version: Literal[1] = Field(default=1, alias="schema")
    """Version of this payload's layout."""

    def to_json(self) -> bytes:
        """The message as it is published: UTF-8 JSON on one line."""
        return self.model_dump_json(by_alias=True).encode()


class FrameRates(Part):
    """Frames a second over the last ten seconds."""

    captured: Rate = 0.0
    """Delivered by the camera."""
    processed: Rate = 0.0
    """Looked at by the networks."""
    dropped: Rate = 0.0
    """Replaced by a newer frame before anybody looked at them."""


class TodayCounts(Part):
    """Violations since local midnight."""

    no_mask: Count = 0
    incorrect: Count = 0


class OutboxStatus(Part):
    """The queue between the device and the broker."""

    depth: Count = 0
    """Messages that wait for the broker's acknowledgement."""
    dropped: Count = 0
    """Events given up since the outbox was created because its cap was reached, or as they were damaged."""
    alarm: str | None = None
    """What is wrong with the outbox; null: nothing."""


class StatusPayload(Payload):
    """`<base>/status`: how the device is doing. Retained; every 30 s and on change."""

    time: Timestamp = Field(default_factory=utc_now)
    """When this status was taken."""
    version: str
    """Version of edge-agent."""
    uptime: Rate
    """Seconds since the service started."""
    camera: str
    """State of the camera, e.g. `ok`, `opening`, `lost`, `frozen`, `dark`, `paused`."""
    camera_reason: str = ""
    """What is wrong with the camera and what to do; empty while all is well."""
    camera_reopened: Count = 0
    """How often the camera was opened again since the service started."""
    camera_failures: dict[str, Count] = Field(default_factory=dict)
    """How often it failed since then, by kind: `open_failed`, `no_frames`, `stalled`, `frozen`, `dark`, …"""
    broker_failures: Count = 0
    """How often the broker was not found, refused, or the connection to it was lost since the service started."""
    buzzer_failures: Count = 0
    """How often the buzzer could not be opened, or failed while it sounded."""
    snapshot_failures: Count = 0
    """Pictures that could not be made or kept."""
    frames: FrameRates = FrameRates()
    frame_age_ms: Rate | None = None
    """Median milliseconds from a frame's capture to the end of its processing, less what it waited for its turn,
    over the last seconds; null: none was processed in them."""
    slowed: str | None = None
    """Why fewer frames are looked at than the configuration asks for, e.g. heat; null: they are not."""
    stage_ms: dict[str, Rate] = Field(default_factory=dict)
    """Median milliseconds of each stage."""
    people: Count = 0
    """People in view."""
    violations: Count = 0
    """Violations going on at this moment."""
    today: TodayCounts = TodayCounts()
    outbox: OutboxStatus = OutboxStatus()
    temperature: float | None = None
    """Degrees Celsius of the processor; null: the board does not tell."""
    throttled: list[str] = Field(default_factory=list)
    """What the board holds back now, e.g. `under-voltage`."""
    clock_synced: bool | None = None
    """Whether the wall clock is synchronised; null: unknown."""
    health: Literal["ok", "degraded", "failed"]
    """`degraded`: people are watched but something is amiss; `failed`: nobody is watched."""
    reason: str = ""
    """Why health is not `ok`; empty when it is."""


class ViolationFacts(Payload):
    """What is known of a violation when it happens; the outbox keeps it in this form."""

    event_id: Annotated[str, Field(min_length=1)]
    """The same for `started` and `ended` of one violation and for every repetition: tell duplicates by
    (`event_id`, `type`)."""
    type: Literal["started", "ended"]
    kind: Literal["no_mask", "incorrect"]
    person: int
    """Number of the person; counts from the start of the service."""
    confidence: Share
    """Share of the weighted votes for this verdict."""
    votes: Count
    """Looks at the face that voted."""
    gender: Literal["male", "female", "unknown"] | None
    """null: gender is switched off."""
    box: tuple[Share, Share, Share, Share]
    """x1, y1, x2, y2 of the face in fractions of the frame."""
    occurred_at: Timestamp
    """When the violation started."""
    ended_at: Timestamp | None
    """When it was over, or found to be over after the service was killed or lost its power; null in `started`."""

    @classmethod
    def stored(cls, body: bytes) -> ViolationFacts:
        """The facts that the outbox kept, be it by a later version, which may know more of them.

        Raises:
            pydantic.ValidationError: they are not those of a violation.
        """
        found = TypeAdapter(dict[str, Any]).validate_json(body)
        return cls.model_validate({name: found[name] for name in cls.model_fields if name in found})

    @classmethod
    def from_violation(cls, violation: Violation) -> ViolationFacts:
        """The facts of a violation.

        Raises:
            pydantic.ValidationError: its kind is no violation, or a value is out of its range.
        """
        x1, y1, x2, y2 = (min(1.0, max(0.0, edge)) for edge in violation.box)
        return cls.model_validate(
            {
                "event_id": violation.event_id,
                "type": violation.type.value,
                "kind": violation.kind.value,
                "person": violation.person,
                "confidence": min(1.0, max(0.0, violation.confidence)),
                "votes": violation.votes,
                "gender": violation.gender,
                "box": (round(x1, 4), round(y1, 4), round(x2, 4), round(y2, 4)),
                "occurred_at": violation.occurred_at,
                "ended_at": violation.ended_at,
            }
        )


class ViolationPayload(ViolationFacts):
    """`<base>/violation`: a person is without a mask or wears it incorrectly, or that is over."""

    boot_id: str
    """The kernel's id of the boot in which it happened."""
    seq: Annotated[int, Field(ge=1)]
    """Counts the device's messages upwards, over restarts too. Pictures are counted as well, so a gap alone does
    not mean a loss."""
    replayed: bool
    """True: delivered late, or possibly for a second time; false: live."""
    clock_synced: bool
    """Whether the times come from a synchronised clock, or were corrected by one later in the same boot."""


_TEXTS: dict[str, tuple[Any, str]] = {
    "availability": (
        Literal["online", "offline"],
        "`<base>/availability`: plain text. Retained, and the will.",
    ),
    "switch": (Literal["ON", "OFF"], "`<base>/{detection,mute}/{set,state}`: plain text."),
    "threshold": (
        Annotated[float, Field(ge=0.5, le=1.0)],
        "`<base>/threshold/{set,state}`: share of the votes that makes a verdict.",
    ),
    "cooldown": (
        Annotated[float, Field(ge=0.0, le=86_400.0)],
        "`<base>/cooldown/{set,state}`: seconds after an alarm in which no other sounds.",
    ),
}


DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""Of JSON Schema."""


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema (2020-12) of every payload but the picture, by name.

    `availability` and `switch` are plain text, described as a JSON string; the two numbers are JSON numbers.
    """
    found: dict[str, dict[str, Any]] = {
        name: _in_one(model.model_json_schema(by_alias=True, mode="serialization"))
        for name, model in (("status", StatusPayload), ("violation", ViolationPayload))
    }
    found["discovery"] = discovery_schema()
    for name, (kind, description) in _TEXTS.items():
        found[name] = {**TypeAdapter(kind).json_schema(), "description": description}
    return {name: {"$schema": DIALECT, **schema} for name, schema in found.items()}


def _in_one(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its parts in their places: a reference counts from the root of whatever document it is in."""
    parts = schema.pop("$defs", {})

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(item) for item in value]
        if not isinstance(value, dict):
            return value
        name = value.get("$ref", "").rpartition("/")[2]
        whole = {**parts[name], **value} if name in parts else value
        return {key: filled(item) for key, item in whole.items() if key != "$ref" or name not in parts}

    found: dict[str, Any] = filled(schema)
    return found

"""The settings: one frozen model per section of config.yaml, unknown keys refused.

Reading the file, with errors that name its lines, is `config_file.py`.
"""

from __future__ import annotations

import re
import socket
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from edge_agent.config_fields import Fraction, Host, LocalPath, Point, PositiveSeconds, Seconds, Section, TimeOfDay

STREAM_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
"""Schemes of network cameras with their usual ports."""


def default_device_id() -> str:
    """The host's name, reduced to what an MQTT topic may hold."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", socket.gethostname())[:64] or "edge_agent"


class DeviceSettings(Section):
    id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")] = Field(default_factory=default_device_id)
    """Unique name in MQTT topics; the host's name if left out."""
    name: Annotated[str, Field(min_length=1, max_length=64)] = "Entrance"
    """What a person calls this device; shown in Home Assistant."""


def _spans_an_area(corners: tuple[Point, ...]) -> bool:
    (x, y), *others = corners
    return any((a - x) * (d - y) != (b - y) * (c - x) for (a, b), (c, d) in pairwise(others))


class CameraSettings(Section):
    source: int | str = 0
    """0, /dev/video0, /dev/v4l/by-id/…, a V4L2 device name, rtsp://…, http://…, picamera2, gstreamer:PIPELINE,
    a video file, a folder of images, or `test`."""
    width: Annotated[int, Field(ge=32, le=7680)] = 640
    height: Annotated[int, Field(ge=32, le=4320)] = 480
    fps: Annotated[float, Field(ge=0.2, le=240)] = 15
    fourcc: Annotated[str, Field(pattern=r"^[A-Za-z0-9 ]{4}$")] = "MJPG"
    reduce: Literal["auto", 1, 2, 4, 8] = "auto"
    """Decode a V4L2 camera's JPEGs at this part of their size, which costs a part of the time. `auto`: the smallest
    whose longer side has at least 640 pixels; choose 1 where `vision.face.input_width` is more than that."""
    exposure: Literal["auto"] | Annotated[float, Field(allow_inf_nan=False)] | None = None
    """None leaves the camera as it is; `auto`, or a value in the camera's own unit."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise."""
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    realtime: bool = True
    """A file plays at its own pace; false: as fast as frames are taken, none dropped."""
    loop: bool = True
    """A file begins again at its end; false: the service ends with it."""
    open_timeout: PositiveSeconds = 5.0
    read_timeout: PositiveSeconds = 2.0
    stall_after: PositiveSeconds = 5.0
    """Seconds without a frame after which the camera is closed and opened again."""
    freeze_after: PositiveSeconds = 20.0
    """Seconds of the very same picture after which it is opened again."""
    dark_after: PositiveSeconds = 30.0
    """Seconds of a black or covered picture after which health says so."""
    max_age: PositiveSeconds = 1.0
    """A frame older than this is not looked at any more."""
    reopen_min: PositiveSeconds = 0.5
    reopen_max: PositiveSeconds = 30.0
    """First and longest pause between attempts to open the camera."""
    roi: tuple[Point, ...] = ()
    """Corners, in fractions of the frame, of the area to watch; empty: the whole frame."""

    @field_validator("source")
    @classmethod
    def _names_something(cls, value: int | str) -> int | str:
        if isinstance(value, int):
            if value < 0:
                raise ValueError("needs a camera's number, from 0")
        elif not value.strip():
            raise ValueError("names no camera; leave it out for the first one")
        elif "://" in value and not value.startswith("gstreamer:"):
            scheme = value.partition("://")[0].lower()
            if scheme not in STREAM_PORTS:
                # what is no scheme may be a piece of a password
                shown = f"{scheme}://" if re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) else "this kind of address"
                raise ValueError(f"{shown} is not known; use one of {', '.join(STREAM_PORTS)}")
        return value

    @field_validator("roi")
    @classmethod
    def _polygon(cls, value: tuple[Point, ...]) -> tuple[Point, ...]:
        if value and len(value) < 3:
            raise ValueError("needs at least three corners [x, y], or none for the whole frame")
        if value and not _spans_an_area(value):
            raise ValueError("the corners lie on one line: nobody would be watched")
        return value

    @model_validator(mode="after")
    def _pauses(self) -> CameraSettings:
        if self.reopen_min > self.reopen_max:
            raise ValueError("reopen_min must not be longer than reopen_max")
        return self


class FaceSettings(Section):
    detector: Literal["edge_face", "res10", "yunet"] = "edge_face"
    input_width: Annotated[int, Field(ge=64, le=1920, multiple_of=32)] = 480
    """The network sees the frame with its longer side at this many pixels; the other follows from its shape.
    res10 always takes 300."""
    threshold: Fraction | None = None
    """Detector score from which a face counts; None: the one in the model's manifest."""
    min_size: Annotated[int, Field(ge=8, le=4000)] = 24
    max_size: Annotated[int, Field(ge=8, le=8000)] = 4000
    """Shortest and longest face height that counts, in pixels of the camera's frame."""

    @model_validator(mode="after")
    def _sizes(self) -> FaceSettings:
        if self.min_size > self.max_size:
            raise ValueError("min_size must not be more than max_size: no face would count")
        return self


class MaskSettings(Section):
    min_face: Annotated[int, Field(ge=8, le=4000)] = 24
    """Smaller faces (height in pixels) are followed but not judged."""


class GenderSettings(Section):
    enabled: bool = True
    model: Literal["gender_net", "levi_hassner"] = "gender_net"
    threshold: Fraction | None = None
    """Below it a gender is `unknown`; None: the calibrated one in the model's manifest."""
    votes: Annotated[int, Field(ge=1, le=15)] = 3
    """Looks at a person's best pictures before the gender is settled."""


class VisionSettings(Section):
    face: FaceSettings = FaceSettings()
    mask: MaskSettings = MaskSettings()
    gender: GenderSettings = GenderSettings()
    tflite_runtime: Literal["auto", "litert", "tflite-runtime"] = "auto"
    """Which of the two packages runs the mask network; auto: LiteRT if it is installed."""
    delegate: LocalPath | None = None
    """A TFLite delegate library, e.g. Coral's libedgetpu.so.1."""
    dnn_backend: Literal["auto", "cpu", "cuda", "cuda_fp16"] = "auto"
    threads: Annotated[int, Field(ge=0, le=64)] = 0
    """Threads of the networks; 0: fitted to the board."""
    max_fps: Annotated[float, Field(ge=0.2, le=120)] = 10.0
    """Most frames looked at in a second."""
    power: Literal["low", "balanced", "full"] = "balanced"
    """How hard the networks work: `full` looks at every face of every frame."""
    motion_gate: bool = True
    """Rest the networks while nothing moves and nobody is there."""
    models_dir: LocalPath | None = None
    """Where the models are; None: those that came with the program."""

    @model_validator(mode="after")
    def _judged(self) -> VisionSettings:
        if self.mask.min_face > self.face.max_size:
            raise ValueError("mask.min_face must not be more than face.max_size: nobody would be judged")
        return self


class PeopleSettings(Section):
    min_votes: Annotated[int, Field(ge=1, le=100)] = 3
    """Looks at a face before a verdict."""
    incorrect_votes: Annotated[int, Field(ge=1, le=100)] = 6
    """Looks before a mask is called badly worn, if that is more than `min_votes`; never more than `window`."""
    window: Annotated[int, Field(ge=1, le=500)] = 10
    """Latest looks that vote."""
    threshold: Annotated[float, Field(ge=0.5, le=1.0)] = 0.65
    """Share of the votes that makes a verdict, more than .95 counting as .95; can be changed over MQTT."""
    release: Annotated[float, Field(ge=0.0, le=1.0)] = 0.35
    """Share below which a latched verdict is given up again."""
    min_score: Fraction = 0.7
    """A look that is not at least this probable to be either a worn mask or a violation does not vote."""
    lost_after: PositiveSeconds = 1.5
    """Seconds out of sight after which a person has left."""

    @model_validator(mode="after")
    def _consistent(self) -> PeopleSettings:
        if self.window < self.min_votes:
            raise ValueError("window must be at least min_votes")
        if self.release >= self.threshold:
            raise ValueError("release must be below threshold")
        return self


class QuietHours(Section):
    start: TimeOfDay
    """Local time at which the buzzer falls silent, as "22:00"."""
    end: TimeOfDay

    @model_validator(mode="after")
    def _last(self) -> QuietHours:
        if self.start == self.end:
            raise ValueError("they end when they begin; for a buzzer that is always silent: buzzer.enabled: false")
        return self


class ViolationSettings(Section):
    kinds: tuple[Literal["no_mask", "incorrect"], ...] = ("no_mask", "incorrect")
    cooldown: Seconds = 10.0
    """Seconds after an alarm in which no other sounds; events are reported all the same."""
    quiet_hours: tuple[QuietHours, ...] = ()


class Pattern(Section):
    on: Annotated[float, Field(gt=0, le=10)] = 0.2
    off: Annotated[float, Field(ge=0, le=10)] = 0.2
    repeats: Annotated[int, Field(ge=1, le=50)] = 2

    @model_validator(mode="before")
    @classmethod
    def _as_other_programs_write_it(cls, values: object) -> object:
        """A program that reads YAML 1.1, where the bare word `on` is a truth value, writes it back as `true`."""
        if not isinstance(values, dict):
            return values
        found: dict[object, object] = {}
        for key, value in values.items():
            word = {True: "on", False: "off"}[key] if isinstance(key, bool) else key
            if word in found:
                raise ValueError(f"{word} is given twice, once as a truth value")
            found[word] = value
        return found


class BuzzerSettings(Section):
    enabled: bool = True
    driver: Literal["auto", "gpio", "jetson", "sound", "simulated"] = "auto"
    """`auto`: gpio on a Pi, jetson on a Jetson; `sound` plays a tone through the loudspeaker."""
    kind: Literal["active", "passive"] = "active"
    """An active buzzer sounds by itself; a passive one needs a tone."""
    pin: Annotated[int, Field(ge=0, le=64)] = 17
    """BCM number on a Pi, board number on a Jetson."""
    active_high: bool = True
    frequency: Annotated[float, Field(ge=220, le=880)] = 660
    """Hertz of a passive buzzer; gpiozero's TonalBuzzer spans 220 to 880."""
    sound_device: str = "default"
    no_mask: Pattern = Pattern(on=0.2, off=0.2, repeats=3)
    incorrect: Pattern = Pattern(on=0.1, off=0.1, repeats=2)


class TlsSettings(Section):
    enabled: bool = False
    ca_file: LocalPath | None = None
    """The authority that signed the broker's certificate; None: the system's."""
    cert_file: LocalPath | None = None
    key_file: LocalPath | None = None
    """This client's own certificate, where the broker asks for one."""

    @model_validator(mode="after")
    def _pair(self) -> TlsSettings:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        return self


class OutboxSettings(Section):
    max_bytes: Annotated[int, Field(ge=65_536, le=10_000_000_000)] = 50_000_000
    """Cap of events waiting for the broker; beyond it the oldest are dropped and counted."""
    inflight: Annotated[int, Field(ge=1, le=100)] = 8
    """Events on their way to the broker at once."""
    replay_rate: Annotated[float, Field(gt=0, le=1000)] = 20.0
    """Most events a second while catching up after an outage."""
    ack_timeout: PositiveSeconds = 60.0
    """Seconds the broker may take to acknowledge an event or picture before the connection is made anew."""


class DiscoverySettings(Section):
    enabled: bool = True
    prefix: Annotated[str, Field(pattern=r"^[^#+\s\x00-\x1f\x7f]+$")] = "homeassistant"


class MqttSettings(Section):
    enabled: bool = True
    host: Annotated[Host, Field(min_length=1)] = "localhost"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    transport: Literal["tcp", "websockets"] = "tcp"
    websocket_path: str = "/mqtt"
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """Version of MQTT; `auto`: 5, and 3.1.1 with a broker that does not know it. In 3.1.1 nobody learns of events
    that a broker refuses: they are lost."""
    client_id: str | None = None
    """None: made from the device id."""
    username: str | None = None
    password_file: LocalPath | None = None
    """A file that holds it; else the systemd credential `mqtt_password`, else EDGE_AGENT_MQTT_PASSWORD."""
    tls: TlsSettings = TlsSettings()
    keepalive: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds of silence after which both sides ask whether the other is there; by one and a half, it is gone."""
    connect_timeout: PositiveSeconds = 5.0
    """For the network and then for the broker's answer."""
    reconnect_min: PositiveSeconds = 1.0
    reconnect_max: PositiveSeconds = 60.0
    refused_retry: PositiveSeconds = 60.0
    """Pause after the broker refused the password: hurrying would only lock the account."""
    status_interval: PositiveSeconds = 30.0
    outbox: OutboxSettings = OutboxSettings()
    discovery: DiscoverySettings = DiscoverySettings()


class SnapshotSettings(Section):
    enabled: bool = False
    mqtt: bool = True
    directory: Path | None = None
    """Also keep the latest pictures in this folder."""
    keep: Annotated[int, Field(ge=1, le=10_000)] = 50
    max_width: Annotated[int, Field(ge=64, le=3840)] = 640
    """Pixels; larger pictures are made smaller."""
    quality: Annotated[int, Field(ge=10, le=95)] = 75
    """Of the JPEG; lowered where the picture would be larger than `max_bytes`."""
    max_bytes: Annotated[int, Field(ge=10_000, le=2_000_000)] = 150_000


class WebSettings(Section):
    enabled: bool = False
    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    picture: bool = False
    """Also show the live picture. Whoever can open the page then sees people's faces."""


class ServiceSettings(Section):
    state_dir: LocalPath = Path("/var/lib/edge-agent")
    """Outbox, switches and counters live here; systemd's STATE_DIRECTORY goes before it."""
    temperature_limit: Annotated[float, Field(ge=40, le=110)] = 80.0
    """Degrees Celsius from which the frame rate is lowered."""
    camera_grace: Seconds = 60.0
    """Seconds a capture thread may be stuck beyond recovery before the watchdog is left to bite."""
    camera_patience: Seconds = 3600.0
    """Seconds without a new picture from a live camera after which the service ends with 1, for systemd to start it
    again: some drivers give one to a new process only. 0: never; nor where nobody starts it again."""


class LoggingSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Section):
    """The whole configuration."""

    device: DeviceSettings = Field(default_factory=DeviceSettings)
    camera: CameraSettings = CameraSettings()
    vision: VisionSettings = VisionSettings()
    people: PeopleSettings = PeopleSettings()
    violations: ViolationSettings = ViolationSettings()
    buzzer: BuzzerSettings = BuzzerSettings()
    mqtt: MqttSettings = MqttSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    web: WebSettings = WebSettings()
    service: ServiceSettings = ServiceSettings()
    logging: LoggingSettings = LoggingSettings()

    def doubts(self) -> tuple[str, ...]:
        """What is allowed, and yet can't be what somebody wants; a line each."""
        found = []
        if not self.violations.kinds:
            found.append("violations.kinds names no kind: nothing will ever be reported; leave it out for both")
        sent = self.snapshots.mqtt and self.mqtt.enabled
        if self.snapshots.enabled and not sent and self.snapshots.directory is None:
            found.append("snapshots.enabled, but neither MQTT nor snapshots.directory takes the pictures")
        return tuple(found)

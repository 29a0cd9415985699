"""One word for how the service is doing, and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "degraded", "failed"]

_CAMERA_FAILED = {
    "opening": "the camera is being opened",
    "lost": "no camera: opening it again",
    "frozen": "the camera shows the same picture all the time",
    "stuck": "the camera's driver hangs",
    "ended": "the video has ended",
}
_CAMERA_DEGRADED = {
    "dark": "the camera sees nothing: dark or covered",
    "paused": "detection is switched off",
}


@dataclass(frozen=True, slots=True)
class Health:
    """`ok`; `degraded`: people are watched but something is amiss; `failed`: nobody is watched."""

    state: State
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.state if not self.reasons else f"{self.state}: {'; '.join(self.reasons)}"


def camera_word(state: str, *, paused: bool) -> str:
    """What is told of the camera: `paused` if nobody looks at its pictures, unless it has troubles of its own."""
    return "paused" if paused and state == "ok" else state


def assess(
    *,
    camera: str,
    frame_age: float | None = None,
    frame_age_limit: float = 10.0,
    late: float | None = None,
    worker_alive: bool = True,
    broker_connected: bool | None = None,
    broker_reason: str | None = None,
    outbox_alarm: str | None = None,
    disk: Collection[str] = (),
    buzzer_reason: str | None = None,
    temperature: float | None = None,
    temperature_limit: float = 80.0,
    throttled: Collection[str] = (),
) -> Health:
    """Judge the service from what its rooms say; None means unknown or switched off, and is no fault.

    `camera`: its word (:func:`camera_word`); `frame_age` and its limit: seconds since the newest frame;
    `late`: seconds, if frames come, but all of them too old to be looked at;
    `broker_reason`: what the connection says is wrong; `outbox_alarm` and `buzzer_reason`: what is wrong with them;
    `disk`: what else should be on the disk and is not;
    `temperature`: degrees Celsius; `throttled`: what the board holds back now, e.g. `under-voltage`.
    """
    failed: list[str] = []
    degraded: list[str] = []
    if not worker_alive:
        failed.append("the vision worker has ended")
    if camera in _CAMERA_FAILED:
        failed.append(_CAMERA_FAILED[camera])
    elif camera in _CAMERA_DEGRADED:
        degraded.append(_CAMERA_DEGRADED[camera])
    elif frame_age is not None and frame_age > frame_age_limit:
        failed.append(f"the newest frame is {frame_age:.0f} s old")
    elif late is not None:
        failed.append(f"frames are {late:.1f} s old when they come, too old to be looked at")
    if broker_connected is False:
        why = f" ({broker_reason})" if broker_reason else ""
        degraded.append(f"no connection to the broker: events wait in the outbox{why}")
    elif broker_reason:
        degraded.append(f"broker: {broker_reason}")
    if outbox_alarm:
        degraded.append(f"outbox: {outbox_alarm}")
    degraded.extend(f"disk: {trouble}" for trouble in disk)
    if buzzer_reason:
        degraded.append(f"buzzer: {buzzer_reason}")
    if temperature is not None and temperature >= temperature_limit:
        degraded.append(f"{temperature:.0f} °C hot, the limit is {temperature_limit:.0f} °C")
    degraded.extend(f"board: {flag}" for flag in sorted(throttled))
    if failed:
        return Health("failed", tuple(failed + degraded))
    return Health("degraded" if degraded else "ok", tuple(degraded))

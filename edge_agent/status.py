"""The status message and the status line: what all the rooms say, put together."""

from __future__ import annotations

import re

from edge_agent import __version__
from edge_agent.camera.stats import CameraStats
from edge_agent.outputs.buzzer import BuzzerStats
from edge_agent.outputs.mqtt.output import MqttStats
from edge_agent.outputs.mqtt.payloads import FrameRates, OutboxStatus, StatusPayload, TodayCounts, utc_now
from edge_agent.outputs.snapshots import SnapshotStats
from edge_agent.service.board_watch import BoardState
from edge_agent.service.health import Health
from edge_agent.service.statistics import StatisticsSnapshot

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def status_payload(
    *,
    camera: CameraStats,
    word: str,
    figures: StatisticsSnapshot,
    people: int,
    violations: int,
    mqtt: MqttStats | None,
    bell: BuzzerStats,
    snapshots: SnapshotStats | None,
    slowed: str | None,
    board: BoardState,
    health: Health,
) -> StatusPayload:
    """Everything a dashboard wants to know of this moment; `word` is :func:`camera_word`'s."""
    return StatusPayload(
        version=__version__,
        uptime=round(figures.uptime, 1),
        camera=word,
        camera_reason=camera.reason,
        camera_reopened=camera.reopened,
        camera_failures=dict(camera.failures),
        broker_failures=mqtt.failures if mqtt else 0,
        buzzer_failures=bell.failures,
        snapshot_failures=snapshots.failed if snapshots else 0,
        frames=FrameRates(
            captured=round(figures.fps_captured, 2),
            processed=round(figures.fps_processed, 2),
            dropped=round(figures.fps_dropped, 2),
        ),
        frame_age_ms=round(max(0.0, figures.latency_ms), 1) if figures.latency_ms is not None else None,
        slowed=slowed,
        stage_ms={name: round(value, 2) for name, value in figures.stage_ms.items()},
        people=people,
        violations=violations,
        today=_today(figures),
        outbox=OutboxStatus(depth=mqtt.depth, dropped=mqtt.dropped, alarm=mqtt.alarm) if mqtt else OutboxStatus(),
        temperature=board.temperature,
        throttled=list(board.throttled),
        clock_synced=board.clock_synced,
        health=health.state,
        reason="; ".join(health.reasons),
    )


def last_status(status: StatusPayload, figures: StatisticsSnapshot) -> StatusPayload:
    """What stays at the broker when the service ends: `status` without the people, whom nobody watches any more."""
    update = {
        "time": utc_now(),
        "uptime": round(figures.uptime, 1),
        "people": 0,
        "violations": 0,
        "frames": FrameRates(),
        "today": _today(figures),
    }
    return status.model_copy(update=update)


def changed(old: StatusPayload | None, new: StatusPayload) -> bool:
    """Whether something changed that people wait for; rates and times go with the next regular message.

    So do numbers within a reason, such as seconds that pass.
    """
    if old is None or _NUMBER.sub("", old.reason) != _NUMBER.sub("", new.reason):
        return True
    names = ("camera", "people", "violations", "today", "health", "throttled", "clock_synced", "slowed")
    return any(getattr(old, name) != getattr(new, name) for name in names)


def status_line(status: StatusPayload) -> str:
    """One line for `systemctl status`."""
    today = status.today.no_mask + status.today.incorrect
    text = (
        f"{status.health}: camera {status.camera}, {status.frames.processed:.1f} frames/s, "
        f"{status.people} in view, {today} violations today, {status.outbox.depth} waiting for the broker"
    )
    return f"{text} ({status.reason})" if status.reason else text


def _today(figures: StatisticsSnapshot) -> TodayCounts:
    return TodayCounts(no_mask=figures.today.get("no_mask", 0), incorrect=figures.today.get("incorrect", 0))

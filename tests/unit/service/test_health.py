"""One word for the service, and the reasons a person can act upon."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.service.health import assess, camera_word


def test_all_well_and_unknown_is_no_fault() -> None:
    health = assess(camera="ok")
    assert (health.state, health.reasons, str(health)) == ("ok", (), "ok")


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"camera": "dark"}, "covered"),
        ({"camera": "paused"}, "switched off"),
        ({"broker_connected": False}, "broker"),
        ({"outbox_alarm": "disk full"}, "disk full"),
        ({"disk": ["the switches can't be kept"]}, "disk: the switches can't be kept"),
        ({"buzzer_reason": "GPIO 17 is busy"}, "buzzer: GPIO 17 is busy"),
        ({"temperature": 80.0}, "80 °C"),
        ({"temperature": 71.0, "temperature_limit": 70.0}, "70 °C"),
        ({"throttled": ("under-voltage",)}, "under-voltage"),
    ],
)
def test_people_are_watched_but_something_is_amiss(facts: dict[str, Any], word: str) -> None:
    health = assess(**{"camera": "ok", **facts})
    assert health.state == "degraded"
    assert word in health.reasons[0]


@pytest.mark.parametrize(
    "facts",
    [
        {"camera": "opening"},
        {"camera": "lost"},
        {"camera": "frozen"},
        {"camera": "stuck"},
        {"camera": "ended"},
        {"worker_alive": False},
        {"frame_age": 10.5},
        {"late": 1.5},
    ],
)
def test_nobody_is_watched(facts: dict[str, Any]) -> None:
    assert assess(**{"camera": "ok", **facts}).state == "failed"


def test_all_reasons_are_named_the_worst_first() -> None:
    health = assess(camera="lost", broker_connected=False, buzzer_reason="no device")
    assert health.state == "failed"
    assert len(health.reasons) == 3
    assert "camera" in health.reasons[0]
    assert str(health).startswith("failed: no camera")


def test_what_is_good_gives_no_reason() -> None:
    health = assess(
        camera="ok",
        frame_age=0.1,
        broker_connected=True,
        temperature=60.0,
        throttled=(),
    )
    assert health.state == "ok"


def test_why_the_broker_cannot_be_used_is_said() -> None:
    judged = assess(camera="ok", broker_connected=False, broker_reason="wrong password")
    assert judged.state == "degraded"
    assert "wrong password" in judged.reasons[0]
    refused = assess(camera="ok", broker_connected=True, broker_reason="may not publish")
    assert refused.reasons == ("broker: may not publish",)


def test_a_paused_watch_says_so_unless_the_camera_is_lost() -> None:
    assert camera_word("ok", paused=False) == "ok"
    assert camera_word("ok", paused=True) == "paused"
    assert camera_word("lost", paused=True) == "lost"

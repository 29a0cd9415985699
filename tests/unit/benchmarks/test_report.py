"""A goal that was missed is said to be missed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import lines, markdown, read


def figures(ms: float = 5.0, false: float = 0.1, ready: float = 0.8, share: float = 0.2) -> dict[str, Any]:
    medians = {
        "ancestor, keras / 1 face": {"ms": 140.0}, "ancestor, tflite / 1 face": {"ms": 70.0},
        "ancestor, tflite / 4 faces": {"ms": 150.0},
        "ours, balanced / 1 face": {"ms": ms, "overhead": 0.05},
        "ours, balanced / 4 faces": {"ms": ms, "overhead": 0.07},
    }  # fmt: skip
    events = {"found_share": 0.98, "false_per_hour": false, "delay_p95": 0.5}
    return {
        "loop": {"medians": medians, "empty_share": 0.02, "empty_fps": 15.0, "camera_ms": 1.0},
        "networks": [
            {"ours": "edge_face", "theirs": "res10", "goal": 0.25, "ours_ms": 6, "theirs_ms": 30, "share": share},
            {"ours": "mask", "theirs": "float", "goal": None, "ours_ms": 1.0, "theirs_ms": 5.0, "share": 0.2},
        ],
        "events": {"scores": {"people": events}},
        "startup": {"ready_seconds": ready, "peak_mb": 120.0, "ancestor": None},
    }


def missed(**changes: float) -> list[str]:
    return [line.measure for line in lines(figures(**changes)) if not line.reached]


def test_every_goal_reached() -> None:
    assert missed() == []
    assert len(list(lines(figures()))) == 11


def test_a_missed_goal_is_named() -> None:
    assert missed(ms=5.3) == ["CPU per frame, 1 face, against TFLite float"]
    assert missed(false=0.3) == ["false alarms an hour, one visit after the other"]
    assert missed(ready=1.0) == ["start to READY"]
    assert missed(share=0.26) == ["one call of edge_face, against res10"]


def test_only_what_was_run_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"loop\.json"):
        read(tmp_path)
    (tmp_path / "startup.json").write_text(json.dumps(figures()["startup"]))
    found = read(tmp_path)
    assert [line.measure for line in lines(found)] == ["start to READY", "peak RSS"]
    assert markdown(found).count("\n") == 4

"""`edge-agent bench`: ratios to an earlier run, and that it leaves alone what its owner keeps."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from edge_agent import bench
from edge_agent.cli import main
from edge_agent.commands.demo import clip
from edge_agent.config import Settings
from edge_agent.types import Frame

EARLIER = {"frames": 10, "version": "0.1.0", "cpu_ms_per_frame": 4.0, "peak_rss_mb": 100.0,
           "stages": {"faces": {"p50": 10.0, "p95": 12.0}, "gender": {"p50": 3.0, "p95": 3.0}},
           "age_at_buzzer_ms": {"p50": 40.0, "p95": 50.0}}  # fmt: skip


def test_ratios_are_of_medians_and_of_what_both_runs_have() -> None:
    now = {"frames": 20, "version": "0.2.0", "cpu_ms_per_frame": 2.0, "ready_seconds": 1.0,  # no such figure before
           "stages": {"faces": {"p50": 5.0, "p95": 24.0}}, "age_at_buzzer_ms": {"p50": 60.0}}  # fmt: skip
    assert bench.compare(now, EARLIER) == {
        "stages.faces": 0.5, "cpu_ms_per_frame": 0.5, "age_at_buzzer_ms": 1.5
    }  # fmt: skip


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"stages": []}'])
def test_what_is_no_earlier_run_is_refused_before_anything_is_measured(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    other.write_text(content)
    assert main(["bench", "--compare", str(other)]) == 2
    assert "other.json" in capsys.readouterr().err


def test_every_stage_is_measured() -> None:
    figures = bench.measure(Settings(), clip(), frames=60)
    assert {"decode", "motion", "faces", "mask", "track", "total"} <= set(figures["stages"])
    assert figures["share_of_floor"] > 1


@pytest.mark.parametrize(("given", "turned"), [([], 0), ([str(clip())], 90)])
def test_the_demo_clip_hangs_upright_whatever_the_camera_does(
    given: list[str], turned: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("camera: {rotate: 90, flip: both, roi: [[0, 0], [1, 0], [0, 1]]}\n")
    seen: list[Settings] = []

    def measured(settings: Settings, *_: object, **__: object) -> dict[str, object]:
        seen.append(settings)
        return {"networks": "", "frames": 1, "input": "", "machine": "", "stages": {}, "calls_per_frame": {}}

    monkeypatch.setattr(bench, "measure", measured)
    monkeypatch.setattr(bench, "age_at_buzzer", lambda settings, *_, **__: seen.append(settings) or {})
    monkeypatch.setattr(bench, "start_up", lambda settings, *_: seen.append(settings) or {})
    assert main(["bench", *given, "-c", str(config)]) == 0
    assert [settings.camera.rotate for settings in seen] == [turned] * 3
    assert {settings.camera.flip for settings in seen} == {"both" if turned else "none"}
    assert {bool(settings.camera.roi) for settings in seen} == {bool(turned)}


def test_a_film_without_a_utf8_name_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    film = Path(os.fsdecode(os.fsencode(tmp_path) + b"/entrance \xff.mp4"))
    shutil.copy(clip(), film)
    read: list[str] = []

    def opened(_settings: Settings, name: Path, *_: object, **__: object) -> dict[str, float]:
        read.append(str(name))
        assert name.read_bytes() == film.read_bytes()
        return {}

    monkeypatch.setattr(bench, "age_at_buzzer", opened)
    monkeypatch.setattr(bench, "start_up", opened)
    assert main(["bench", str(film), "--frames", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["input"] == "entrance \N{REPLACEMENT CHARACTER}.mp4"
    assert len(read) == 2
    for name in read:
        name.encode()  # OpenCV, and the service's configuration, can take it


def test_the_hour_of_the_day_changes_no_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    halves = "{start: '00:00', end: '12:00'}, {start: '12:00', end: '00:00'}"
    config.write_text(f"violations: {{quiet_hours: [{halves}]}}\n")
    assert main(["bench", "-c", str(config), "--frames", "120", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["alarms"] > 0
    assert figures["age_at_buzzer_ms"]["p50"] > 0


def test_only_the_area_to_watch_is_measured() -> None:
    camera = {"roi": [[0, 0], [0.02, 0], [0, 0.02]]}
    figures = bench.measure(Settings.model_validate({"camera": camera}), clip(), frames=60)
    assert figures["calls_per_frame"]["faces"] > 0
    assert figures["calls_per_frame"]["mask"] == 0  # nobody stands in that corner


def test_the_camera_hangs_in_the_bench_as_it_does_on_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    process = bench.Chain.process

    def seen(chain: bench.Chain, frame: Frame) -> object:
        shapes.append(frame.image.shape)
        return process(chain, frame)

    monkeypatch.setattr(bench.Chain, "process", seen)
    for camera in ({"rotate": 0}, {"rotate": 90}):
        bench.measure(Settings.model_validate({"camera": camera}), clip(), frames=2)
    assert shapes[0] == shapes[1]
    assert shapes[2] == (shapes[0][1], shapes[0][0], 3)


def test_pictures_that_the_owner_keeps_are_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "own.jpg").write_bytes(b"own")
    settings = Settings.model_validate(
        {"snapshots": {"enabled": True, "directory": str(kept)}, "buzzer": {"enabled": False}}
    )
    ages = bench.age_at_buzzer(settings, clip(), seconds=4.0)
    assert ages["p50"] > 0
    assert [path.name for path in kept.iterdir()] == ["own.jpg"]

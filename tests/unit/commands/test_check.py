"""`edge-agent check` says in a line what would stop the service, and never ends in a traceback."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import yaml

from edge_agent.cli import main


def snapshots(directory: str | Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What is said of snapshots in `directory`."""
    config = tmp_path / "config.yaml"
    settings = {
        "camera": {"source": "test"},
        "mqtt": {"enabled": False},
        "buzzer": {"driver": "simulated"},
        "service": {"state_dir": str(tmp_path)},
        "snapshots": {"enabled": True, "directory": str(directory)},
    }
    config.write_text(yaml.safe_dump(settings))
    main(["check", "--json", "-c", str(config)])
    lines = json.loads(capsys.readouterr().out)["checks"]
    found: dict[str, str] = next(line for line in lines if line["name"] == "snapshots")
    return found


def test_snapshots_in_a_closed_folder_are_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.exists

    def exists(path: Path) -> bool:  # root may look anywhere
        if path.is_relative_to(tmp_path / "closed"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(Path, "exists", exists)
    line = snapshots(tmp_path / "closed" / "snaps", tmp_path, capsys)
    assert line["status"] == "warn" and "can't be written: Permission denied" in line["text"] and line["hint"]


def test_the_home_in_a_snapshot_folder_is_looked_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    asked = []

    def access(path: Path, mode: int) -> bool:
        asked.append(path)
        return True

    monkeypatch.setattr("edge_agent.commands.check.os.access", access)
    line = snapshots("~/snaps", tmp_path, capsys)
    assert line["status"] == "ok" and tmp_path / "home" in asked


@pytest.mark.parametrize("directory", ["~no-such-user/snaps", f"/{'x' * 300}/snaps"])
def test_a_snapshot_folder_that_leads_nowhere_is_said(
    directory: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = snapshots(directory, tmp_path, capsys)
    assert line["status"] != "ok" and "can't be written: " in line["text"] and line["hint"]

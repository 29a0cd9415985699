"""install.sh, uninstall.sh and the scripts around them: what they refuse, and that a dry run changes nothing.

What they do is shown by script/test-device, on a real systemd.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
INSTALL = ROOT / "systemd/install.sh"
UNINSTALL = ROOT / "systemd/uninstall.sh"
SCRIPTS = (
    INSTALL,
    UNINSTALL,
    *(ROOT / "script" / name for name in ("build-wheelhouse", "build-deb", "test-device")),
)

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def run(script: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PATH": path} if path else None
    return subprocess.run(
        ["bash", str(script), *arguments], capture_output=True, text=True, check=False, env=environ, timeout=60
    )


@pytest.fixture
def tools(tmp_path: Path) -> str:
    """A PATH on which systemctl is there but answers nothing, as on a machine where nothing is installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    (folder / "systemctl").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_help(script: Path) -> None:
    done = run(script, "--help")
    assert done.returncode == 0
    assert f"usage: {'script/' if script.parent.name == 'script' else ''}{script.name}" in done.stdout
    assert "set -euo" not in done.stdout


@pytest.mark.skipif(Path("/opt/edge-agent").exists(), reason="edge-agent is installed on this machine")
def test_a_dry_run_of_the_installation_names_each_step_and_does_none(tools: str) -> None:
    done = run(INSTALL, "--dry-run", "--source", str(ROOT), "--python", sys.executable, path=tools)
    assert done.returncode == 0, done.stderr
    for step in ("systemd-sysusers", "-m venv", "config.yaml", "mqtt_password", "daemon-reload", "enable"):
        assert step in done.stdout, step
    assert not Path("/opt/edge-agent").exists()
    assert not Path("/etc/edge-agent").exists()


def test_the_password_file_is_for_root_alone(tools: str) -> None:
    done = run(INSTALL, "--dry-run", "--source", str(ROOT), "--python", sys.executable, path=tools)
    (line,) = [line for line in done.stdout.splitlines() if "/dev/null" in line]
    assert "-m 600" in line
    assert line.endswith("/etc/edge-agent/mqtt_password")


def test_without_network_pip_asks_nobody(tmp_path: Path, tools: str) -> None:
    (tmp_path / "edge_agent-1.0-py3-none-any.whl").touch()
    done = run(INSTALL, "--dry-run", "--wheelhouse", str(tmp_path), "--python", sys.executable, path=tools)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "bin/pip" in line]
    assert f"--no-index --find-links {tmp_path}" in line


def test_a_wheel_by_its_name_takes_its_dependencies_from_the_index(tmp_path: Path, tools: str) -> None:
    wheel = tmp_path / "edge_agent-1.0-py3-none-any.whl"
    wheel.touch()
    done = run(INSTALL, "--dry-run", str(wheel), "--python", sys.executable, path=tools)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "bin/pip" in line]
    assert str(wheel) in line
    assert "--no-index" not in line


@pytest.mark.skipif(Path("/opt/edge-agent").exists(), reason="edge-agent is installed on this machine")
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--wheelhouse", "/nowhere"], "no such folder"),
        (["--wheelhouse", str(ROOT / "docs")], "no edge_agent-"),
        (["edge_agent-9.9-py3-none-any.whl"], "no such file"),
        (["--source", "/nowhere"], "no pyproject.toml"),
        (["--python", "/nowhere/python3"], "not found"),
        (["--ready", "soon"], "whole number"),
        (["--wheelhouse"], "needs a value"),
        (["--colour"], "unknown argument"),
        (["upgrade", "--source", str(ROOT)], "nothing to upgrade"),
        (["rollback"], "no version before"),
    ],
)
def test_what_can_not_be_is_refused_with_a_reason(tools: str, arguments: list[str], word: str) -> None:
    done = run(INSTALL, "--dry-run", *arguments, path=tools)
    assert done.returncode == 1
    assert word in done.stderr


def test_nothing_is_removed_unless_somebody_says_yes(tools: str) -> None:
    done = run(UNINSTALL, path=tools)
    assert done.returncode == 1
    assert "--yes" in done.stderr or "root" in done.stderr


@pytest.mark.parametrize(
    ("option", "kept", "removed"),
    [
        ("--keep-config", "/etc/edge-agent", "/var/lib/edge-agent"),
        ("--keep-state", "/var/lib/edge-agent", "/etc/edge-agent"),
    ],
)
def test_what_the_owner_keeps_is_not_removed(tools: str, option: str, kept: str, removed: str) -> None:
    done = run(UNINSTALL, "--dry-run", option, path=tools)
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert kept not in words
    assert removed in words
    assert "/opt/edge-agent" in words

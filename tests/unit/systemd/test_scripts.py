"""install.sh, uninstall.sh and the scripts around them: what they refuse, and that a dry run changes nothing.

What they do is shown by script/test-device, on a real systemd.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
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
OTHER_SCRIPTS = (ROOT / "script/setup", ROOT / ".ci/run")
BOARDS = (
    # Python, machine, wanted, not wanted
    ("3.10", "aarch64", {"tflite-runtime", "ai-edge-litert"}, set()),
    ("3.11", "armv7l", {"tflite-runtime"}, {"ai-edge-litert"}),
    ("3.13", "aarch64", {"ai-edge-litert"}, {"tflite-runtime", "lgpio"}),
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
@pytest.mark.parametrize("script", (*SCRIPTS, *OTHER_SCRIPTS), ids=lambda path: path.name)
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
        (["--extras", "pi,+web"], "one + before the whole list"),
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


def wheel_of_the_project(folder: Path) -> Path:
    """Nothing but the metadata of the project as it is installed here."""
    metadata = distribution("edge-agent").read_text("METADATA")
    assert metadata
    wheel = folder / "edge_agent-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("edge_agent-1.dist-info/METADATA", metadata)
    return wheel


def requirements(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "script/wheelhouse_requirements.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("python", "machine", "wanted", "unwanted"), BOARDS)
def test_the_wheelhouse_is_for_the_board_and_not_for_this_machine(
    tmp_path: Path, python: str, machine: str, wanted: set[str], unwanted: set[str]
) -> None:
    done = requirements(str(wheel_of_the_project(tmp_path)), python, machine, "pi, web")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert not [line for line in lines if ";" in line]
    names = {re.split("[^A-Za-z0-9-]", line)[0] for line in lines}
    assert wanted | {"aiohttp", "numpy", "paho-mqtt"} <= names
    assert not names & (unwanted | {"torch", "Jetson"})
    (numpy,) = [line for line in lines if line.startswith("numpy")]
    assert ("<2" in numpy) == (python in ("3.10", "3.11"))


def test_an_extra_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = requirements(str(wheel_of_the_project(tmp_path)), "3.11", "aarch64", "pie")
    assert done.returncode == 1
    assert "no extra pie" in done.stderr


def test_setup_makes_a_half_made_venv_anew(tmp_path: Path) -> None:
    """As `python3 -m venv` leaves it on Debian without python3-venv: a Python, no pip."""
    (tmp_path / "script").mkdir()
    shutil.copy(ROOT / "script/setup", tmp_path / "script")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / ".venv/bin/python").chmod(0o755)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in {
        "dpkg": "echo 'Status: install ok installed'",
        "python": '[ "$1 $2 $3" != "-m venv --clear" ] || printf "#!/bin/sh\\n" >.venv/bin/python',
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    environ = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHON": "python"}
    environ.pop("CONVERT", None)  # as CI sets it
    done = subprocess.run(
        ["bash", str(tmp_path / "script/setup"), "demo"], capture_output=True, text=True, check=False, env=environ
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".venv/stamp-demo").exists()

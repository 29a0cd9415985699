"""The units as systemd itself judges them, and what they promise."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[3] / "systemd"
UNITS = ("edge-agent.service", "edge-agent@.service")
SYSTEM_UNITS = Path("/usr/lib/systemd/system")

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or not (SYSTEM_UNITS / "sysinit.target").exists(),
    reason="needs systemd-analyze and systemd's own units",
)


def settings(unit: str) -> list[tuple[str, str]]:
    """(key, value) of each line."""
    text = (SYSTEMD / unit).read_text()
    found = re.findall(r"^([A-Z][A-Za-z]+)=(.*)$", text, re.MULTILINE)
    return [(key, value) for key, value in found]


def value(unit: str, key: str) -> str:
    (only,) = [found for name, found in settings(unit) if name == key]
    return only


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system with systemd's units, ours, and a program where ours expect it."""
    shutil.copytree(SYSTEM_UNITS, tmp_path / "usr/lib/systemd/system", symlinks=True)
    program = tmp_path / "opt/edge-agent/current/bin/edge-agent"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    folder = tmp_path / "etc/systemd/system"
    folder.mkdir(parents=True)
    for unit in UNITS:
        shutil.copy(SYSTEMD / unit, folder)
    return tmp_path


def verify(root: Path, unit: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={root}", unit],
        capture_output=True,
        text=True,
        check=False,
    )


@needs_systemd
@pytest.mark.parametrize("unit", ["edge-agent.service", "edge-agent@back.service"])
def test_systemd_has_nothing_to_say_about_the_unit(root: Path, unit: str) -> None:
    # it only warns about unknown keys, and exits 0 all the same
    done = verify(root, unit)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_check_above_would_notice_a_wrong_key(root: Path) -> None:
    path = root / "etc/systemd/system/edge-agent.service"
    path.write_text(path.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert "WatchdogSecs" in verify(root, "edge-agent.service").stderr


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_exposure_is_1_5_or_less(unit: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(SYSTEMD / unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert match, done.stdout + done.stderr
    assert done.stderr == ""
    assert float(match[1]) <= 1.5, done.stdout


def test_both_units_are_alike_but_for_their_names() -> None:
    first, second = (settings(unit) for unit in UNITS)
    different = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
    assert {key for (key, _), _ in different} == {
        "Description",
        "ExecStart",
        "StateDirectory",
        "RuntimeDirectory",
        "WorkingDirectory",
        "SyslogIdentifier",
    }
    assert all("%i" in new for _, (_, new) in different)


@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_keeps_its_promises(unit: str) -> None:
    assert value(unit, "Type") == "notify"
    assert int(value(unit, "WatchdogSec")) >= 10
    assert value(unit, "Restart") == "on-failure"
    assert value(unit, "RestartPreventExitStatus") == "78"
    assert int(value(unit, "StartLimitBurst")) > 0
    assert value(unit, "LoadCredential").startswith("mqtt_password:")
    # a board with 512 MB leaves some 430 to programs
    assert int(value(unit, "MemoryMax").removesuffix("M")) <= 430
    # a link is switched at an upgrade, in one step
    assert value(unit, "ExecStart").startswith("/opt/edge-agent/current/bin/edge-agent run -c /etc/edge-agent/")
    assert value(unit, "LimitCORE") == "0"


@pytest.mark.parametrize("unit", UNITS)
def test_each_refused_hardening_line_has_its_reason_beside_it(unit: str) -> None:
    text = (SYSTEMD / unit).read_text()
    used = {key for key, _ in settings(unit)}
    for key in ("PrivateDevices", "PrivateNetwork", "IPAddressDeny", "ProcSubset", "RootDirectory"):
        assert key not in used
        assert re.search(rf"^#   {key}=\S*\s+\w+", text, re.MULTILINE), key


def test_the_user_may_reach_camera_and_gpio() -> None:
    lines = (SYSTEMD / "edge-agent.sysusers").read_text().splitlines()
    assert {"m edge-agent video", "m edge-agent gpio"} <= set(lines)
    rules = (SYSTEMD / "60-edge-agent.rules").read_text()
    assert re.search(r'KERNEL=="gpiochip\*", GROUP="gpio"', rules)


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="needs systemd-sysusers")
def test_sysusers_makes_the_user(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("root:x:0:\nvideo:x:44:\naudio:x:29:\n")
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    done = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", str(SYSTEMD / "edge-agent.sysusers")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and "ermission denied" in done.stderr:
        pytest.skip("systemd-sysusers needs root")
    assert done.returncode == 0, done.stderr
    passwd = (tmp_path / "etc/passwd").read_text()
    assert re.search(r"^edge-agent:.*:/usr/sbin/nologin$", passwd, re.MULTILINE)
    group = (tmp_path / "etc/group").read_text()
    for name in ("video", "gpio", "audio"):
        assert re.search(rf"^{name}:.*edge-agent", group, re.MULTILINE), name

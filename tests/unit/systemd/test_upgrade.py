"""install.sh as it runs, its paths moved into a folder, with a systemctl and a Python that only take notes.

What a real systemd makes of it is shown by script/test-device.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLAIN = "edge-agent.service"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

# A unit is up while state/active/UNIT is there, enabled while it is linked in multi-user.target.wants. A version
# whose venv holds `bad` is never READY; with `hangs` its start lasts until it is killed.
SYSTEMCTL = """\
#!/bin/bash
echo "$*" >>"$BOX/calls"
venv=$(readlink -f "$BOX/opt/edge-agent/current")
case $1 in
  list-units) cd "$BOX/active" && for unit in *; do [ ! -e "$unit" ] || echo "$unit loaded active"; done ;;
  is-active) [ -e "$BOX/active/${!#}" ] ;;
  is-enabled) [ -e "$BOX/etc/systemd/system/multi-user.target.wants/${!#}" ] ;;
  enable) ln -sf x "$BOX/etc/systemd/system/multi-user.target.wants/${!#}"
          touch "$BOX/etc/systemd/system/x" ;;
  restart)
    rm -f "$BOX/active/$2"
    if [ -e "$venv/hangs" ]; then
      echo $$ >"$BOX/hanging.new"; mv "$BOX/hanging.new" "$BOX/hanging"; exec sleep 300
    fi
    [ ! -e "$venv/bad" ] || exit 1
    touch "$BOX/active/$2" ;;
esac
"""
PYTHON = """\
#!/bin/bash
case "$1 $2" in
  "-m venv") ;;
  "-s -c") case $3 in *lgpio*) [ -e "$BOX/lgpio" ] ;; *) [ -e "$BOX/cuda" ] ;; esac; exit ;;
  "-c "*"(3, 13)"*) [ -e "$BOX/python3.13" ]; exit ;;
  *) exec "$REAL_PYTHON" "$@" ;;
esac
venv=${!#}
mkdir -p "$venv/bin" "$venv/lib/python3.11/site-packages/edge_agent"
cp -r "$BOX/assets" "$venv/lib/python3.11/site-packages/edge_agent/assets"
echo "include-system-site-packages = false" >"$venv/pyvenv.cfg"
cat >"$venv/bin/pip" <<END
#!/bin/sh
echo "\\$*" >>"$BOX/pip"
while read -r flag; do touch "$venv/\\$flag"; done <"$BOX/next"
END
printf '#!/bin/sh\\necho edge-agent 1\\n' >"$venv/bin/edge-agent"
printf '#!/bin/sh\\necho 1\\n' >"$venv/bin/python"
chmod +x "$venv"/bin/*
"""


def _heed_signals() -> None:
    """The child of a job in the background ignores SIGINT, that of nohup SIGHUP, and a shell keeps to that."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class Box:
    """A root file system in a folder, and what happened in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        for name in ("bin", "active", "wheels", "etc/systemd/system/multi-user.target.wants", "assets/systemd"):
            (folder / name).mkdir(parents=True)
        text = (ROOT / "systemd/install.sh").read_text()
        text = re.sub(r"(?<![\w./$}\"])/(opt|etc|run|usr/local|proc/device-tree)\b", rf"{folder}/\1", text)
        text = text.replace("/proc/cpuinfo", f"{folder}/cpuinfo")
        self.script = folder / "install.sh"
        self.script.write_text(text)
        (folder / "cpuinfo").touch()
        (folder / "next").touch()
        shutil.copy(ROOT / "config.yaml", folder / "assets")
        for file in (ROOT / "systemd").iterdir():
            shutil.copy(file, folder / "assets/systemd")
        self._tool("systemctl", SYSTEMCTL)
        self._tool("python", PYTHON)
        self._tool("id", "#!/bin/sh\necho 0\n")
        for name in ("systemd-sysusers", "udevadm", "journalctl", "sync"):
            self._tool(name, "#!/bin/sh\n")

    def _tool(self, name: str, text: str) -> None:
        (self.root / "bin" / name).write_text(text)
        (self.root / "bin" / name).chmod(0o755)

    def start(self, *arguments: str, umask: int = 0o022, stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        environ = {
            **os.environ,
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "BOX": str(self.root),
            "REAL_PYTHON": sys.executable,
        }
        return subprocess.Popen(
            ["bash", str(self.script), *arguments, "--wheelhouse", str(self.root / "wheels"), "--python", "python"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environ,
            umask=umask,
            preexec_fn=_heed_signals,
        )

    def run(self, *arguments: str, umask: int = 0o022) -> tuple[int, str]:
        process = self.start(*arguments, umask=umask)
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    def wheel(self, version: str, *flags: str, extras: str | None = None) -> None:
        """The wheelhouse holds this version; the venv made of it gets the flags."""
        shutil.rmtree(self.root / "wheels")
        (self.root / "wheels").mkdir()
        (self.root / f"wheels/edge_agent-{version}-py3-none-any.whl").write_text(version)
        if extras is not None:
            (self.root / "wheels/extras").write_text(extras + "\n")
        (self.root / "next").write_text("".join(f"{flag}\n" for flag in (f"version-{version}", *flags)))

    def version(self, link: str = "current") -> str:
        flags = sorted((self.root / "opt/edge-agent" / link).glob("version-*"))
        return flags[0].name.removeprefix("version-") if flags else ""

    def venvs(self) -> int:
        return len(list((self.root / "opt/edge-agent/venvs").iterdir()))

    def active(self) -> set[str]:
        return {path.name for path in (self.root / "active").iterdir()}

    def enabled(self) -> set[str]:
        return {path.name for path in self.wants.iterdir()}

    @property
    def wants(self) -> Path:
        return self.root / "etc/systemd/system/multi-user.target.wants"

    def restarted(self) -> list[str]:
        calls = (self.root / "calls").read_text().splitlines()
        return [call.split()[1] for call in calls if call.startswith("restart ")]

    def pip(self) -> str:
        return (self.root / "pip").read_text().splitlines()[-1]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """Version 1 is installed, enabled and up."""
    box = Box(tmp_path)
    box.wheel("1")
    code, said = box.run()
    assert code == 0, said
    assert box.active() == box.enabled() == {PLAIN}
    return box


def test_an_upgrade_keeps_the_old_version(box: Box) -> None:
    box.wheel("2")
    code, said = box.run("upgrade")
    assert code == 0, said
    assert (box.version(), box.version("previous"), box.venvs()) == ("2", "1", 2)
    assert box.active() == {PLAIN}


def test_a_failed_upgrade_leaves_all_as_it_was(box: Box) -> None:
    box.wheel("2")
    box.run("upgrade")
    box.wheel("3", "bad")
    code, said = box.run("upgrade")
    assert code == 1, said
    assert (box.version(), box.version("previous"), box.venvs()) == ("2", "1", 2)
    assert box.active() == {PLAIN}


def test_an_upgrade_of_a_service_that_is_down_goes_back_too(box: Box) -> None:
    (box.root / "active" / PLAIN).unlink()
    box.wheel("2", "bad")
    code, said = box.run("upgrade")
    assert code == 1, said
    assert (box.version(), box.venvs()) == ("1", 1)
    assert box.active() == {PLAIN}
    assert not (box.root / "opt/edge-agent/previous").exists()


def test_an_upgrade_starts_what_is_enabled_and_down(box: Box) -> None:
    (box.root / "active" / PLAIN).unlink()
    box.wheel("2")
    code, said = box.run("upgrade")
    assert code == 0, said
    assert (box.version(), box.version("previous")) == ("2", "1")
    assert box.active() == {PLAIN}


def test_with_no_start_an_upgrade_starts_nothing_that_is_down(box: Box) -> None:
    (box.root / "active" / PLAIN).unlink()
    box.wheel("2")
    code, said = box.run("upgrade", "--no-start")
    assert code == 0, said
    assert box.active() == set()


@pytest.mark.parametrize("action", ["install", "upgrade"])
def test_a_unit_that_its_owner_disabled_stays_so(box: Box, action: str) -> None:
    instance = "edge-agent@back.service"
    (box.root / "active" / PLAIN).rename(box.root / "active" / instance)
    (box.wants / PLAIN).rename(box.wants / instance)
    box.wheel("2")
    code, said = box.run(action)
    assert code == 0, said
    assert box.active() == box.enabled() == {instance}
    assert box.restarted() == [PLAIN, instance]
    code, said = box.run(action)
    assert code == 0, said
    assert box.active() == box.enabled() == {instance}


def test_an_enabled_instance_is_tried_even_if_it_is_down(box: Box) -> None:
    (box.wants / "edge-agent@back.service").symlink_to(box.root / "assets/systemd/edge-agent@.service")
    box.wheel("2", "bad")
    code, said = box.run("upgrade")
    assert code == 1, said
    assert box.version() == "1"
    assert box.active() == {PLAIN, "edge-agent@back.service"}


def test_an_installation_without_start_is_enabled_by_the_next_one(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.wheel("1")
    assert box.run("--no-start")[0] == 0
    assert box.active() == box.enabled() == set()
    code, said = box.run()
    assert code == 0, said
    assert "installed already" in said
    assert box.active() == box.enabled() == {PLAIN}


def wait_until_it_hangs(box: Box) -> None:
    deadline = time.monotonic() + 30
    while not (box.root / "hanging").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_upgrade_cut_off_by_a_signal_goes_back(box: Box, number: signal.Signals) -> None:
    box.wheel("2", "hangs")
    process = box.start("upgrade")
    wait_until_it_hangs(box)
    process.send_signal(number)
    # What hangs holds the output open, and left to itself it would do so for 60 s (READY).
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1, said
    assert (box.version(), box.venvs()) == ("1", 1), said
    assert box.active() == {PLAIN}


def cut_the_power(box: Box) -> None:
    box.wheel("2", "hangs")
    process = box.start("upgrade")
    wait_until_it_hangs(box)
    process.kill()
    os.kill(int((box.root / "hanging").read_text()), signal.SIGKILL)
    process.communicate()
    (box.root / "hanging").unlink()
    (box.root / "active" / PLAIN).unlink(missing_ok=True)
    assert (box.version(), box.version("previous")) == ("2", "1")


def test_after_a_power_cut_there_is_a_way_back(box: Box) -> None:
    cut_the_power(box)
    code, said = box.run("rollback")
    assert code == 0, said
    assert box.version() == "1"
    assert box.active() == {PLAIN}


def test_an_upgrade_after_a_power_cut_does_not_take_the_untried_version_for_a_good_one(box: Box) -> None:
    cut_the_power(box)
    box.wheel("2", "bad")
    code, said = box.run("upgrade")
    assert code == 1, said
    assert box.version() == "1"
    assert box.active() == {PLAIN}
    box.wheel("3")
    code, said = box.run("upgrade")
    assert code == 0, said
    assert (box.version(), box.version("previous"), box.venvs()) == ("3", "1", 2)


def test_the_good_version_installed_again_after_a_power_cut(box: Box) -> None:
    cut_the_power(box)
    box.wheel("1")
    code, said = box.run()
    assert code == 0, said
    assert (box.version(), box.venvs()) == ("1", 1)
    assert box.active() == {PLAIN}
    assert box.run("rollback")[0] == 1


def test_an_upgrade_goes_back_when_the_units_can_not_be_written(box: Box) -> None:
    (box.root / "assets/systemd/edge-agent@.service").unlink()
    box.wheel("2")
    code, said = box.run("upgrade")
    assert code == 1, said
    assert (box.version(), box.venvs()) == ("1", 1)
    assert box.active() == {PLAIN}


def test_rollback_and_back_again(box: Box) -> None:
    box.wheel("2")
    box.run("upgrade")
    assert box.run("rollback")[0] == 0
    assert (box.version(), box.version("previous")) == ("1", "2")
    assert box.run("rollback")[0] == 0
    assert (box.version(), box.version("previous")) == ("2", "1")


def test_a_strict_umask_does_not_lock_the_service_out(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.wheel("1")
    code, said = box.run(umask=0o077)
    assert code == 0, said
    venv = (box.root / "opt/edge-agent/current").resolve()
    for path in (venv, *venv.rglob("*"), box.root / "etc/edge-agent", box.root / "etc/edge-agent/config.yaml"):
        assert path.stat().st_mode & stat.S_IROTH, path
    assert stat.S_IMODE((box.root / "etc/edge-agent/mqtt_password").stat().st_mode) == 0o600


def test_extras_last_over_an_upgrade(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.wheel("1")
    assert box.run("--extras", "web,pi")[0] == 0
    assert box.pip().endswith(".whl[pi,web]")
    box.wheel("2")
    assert box.run("upgrade")[0] == 0
    assert box.pip().endswith("-2-py3-none-any.whl[pi,web]")
    box.wheel("3", extras="jetson")
    assert box.run("upgrade")[0] == 0
    assert box.pip().endswith("-3-py3-none-any.whl[jetson,pi,web]")
    box.wheel("4")
    assert box.run("upgrade", "--extras", "")[0] == 0
    assert box.pip().endswith("-4-py3-none-any.whl")
    (box.root / "cpuinfo").write_text("Hardware\t: BCM2711\n")
    box.wheel("5")
    assert box.run("upgrade")[0] == 0
    assert box.pip().endswith("-5-py3-none-any.whl")


WARNING = "without pi: --extras names all"


def test_an_extra_can_be_added_to_what_is_installed(tmp_path: Path) -> None:
    box = Box(tmp_path)
    (box.root / "cpuinfo").write_text("Hardware\t: BCM2711\n")
    box.wheel("1")
    assert box.run()[0] == 0
    assert box.pip().endswith("[pi]")
    code, said = box.run("upgrade", "--extras", "+web")
    assert code == 0, said
    assert box.pip().endswith("[pi,web]")
    assert "warning" not in said
    box.wheel("2")
    assert box.run("upgrade")[0] == 0
    assert box.pip().endswith("-2-py3-none-any.whl[pi,web]")


def test_an_extra_can_be_added_to_the_boards_own_at_the_first_installation(tmp_path: Path) -> None:
    box = Box(tmp_path)
    (box.root / "cpuinfo").write_text("Hardware\t: BCM2711\n")
    box.wheel("1")
    code, said = box.run("--extras", "+web, demo")
    assert code == 0, said
    assert box.pip().endswith("[demo,pi,web]")


def test_a_list_of_extras_is_the_whole_list_and_what_it_drops_is_said(tmp_path: Path) -> None:
    box = Box(tmp_path)
    (box.root / "cpuinfo").write_text("Hardware\t: BCM2711\n")
    box.wheel("1")
    assert WARNING not in box.run("--extras", "web,pi")[1]
    process = box.start("upgrade", "--extras", "web", stderr=subprocess.PIPE)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    assert box.pip().endswith("[web]")
    assert WARNING in complaints
    assert WARNING not in box.run("upgrade", "--extras", "web")[1]


def test_a_list_without_the_boards_own_extra_is_said_at_the_first_installation_too(tmp_path: Path) -> None:
    box = Box(tmp_path)
    (box.root / "cpuinfo").write_text("Hardware\t: BCM2711\n")
    box.wheel("1")
    assert WARNING in box.run("--extras", "")[1]


@pytest.mark.parametrize("new_python", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_a_pi_whose_python_has_no_wheel_of_lgpio_sees_the_systems(
    tmp_path: Path, new_python: bool, there: bool
) -> None:
    box = Box(tmp_path)
    box.wheel("1", extras="pi")
    for name, made in (("python3.13", new_python), ("lgpio", there)):
        if made:
            (box.root / name).touch()
    code, said = box.run("install")
    assert code == 0, said
    assert ("seeing the packages of the system" in said) is new_python
    assert ("sudo apt install python3-lgpio" in said) is (new_python and not there)


def test_an_opencv_with_cuda_is_not_hidden_by_the_wheel(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.wheel("1")
    (box.root / "cuda").touch()
    assert box.run()[0] == 0
    assert box.pip().startswith("install")  # a venv that does not see the system has only the wheel
    box.wheel("2")
    code, said = box.run("upgrade", "--system-site-packages")
    assert code == 0, said
    assert box.pip() == "uninstall --quiet --yes opencv-python-headless"
    (box.root / "cuda").unlink()
    box.wheel("3")
    assert box.run("upgrade", "--system-site-packages")[0] == 0
    assert box.pip().startswith("install")


@pytest.mark.parametrize(("extras", "end"), [("web", "[web]"), ("", ".whl"), (None, "[pi]")])
def test_a_wheelhouse_knows_with_what_extras_it_was_built(tmp_path: Path, extras: str | None, end: str) -> None:
    box = Box(tmp_path)
    (box.root / "cpuinfo").write_text("Hardware\t: BCM2711\n")
    box.wheel("1", extras=extras)
    code, said = box.run()
    assert code == 0, said
    assert box.pip().endswith(end)


def test_both_the_gpio_chips_and_the_firmware_mailbox_get_their_groups_at_once() -> None:
    text = (ROOT / "systemd/install.sh").read_text()
    assert "udevadm trigger --subsystem-match=gpio" in text
    assert "udevadm trigger --sysname-match=vcio" in text

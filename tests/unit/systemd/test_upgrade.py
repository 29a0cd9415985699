"""install.sh as it runs, its paths moved into a folder, with a systemctl and a Python that only take notes.

What a real systemd makes of it is shown by script/test-device.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import time
from pathlib import Path

import pytest

from .install_box import PLAIN, ROOT, Box

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


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


def test_both_the_gpio_chips_and_the_firmware_mailbox_get_their_groups_at_once() -> None:
    text = (ROOT / "systemd/install.sh").read_text()
    assert "udevadm trigger --subsystem-match=gpio" in text
    assert "udevadm trigger --sysname-match=vcio" in text

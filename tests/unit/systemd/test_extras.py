"""The parts that install.sh adds to the program: the board's own, the owner's, and those of the system."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .install_box import Box

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


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

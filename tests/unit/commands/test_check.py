"""`edge-agent check` says in a line what would stop the service, and never ends in a traceback."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_agent.cli import main
from edge_agent.commands.unit import installed_unit


def checked(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], **sections: dict[str, Any]
) -> dict[str, str]:
    """One line of the check, by its name, of a configuration with these sections."""
    config = tmp_path / "config.yaml"
    settings = {
        "camera": {"source": "test"},
        "mqtt": {"enabled": False},
        "buzzer": {"driver": "simulated"},
        "service": {"state_dir": str(tmp_path)},
        **sections,
    }
    config.write_text(yaml.safe_dump(settings))
    main(["check", "--json", "-c", str(config)])
    lines = json.loads(capsys.readouterr().out)["checks"]
    found: dict[str, str] = next(said for said in lines if said["name"] == line)
    return found


def snapshots(directory: str | Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What is said of snapshots in `directory`."""
    return checked("snapshots", tmp_path, capsys, snapshots={"enabled": True, "directory": str(directory)})


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs edge-agent.service, as far as systemctl says; with other properties than it is shipped with."""

    def install(**properties: str) -> None:
        shown = {
            "LoadState": "loaded",
            "User": "nobody",
            "StateDirectory": "edge-agent",
            "ProtectSystem": "strict",
            "ProtectHome": "yes",
            "ReadWritePaths": "",
            **properties,
        }
        text = "".join(f"{name}={value}\n" for name, value in shown.items())
        tools = tmp_path / "bin"
        tools.mkdir()
        (tools / "systemctl").write_text(f"#!/bin/sh\necho \"$@\" >'{tools}/asked'\ncat <<'END'\n{text}END\n")
        (tools / "systemctl").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        monkeypatch.setattr("edge_agent.commands.unit.SYSTEM_CONFIG", tmp_path / "config.yaml")

    return install


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may write to."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name).resolve()


def test_a_folder_that_the_unit_closes_is_a_warning_for_root_too(
    unit: Callable[..., None], open_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit()
    line = snapshots(open_folder / "snaps", tmp_path, capsys)
    assert line["status"] == "warn"
    assert f"edge-agent.service may not write to {open_folder}/snaps" in line["text"]
    assert "below /var/lib/edge-agent" in line["hint"]
    assert f"ReadWritePaths={open_folder}/snaps" in line["hint"]


def test_a_link_out_of_the_state_leads_to_what_is_closed(
    unit: Callable[..., None], open_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit(ReadWritePaths=str(tmp_path))
    (tmp_path / "link").symlink_to(open_folder)
    assert snapshots(tmp_path / "link", tmp_path, capsys)["status"] == "warn"


@pytest.mark.parametrize("folder", ["/home/pi/snaps", "/root/snaps", "/run/user/1000/snaps"])
def test_what_lies_below_home_can_not_be_opened(
    unit: Callable[..., None], folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit(ReadWritePaths=folder)
    line = snapshots(folder, tmp_path, capsys)
    assert line["status"] == "warn" and "ProtectHome" in line["text"]
    assert "below /var/lib/edge-agent" in line["hint"] and "ReadWritePaths" not in line["hint"]


@pytest.mark.parametrize(
    "properties",
    [{"ReadWritePaths": "/srv -{folder}"}, {"ProtectSystem": "full"}, {"LoadState": "not-found", "User": ""}],
    ids=["opened by a drop-in", "not closed", "not installed"],
)
def test_a_folder_that_the_unit_can_write_is_all_right(
    unit: Callable[..., None],
    open_folder: Path,
    properties: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    unit(**{name: value.format(folder=open_folder) for name, value in properties.items()})
    line = snapshots(open_folder / "snaps", tmp_path, capsys)
    assert (line["status"], line["text"]) == ("ok", f"kept in {open_folder}/snaps")


@pytest.mark.skipif(os.geteuid() != 0 or Path("/var/lib/edge-agent").exists(), reason="not root, or installed")
def test_what_systemd_makes_at_the_first_start_is_all_right(
    unit: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit()
    assert snapshots("/var/lib/edge-agent/snaps", tmp_path, capsys)["status"] == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask for another user")
def test_an_opened_folder_must_belong_to_the_services_user(
    unit: Callable[..., None], open_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit(ReadWritePaths=str(open_folder))
    open_folder.chmod(0o755)
    line = snapshots(open_folder / "snaps", tmp_path, capsys)
    assert line["status"] == "warn"
    assert f"{open_folder} can't be written by the user nobody" in line["text"]
    assert f"install -d -o nobody {open_folder}/snaps" in line["hint"]


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (None, "edge-agent.service"),
        ("config.yaml", "edge-agent.service"),
        ("back.yaml", "edge-agent@back.service"),
    ],
)
def test_an_instance_is_asked_for_by_its_name(
    unit: Callable[..., None], config: str | None, name: str, tmp_path: Path
) -> None:
    unit()
    found = installed_unit(tmp_path / config if config else None)
    assert found is not None and found.name == name
    assert (tmp_path / "bin/asked").read_text().split()[-1] == name


def test_a_configuration_elsewhere_is_no_units(unit: Callable[..., None], tmp_path: Path) -> None:
    unit()
    assert installed_unit(tmp_path / "tries/config.yaml") is None
    assert installed_unit(Path("config.yaml")) is None


def test_a_state_folder_that_is_a_link_is_open_where_it_leads(
    unit: Callable[..., None], open_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(open_folder)
    unit(ReadWritePaths=str(tmp_path / "link"))
    found = installed_unit(None)
    assert found is not None
    assert found.complaint(open_folder / "snaps") is None


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask for another user")
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_password_file_that_root_alone_may_read_is_not_the_services(
    unit: Callable[..., None], open_folder: Path, mode: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit()
    password = open_folder / "password"
    password.write_text("hush")
    password.chmod(mode)
    mqtt = {"host": "127.0.0.1", "port": 1, "username": "door", "password_file": str(password)}
    line = checked("broker", tmp_path, capsys, mqtt=mqtt)
    assert line["status"] == "fail"
    assert ("can't be read by the user nobody of edge-agent.service" in line["text"]) is (mode == 0o600)
    assert ("/etc/edge-agent/mqtt_password: systemd hands that on" in line["hint"]) is (mode == 0o600)


@pytest.mark.parametrize(("source", "listed"), [("/dev/video99", True), ("rtsp://127.0.0.1:1/door", False)])
def test_only_attached_cameras_are_looked_for_in_the_list(
    source: str, listed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = checked("camera", tmp_path, capsys, camera={"source": source})
    assert line["status"] == "fail"
    assert ("edge-agent cameras" in line["hint"]) is listed


def test_which_configuration_was_checked_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked("configuration", tmp_path, capsys)["text"] == f"{tmp_path / 'config.yaml'} is valid"


def test_a_file_where_the_state_should_be_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    line = checked("disk", tmp_path, capsys, service={"state_dir": str(tmp_path / "file")})
    assert (line["status"], line["hint"]) == ("fail", "correct service.state_dir")


def test_a_password_file_where_one_may_not_look_is_the_brokers_line(
    unit: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unit()

    exists = Path.exists

    def closed(path: Path) -> bool:  # root may look anywhere
        if path.is_relative_to(tmp_path / "none"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", closed)
    mqtt = {"host": "127.0.0.1", "port": 1, "username": "door", "password_file": str(tmp_path / "none" / "file")}
    assert "password_file" in checked("broker", tmp_path, capsys, mqtt=mqtt)["text"]

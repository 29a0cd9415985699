from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from edge_agent.config import Settings
from edge_agent.outputs.switches import Switches, SwitchValues


def test_defaults_come_from_the_configuration_and_kept_values_win(tmp_path: Path) -> None:
    settings = Settings.model_validate({"people": {"threshold": 0.7}, "violations": {"cooldown": 5}})
    path = tmp_path / "switches.json"
    switches = Switches.from_settings(path, settings)
    assert switches.get() == SwitchValues(detection=True, mute=False, threshold=0.7, cooldown=5.0)
    switches.set("cooldown", 30)
    again = Switches.from_settings(path, Settings.model_validate({"people": {"threshold": 0.9}}))
    assert again.get().cooldown == 30
    assert again.get().threshold == 0.9, "what nobody switched follows the configuration"


def test_the_threshold_stays_above_release() -> None:
    settings = Settings.model_validate({"people": {"threshold": 0.8, "release": 0.6}})
    switches = Switches.from_settings(None, settings)
    assert switches.ranges["threshold"] == (0.61, 1.0)
    with pytest.raises(ValueError, match=r"between 0\.61 and 1"):
        switches.set("threshold", 0.6)


@pytest.mark.parametrize("hundredths", range(50, 100))
def test_the_lowest_threshold_is_above_every_release(hundredths: int) -> None:
    release = hundredths / 100
    settings = Settings.model_validate({"people": {"threshold": 1.0, "release": release}})
    assert Switches.from_settings(None, settings).ranges["threshold"] == ((hundredths + 1) / 100, 1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("detection", 1),
        ("mute", "ON"),
        ("threshold", True),
        ("threshold", "0.7"),
        ("threshold", 0.49),
        ("threshold", float("nan")),
        ("cooldown", -0.1),
        ("cooldown", float("inf")),
        ("volume", True),
    ],
)
def test_wrong_values_are_refused_and_change_nothing(name: str, value: object, tmp_path: Path) -> None:
    switches = Switches(tmp_path / "switches.json")
    before = switches.get()
    with pytest.raises(ValueError):
        switches.set(name, value)
    assert switches.get() == before
    assert not (tmp_path / "switches.json").exists()


def test_written_on_change_only_and_observers_told(tmp_path: Path) -> None:
    path = tmp_path / "state" / "switches.json"
    switches = Switches(path)
    told: list[tuple[str, SwitchValues]] = []
    switches.observe(lambda name, values: told.append((name, values)))
    switches.set("mute", False)
    assert not path.exists(), "nothing changed"
    switches.set("mute", True)
    written = path.stat().st_mtime_ns
    switches.set("mute", True)
    assert path.stat().st_mtime_ns == written
    assert [name for name, _ in told] == ["mute"]
    assert told[0][1].mute is True
    assert json.loads(path.read_text()) == {"mute": True}
    assert [p.name for p in path.parent.iterdir()] == ["switches.json"], "no temporary file is left"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'"x"'])
def test_a_broken_file_costs_a_warning(content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "switches.json"
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert Switches(path).get() == SwitchValues()
    assert "defaults" in caplog.text


def test_a_wrong_kept_value_costs_that_value_only(tmp_path: Path) -> None:
    path = tmp_path / "switches.json"
    path.write_text('{"mute": true, "threshold": 7, "cooldown": 1' + "0" * 400 + ', "unknown": 1}')
    assert Switches(path).get() == SwitchValues(mute=True)


def test_a_disk_that_cannot_be_written_keeps_the_value_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    switches = Switches(tmp_path / "file" / "switches.json")
    switches.set("mute", True)
    assert switches.get().mute is True
    assert "until the next start" in caplog.text
    assert switches.trouble is not None and switches.trouble in caplog.text
    (tmp_path / "file").unlink()
    switches.set("mute", True)  # as it is: what anybody would try
    assert switches.trouble is None
    assert Switches(tmp_path / "file" / "switches.json").get().mute is True

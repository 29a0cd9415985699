"""What a board says of itself, from folders laid out like those of real boards."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent import board
from edge_agent.service.checks import checks


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    write(tmp_path, "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "52582\n")
    write(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
    write(tmp_path, "proc/meminfo", "MemTotal:        3884360 kB\nMemFree: 1 kB\n")
    return tmp_path


def test_a_pi_is_known(pi: Path) -> None:
    assert board.model(pi) == "Raspberry Pi 4 Model B Rev 1.4"
    assert board.family(pi) == "raspberry-pi"
    assert board.temperature(pi) == pytest.approx(52.582)
    assert board.throttling(pi) == board.Throttling((), ())
    assert board.memory_total(pi) == 3884360 * 1024


@pytest.mark.parametrize(
    ("flags", "now", "since_boot"),
    [
        ("50005", ("under-voltage", "throttled"), ("under-voltage", "throttled")),
        ("50000", (), ("under-voltage", "throttled")),
        ("0x80008", ("soft temperature limit",), ("soft temperature limit",)),
        ("20002", ("frequency capped",), ("frequency capped",)),
    ],
)
def test_the_firmware_flags(pi: Path, flags: str, now: tuple[str, ...], since_boot: tuple[str, ...]) -> None:
    write(pi, "sys/devices/platform/soc/soc:firmware/get_throttled", flags)
    assert board.throttling(pi) == board.Throttling(now, since_boot)


def test_nonsense_from_the_firmware_is_unknown(pi: Path) -> None:
    write(pi, "sys/devices/platform/soc/soc:firmware/get_throttled", "error")
    assert board.throttling(pi) is None


@pytest.mark.parametrize(("alarm", "words"), [("0", ()), ("1", ("under-voltage",))])
def test_under_voltage_from_hwmon(tmp_path: Path, alarm: str, words: tuple[str, ...]) -> None:
    write(tmp_path, "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    write(tmp_path, "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    write(tmp_path, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", alarm)
    assert board.throttling(tmp_path) == board.Throttling(words, words)


def test_a_jetson_is_known(tmp_path: Path) -> None:
    write(tmp_path, "proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0")
    assert board.family(tmp_path) == "jetson"
    write(tmp_path, "proc/device-tree/model", "Somebody's Carrier\0")
    write(tmp_path, "proc/device-tree/compatible", "somebody,carrier\0nvidia,tegra234\0")
    assert board.family(tmp_path) == "jetson"


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert board.model(tmp_path) is None
    assert board.family(tmp_path) == "other"
    assert board.temperature(tmp_path) is None
    assert board.throttling(tmp_path) is None
    assert board.memory_total(tmp_path) is None


def test_the_hottest_sane_zone_counts(tmp_path: Path) -> None:
    for number, value in enumerate(("45000", "61500", "-256000", "off")):
        write(tmp_path, f"sys/class/thermal/thermal_zone{number}/temp", value)
    assert board.temperature(tmp_path) == 61.5


def test_a_jetsons_power_chip_that_always_tells_100_degrees_does_not_count(tmp_path: Path) -> None:
    zones = {"AO-therm": 45000, "CPU-therm": 38500, "PMIC-Die": 100000, "pmic_die": 100000}
    for number, (kind, value) in enumerate(zones.items()):
        write(tmp_path, f"sys/class/thermal/thermal_zone{number}/temp", str(value))
        write(tmp_path, f"sys/class/thermal/thermal_zone{number}/type", f"{kind}\n")
    assert board.temperature(tmp_path) == 45


def test_the_room_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    space = board.disk(tmp_path / "a/b")
    assert space is not None
    assert 0 < space.free <= space.total
    assert space.writable


def test_check_lines_of_a_healthy_pi(pi: Path, tmp_path: Path) -> None:
    lines = {line.name: line for line in checks(tmp_path, clock_synced=True, root=pi)}
    assert "Raspberry Pi 4" in lines["board"].text
    assert "3793 MiB" in lines["board"].text
    assert [name for name, line in lines.items() if line.status != "ok" and name != "disk"] == []
    assert "power mode" not in lines


def test_check_lines_say_what_to_do(pi: Path, tmp_path: Path) -> None:
    write(pi, "sys/devices/platform/soc/soc:firmware/get_throttled", "50005")
    write(pi, "sys/class/thermal/thermal_zone0/temp", "84000")
    lines = {line.name: line for line in checks(tmp_path, clock_synced=False, temperature_limit=80, root=pi)}
    for name in ("power", "temperature", "clock"):
        assert lines[name].status == "warn"
        assert lines[name].hint
    assert "supply" in lines["power"].hint


def test_under_voltage_in_the_past_is_still_a_warning(pi: Path, tmp_path: Path) -> None:
    write(pi, "sys/devices/platform/soc/soc:firmware/get_throttled", "10000")
    (line,) = [line for line in checks(tmp_path, root=pi) if line.name == "power"]
    assert line.status == "warn"
    assert "since boot" in line.text


def test_a_jetson_whose_power_mode_is_unknown_is_told_how_to_see_it(tmp_path: Path) -> None:
    write(tmp_path, "proc/device-tree/model", "NVIDIA Jetson Orin Nano\0")
    (line,) = [line for line in checks(tmp_path, root=tmp_path) if line.name == "power mode"]
    assert line.status == "warn"
    assert "nvpmodel" in line.hint

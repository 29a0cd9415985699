"""What this board is and how it fares. Every question is answered with None where the board can't tell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Family = Literal["raspberry-pi", "jetson", "other"]

ROOT = Path("/")
_COMMAND_TIMEOUT = 3.0

_THROTTLE_BITS = {
    # https://www.raspberrypi.com/documentation/computers/os.html#vcgencmd, get_throttled
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
_SINCE_BOOT = 16
"""The same flags 16 bits higher: has happened since boot."""


@dataclass(frozen=True, slots=True)
class Throttling:
    """What a Raspberry Pi's firmware holds back, as words such as `under-voltage`."""

    now: tuple[str, ...]
    since_boot: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Room on the disk that holds a folder."""

    free: int
    total: int
    """Bytes."""
    writable: bool


def model(root: Path = ROOT) -> str | None:
    """The board's name as its device tree has it, e.g. `Raspberry Pi 4 Model B Rev 1.4`."""
    for name in ("proc/device-tree/model", "sys/firmware/devicetree/base/model"):
        text = _read(root / name)
        if text:
            return text
    return None


def family(root: Path = ROOT) -> Family:
    """Which kind of board this is, for what differs between them."""
    name = (model(root) or "").lower()
    if "raspberry pi" in name:
        return "raspberry-pi"
    compatible = (_read(root / "proc/device-tree/compatible") or "").lower()
    if "jetson" in name or "nvidia,tegra" in compatible or (root / "etc/nv_tegra_release").exists():
        return "jetson"
    # A kernel without device tree still has the revision here, where gpiozero looks too (gpiozero/pins/local.py,
    # get_pi_revision); other boards' kernels say 0000.
    revision = re.search(r"^Revision\s*: *0*[1-9a-f]", _read(root / "proc/cpuinfo") or "", re.MULTILINE)
    return "raspberry-pi" if revision else "other"


def temperature(root: Path = ROOT) -> float | None:
    """Degrees Celsius of the hottest thermal zone.

    That of the power management chip is left out: on a Jetson Nano, TX2 and Xavier it always tells 100
    (balena-os/balena-jetson issue 142, which quotes NVIDIA).
    """
    readings = []
    for zone in (root / "sys/class/thermal").glob("thermal_zone*/temp"):
        if (_read(zone.with_name("type")) or "").lower().startswith("pmic"):
            continue
        value = _read_int(zone)  # a zone that is switched off answers with an error
        if value is not None and -40_000 < value < 150_000:
            readings.append(value / 1000.0)
    return max(readings, default=None)


def throttling(root: Path = ROOT) -> Throttling | None:
    """Under-voltage and throttling flags of a Raspberry Pi; None elsewhere.

    Read from the firmware driver's file, then from `vcgencmd` (which needs /dev/vcio, group video), then from
    the hwmon driver, which knows under-voltage alone.
    """
    text = _read(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    if text is None and root == ROOT and shutil.which("vcgencmd"):
        text = (_run("vcgencmd", "get_throttled") or "").partition("=")[2] or None
    if text is not None:
        try:
            return _flags(int(text, 16))
        except ValueError:
            return None
    for name in (root / "sys/class/hwmon").glob("hwmon*/name"):
        if _read(name) == "rpi_volt":
            alarm = _read_int(name.with_name("in0_lcrit_alarm"))
            if alarm is not None:
                words = ("under-voltage",) if alarm else ()
                return Throttling(now=words, since_boot=words)
    return None


def power_mode() -> str | None:
    """A Jetson's power mode as `nvpmodel -q` names it, e.g. `MAXN` or `15W`; None elsewhere."""
    if not shutil.which("nvpmodel"):
        return None
    for line in (_run("nvpmodel", "-q") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() == "nv power mode":
            return value.strip() or None
    return None


def disk(path: Path) -> DiskSpace | None:
    """Room for `path`, or for the nearest folder above it that exists."""
    for folder in (path, *path.parents):
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            continue
        return DiskSpace(free=usage.free, total=usage.total, writable=os.access(folder, os.W_OK))
    return None


def memory_total(root: Path = ROOT) -> int | None:
    """Bytes of memory the board has."""
    for line in (_read(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _flags(value: int) -> Throttling:
    return Throttling(
        now=tuple(word for bit, word in _THROTTLE_BITS.items() if value >> bit & 1),
        since_boot=tuple(word for bit, word in _THROTTLE_BITS.items() if value >> (bit + _SINCE_BOOT) & 1),
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return None


def _read_int(path: Path) -> int | None:
    try:
        return int(_read(path) or "")
    except ValueError:
        return None


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout

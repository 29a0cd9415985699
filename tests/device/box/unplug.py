"""The camera is pulled out and put back under the running service; the picture is the kernel's test pattern."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import device
import watch
from device import UNIT
from steps import run, sh, wait_for


def install() -> None:
    """install from the wheelhouse, start with the camera in"""
    device.install("--no-start")
    device.CONFIG.write_text(watch.SETTINGS)
    device.drop_in("box", f"{watch.SLOW}WatchdogSec={watch.WATCHDOG}\n")
    watch.broker.start()
    sh("systemctl", "start", UNIT, timeout=500)
    wait_for("camera ok", lambda: watch.broker.status().get("camera") == "ok", watch.LONG)


def unplugged() -> None:
    """unplugged: `lost` in the status, no restart, no spinning"""
    before = device.pid()
    sh("box-cam", "unplug")
    wait_for("camera lost", lambda: watch.broker.status().get("camera") == "lost", watch.LONG)
    used = _cpu_seconds()
    wait_for("20 s of waiting", _after(20), 30)
    assert _cpu_seconds() - used < 15, "it spins while there is no camera"
    assert device.pid() == before


def plugged() -> None:
    """plugged in again: frames flow, same process"""
    before = device.pid()
    sh("box-cam", "plug")
    wait_for("camera ok again", lambda: watch.broker.status().get("camera") == "ok", watch.LONG)
    assert device.pid() == before, "restarted"


def renumbered() -> None:
    """pulled and put back on a busy board while somebody holds the old node: found under another number"""
    before = device.pid()
    holder = os.open("/dev/video0", os.O_RDWR)
    load = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    try:
        sh("box-cam", "unplug")
        wait_for("camera lost", lambda: watch.broker.status().get("camera") == "lost", watch.LONG)
        sh("box-cam", "plug")
        wait_for("a node of another number", lambda: Path("/dev/video1").exists(), watch.LONG)
        wait_for("camera ok again", lambda: watch.broker.status().get("camera") == "ok", watch.LONG)
    finally:
        load.kill()
        load.wait()
        os.close(holder)
    assert device.pid() == before, "restarted"


def _cpu_seconds() -> float:
    return int(device.show("CPUUsageNSec")) / 1e9


def _after(seconds: float):  # type: ignore[no-untyped-def]
    import time

    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


if __name__ == "__main__":
    Path("/out").mkdir(exist_ok=True)
    raise SystemExit(run([install, unplugged, plugged, renumbered, watch.stopped], device.tell_all))

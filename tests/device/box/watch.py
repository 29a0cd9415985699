"""A person without a mask appears on /dev/video0; then everything is done to the service that a device does.

In the emulated machine: a real kernel with a GPIO chip and a camera, networks about 200 times slower than native.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from pathlib import Path

import device
from device import UNIT, Broker, beeps, show
from steps import OUT, run, sh, wait_for

SETTINGS = f"""\
device: {{id: box}}
camera: {{source: /dev/video0, width: 320, height: 240, fps: 5, max_age: 60, stall_after: 20, freeze_after: 900,
  open_timeout: 60, read_timeout: 15, reopen_min: 0.5, reopen_max: 2}}
vision: {{{device.MODELS_DIR}max_fps: 4, motion_gate: false, threads: 1,
  face: {{input_width: 160, min_size: 16, threshold: 0.3}},
  mask: {{min_face: 16}}, gender: {{enabled: false}}}}
people: {{min_votes: 2, window: 3, threshold: 0.5, release: 0.3, min_score: 0.4, lost_after: 10}}
violations: {{cooldown: 0}}
buzzer: {{driver: gpio, pin: {device.PIN}, no_mask: {{on: 0.6, off: 0.4, repeats: 3}}}}
mqtt: {{host: 127.0.0.1, username: edge, reconnect_max: 3, connect_timeout: 30, status_interval: 5,
  discovery: {{enabled: false}}}}
"""
# The box plays a Pi by an overlay on /proc/cpuinfo, which the service's own /proc would not show.
SLOW = "[Service]\nTimeoutStartSec=400\nTimeoutStopSec=60\nBindReadOnlyPaths=/run/box/cpuinfo:/proc/cpuinfo\n"
WATCHDOG = 60
TRACE = OUT / "gpio17.txt"
LONG = 300.0
"""Seconds that a thing may take which takes one or two on a device."""

broker = Broker()


def install() -> None:
    """install from the wheelhouse, without network"""
    device.install("--no-start")
    device.CONFIG.write_text(SETTINGS)
    device.drop_in("box", f"{SLOW}WatchdogSec={WATCHDOG}\n")
    broker.start()
    subprocess.Popen(["box-gpio", "trace", str(TRACE), device.PIN], start_new_session=True)


def ready() -> None:
    """start: READY with camera and models"""
    sh("systemctl", "start", UNIT, timeout=500)
    assert device.active(), show("ActiveState")
    wait_for("camera ok in the status", lambda: broker.status().get("camera") == "ok", LONG)
    assert "online" in broker.messages("/availability"), "no `online`"
    text = show("StatusText")
    assert "camera" in text, f"STATUS says nothing of the camera: {text!r}"


def violation() -> None:
    """a bare face at /dev/video0: the event reaches mosquitto"""
    wait_for("an event at the broker", lambda: broker.violations(), LONG)
    event = broker.violations()[0]
    assert event["kind"] == "no_mask", event
    assert event["schema"] == 1 and event["event_id"] and event["votes"] >= 2, event
    print(f"         milliseconds of each stage: {broker.status().get('stage_ms')}", flush=True)


def buzzer() -> None:
    """the buzzer line rises with the configured pattern, read from the chip"""
    pulses = wait_for("three pulses", lambda: len(p := beeps(TRACE)) >= 3 and p, LONG)
    assert isinstance(pulses, list)
    for (begin, high), (following, _) in itertools.pairwise(pulses[:3]):
        low = following - begin - high
        # the emulation is late at times, never early
        assert 0.5 <= high <= 1.2, f"0.6 s high are configured, {high:.2f} s measured: {pulses[:3]}"
        assert 0.3 <= low <= 1.0, f"0.4 s low are configured, {low:.2f} s measured: {pulses[:3]}"


def killed() -> None:
    """SIGKILL: systemd starts it again, the buzzer line falls, events go on"""
    before, count, mark = device.pid(), device.restarts(), broker.mark()
    os.kill(before, signal.SIGKILL)
    wait_for("a new process", lambda: device.restarts() == count + 1 and device.active(), 400)
    assert device.pid() != before
    wait_for("the line is low between beeps", lambda: sh("box-gpio", "get", device.PIN) == "0", 30)
    wait_for("an event of the new process", lambda: broker.violations(mark), LONG)


def hung() -> None:
    """SIGSTOP: the watchdog bites, systemd starts it again"""
    before, count = device.pid(), device.restarts()
    os.kill(before, signal.SIGSTOP)
    wait_for("a restart by the watchdog", lambda: device.restarts() == count + 1, WATCHDOG + 60)
    assert "Watchdog timeout" in device.journal(lines=200), "the journal names no watchdog"
    wait_for("READY again", device.active, 400)
    wait_for("camera ok", lambda: broker.status().get("camera") == "ok", LONG)


def camera_hangs() -> None:
    """the camera stops delivering: said honestly for longer than the watchdog's time, no restart"""
    before = device.pid()
    sh("box-cam", "stop")
    begin = time.monotonic()
    wait_for("camera lost in the status", lambda: broker.status().get("camera") == "lost", LONG)
    assert broker.status()["health"] == "failed", broker.status()
    time.sleep(max(0.0, WATCHDOG + 15 - (time.monotonic() - begin)))
    assert device.pid() == before and device.active(), "restarted although it said that the camera is lost"
    sh("box-cam", "start")
    wait_for("camera ok again", lambda: broker.status().get("camera") == "ok", LONG)
    mark = broker.mark()
    wait_for("an event after that", lambda: broker.violations(mark), LONG)
    assert device.pid() == before, "restarted"


def broker_killed() -> None:
    """the broker is killed: the event waits on the disk and comes, marked as replayed"""
    broker.outage(LONG)


def stopped() -> None:
    """systemctl stop: exit 0, `offline`, buzzer line low"""
    mark = broker.mark()
    sh("systemctl", "stop", UNIT)
    assert show("Result") == "success" and show("ExecMainStatus") == "0", device.journal(lines=5)
    wait_for("offline", lambda: "offline" in broker.messages("/availability", mark), 30)
    assert sh("box-gpio", "get", device.PIN) == "0"


if __name__ == "__main__":
    Path("/out").mkdir(exist_ok=True)
    steps = [install, ready, violation, buzzer, killed, hung, camera_hangs, broker_killed, stopped]
    raise SystemExit(run(steps, device.tell_all))

"""How fast the whole loop is here: milliseconds per stage, calls, memory, and the time until READY."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from edge_agent import __version__, board, films
from edge_agent.camera.transform import Transform, watched
from edge_agent.chain import Chain
from edge_agent.config import Settings
from edge_agent.errors import EdgeAgentError, InputError
from edge_agent.outputs import buzzer
from edge_agent.outputs.mqtt.payloads import ViolationFacts
from edge_agent.types import Frame, ViolationNotice

STAGES = ("decode", "motion", "faces", "mask", "gender", "track", "outputs", "total")
_READY_SECONDS = 60.0
_SETTLE_SECONDS = 3.0


def measure(settings: Settings, clip: Path, frames: int) -> dict[str, Any]:
    """Take up to `frames` frames of a video through the chain as fast as possible, turned and watched as
    `camera.rotate`, `flip` and `roi` say.

    `vision.max_fps` does not hold it back. Milliseconds are wall time of this process, which does nothing else.
    Raises InputError and ModelError.
    """
    upright = Transform(settings.camera)
    chain = Chain(settings, keep=watched(settings.camera))
    bell = buzzer.create(settings.buzzer.model_copy(update={"driver": "simulated"}))
    bell.start()
    times: dict[str, list[float]] = defaultdict(list)
    calls = {"faces": 0, "mask": 0, "gender": 0}
    net = cpu = 0.0
    count = started = 0
    capture = cv2.VideoCapture(str(clip))
    try:
        fps = films.rate(capture, settings.camera.fps)
        begin_wall = datetime.now(timezone.utc)
        while count < frames:
            begin = time.perf_counter()
            cpu_begin = time.process_time()
            good, image = capture.read()
            if not good:
                break
            image = upright(np.asarray(image, np.uint8))
            decoded = time.perf_counter()
            moment = count / fps
            frame = Frame(count, image, moment, begin_wall + timedelta(seconds=moment))
            result = chain.process(frame)
            processed = time.perf_counter()
            for notice in result.notices:
                _output(bell, notice)
                started += notice.alarm
            done = time.perf_counter()
            cpu += time.process_time() - cpu_begin
            times["decode"].append((decoded - begin) * 1e3)
            times["total"].append((done - decoded) * 1e3)
            if result.notices:
                times["outputs"].append((done - processed) * 1e3)
            for name in ("motion", "faces", "mask", "gender", "track"):
                value = getattr(result.times, name)
                if value is not None:
                    times[name].append(value)
            calls["faces"] += result.detected
            calls["mask"] += result.times.mask_calls
            calls["gender"] += result.times.gender_calls
            net += result.times.net
            count += 1
    finally:
        capture.release()
        bell.stop(0.5)
    if count == 0:
        raise InputError(f"{clip}: not a video, or one without a frame")
    total = sum(times["total"])
    return {
        "version": __version__,
        "input": clip.name,
        "machine": board.model() or os.uname().machine,
        "networks": chain.networks.describe(),
        "frames": count,
        "alarms": started,
        "stages": {name: _percentiles(times[name]) for name in STAGES if times[name]},
        "calls_per_frame": {name: round(number / count, 3) for name, number in calls.items()},
        "floor_ms_per_frame": round(net / count, 3),
        "share_of_floor": round(total / net, 3) if net else None,
        "cpu_ms_per_frame": round(cpu * 1e3 / count, 3),
        "frames_per_second": round(count / (total + sum(times["decode"])) * 1e3, 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def start_up(settings: Settings, clip: Path) -> dict[str, float]:
    """Start the real service on a clip; seconds until it tells READY, and its peak memory some seconds later.

    Raises EdgeAgentError if it does not get ready.
    """
    with tempfile.TemporaryDirectory(prefix="edge-agent-bench-") as scratch:
        folder = Path(scratch)
        address = folder / "notify"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(str(address))
        listener.settimeout(_READY_SECONDS)
        configuration = settings.model_dump(mode="json")
        configuration["camera"].update(source=str(clip.absolute()), loop=True, realtime=True)
        configuration["buzzer"]["driver"] = "simulated"
        # What the owner keeps is not pushed out by pictures of the clip, nor their page's port taken.
        configuration["snapshots"]["enabled"] = configuration["web"]["enabled"] = False
        configuration["mqtt"].update(host="127.0.0.1", port=9)  # nobody listens on `discard`: offline, as at boot
        configuration["service"]["state_dir"] = scratch
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(configuration))
        # Not the owner's outbox, which systemd's variable would name.
        environment = {name: value for name, value in os.environ.items() if name != "STATE_DIRECTORY"}
        environment["NOTIFY_SOCKET"] = str(address)
        begin = time.perf_counter()
        service = subprocess.Popen(
            [sys.executable, "-m", "edge_agent", "run", "-c", str(path)],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            ready = _wait_until_ready(listener, service)
            seconds = ready - begin
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.wait(_SETTLE_SECONDS)  # let the first people walk in: that is the peak
            memory = _peak_memory(service.pid)
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(10)
            listener.close()
    return {"ready_seconds": round(seconds, 2), "service_peak_rss_mb": round(memory, 1)}


def age_at_buzzer(settings: Settings, clip: Path, seconds: float) -> dict[str, float]:
    """Play the clip in real time through the agent; milliseconds from a frame's capture to its beep."""
    from edge_agent.agent import Agent

    captured: dict[str, float] = {}
    ages: list[float] = []

    def on_notice(notice: ViolationNotice) -> None:
        captured[notice.violation.event_id] = notice.violation.monotonic

    def on_beep(beep: buzzer.BeepEvent) -> None:
        if beep.event_id in captured:
            ages.append((beep.monotonic - captured[beep.event_id]) * 1e3)

    with tempfile.TemporaryDirectory(prefix="edge-agent-bench-") as scratch:
        update = {
            "camera": settings.camera.model_copy(update={"source": str(clip), "loop": False, "realtime": True}),
            "buzzer": settings.buzzer.model_copy(update={"driver": "simulated", "enabled": True}),
            "snapshots": settings.snapshots.model_copy(update={"enabled": False}),
            "web": settings.web.model_copy(update={"enabled": False}),
            "mqtt": settings.mqtt.model_copy(update={"enabled": False}),
            "violations": settings.violations.model_copy(update={"cooldown": 0.0}),
            "service": settings.service.model_copy(update={"state_dir": Path(scratch)}),
        }
        agent = Agent(
            settings.model_copy(update=update),
            on_beep=on_beep,
            on_notice=on_notice,
        )
        stop = threading.Event()
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()
        agent.run(stop)
        timer.cancel()
    return _percentiles(ages) if ages else {}


def _output(bell: buzzer.BuzzerOutput, notice: ViolationNotice) -> None:
    bell.handle(notice)
    ViolationFacts.from_violation(notice.violation).model_dump_json()


def compare(figures: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """Ratios of figures to those of another run, as far as both have them; medians where there are percentiles."""

    def numbers(of: dict[str, Any]) -> dict[str, float]:
        found = {name: of[name] for name in of if name not in ("stages", "frames")}
        found |= {f"stages.{name}": value for name, value in of["stages"].items()}
        found = {name: value.get("p50") if isinstance(value, dict) else value for name, value in found.items()}
        return {name: value for name, value in found.items() if isinstance(value, (int, float))}

    before = numbers(other)
    return {name: round(value / before[name], 3) for name, value in numbers(figures).items() if before.get(name)}


def _percentiles(values: list[float]) -> dict[str, float]:
    return {"p50": round(float(np.percentile(values, 50)), 3), "p95": round(float(np.percentile(values, 95)), 3)}


def _wait_until_ready(listener: socket.socket, service: subprocess.Popen[bytes]) -> float:
    while True:
        try:
            message = listener.recv(4096)
        except TimeoutError:
            raise EdgeAgentError(f"the service was not ready after {_READY_SECONDS:.0f} s") from None
        if b"READY=1" in message:
            return time.perf_counter()
        if service.poll() is not None:
            raise EdgeAgentError(f"the service ended with {service.returncode} before it was ready")


def _peak_memory(pid: int) -> float:
    """Peak resident memory of a process, MiB (proc(5), VmHWM)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return float("nan")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024

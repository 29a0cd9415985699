"""How long the service takes to say READY, and the most memory it ever takes."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from benchmarks.naive import backends

CLIP = Path(__file__).resolve().parents[1] / "edge_agent" / "assets" / "demo.mp4"
_READY_WITHIN = 60.0
_STOP_WITHIN = 15.0


class StartError(Exception):
    """The service ended, or did not say READY in time; the message has what it printed last."""


@dataclass(frozen=True)
class Start:
    """One start of the service."""

    ready_seconds: float
    peak_mb: float
    cpu_seconds: float
    """CPU time of the whole run, start included."""
    ran_seconds: float


def start_service(seconds: float, cores: set[int] | None = None) -> Start:
    """Start ``edge-agent run`` on the demo clip, let it run ``seconds`` after READY, stop it.

    There is no broker and no buzzer behind it: what is measured is the service itself, all its parts at work.

    Raises:
        StartError: it did not become ready.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = {
            "camera": {"source": str(CLIP)},
            "buzzer": {"driver": "simulated"},
            "mqtt": {"host": "127.0.0.1", "port": _closed_port()},
            "service": {"state_dir": str(folder / "state")},
        }
        (folder / "state").mkdir()
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, (folder / "log").open("w+b") as log:
            notify.bind(str(folder / "notify"))
            environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
            begin = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", "run", "-c", str(config)],
                env=environment, stdout=log, stderr=log,
                preexec_fn=_pin(cores),
            )  # fmt: skip
            try:
                _wait_ready(notify, process, begin, folder / "log")
                ready = time.monotonic() - begin
                _let_run(process, seconds, folder / "log")
                peak, cpu = _peak_mb(process.pid), _cpu_seconds(process.pid)
                ran = time.monotonic() - begin
            finally:
                _stop(process)
    return Start(round(ready, 3), round(peak, 1), round(cpu, 2), round(ran, 2))


def start_ancestor(cores: set[int] | None = None) -> Start | None:
    """The same of the ancestor's pipeline in Keras, up to its first frame; None without TensorFlow."""
    if "keras" not in backends():
        return None
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "benchmarks.ancestor.start", str(CLIP), scratch]
        # The first run writes the networks with random weights; the second finds them, as a service would.
        for _ in range(2):
            begin = time.monotonic()
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=_pin(cores)
            ) as process:
                try:
                    line = process.stdout.readline() if process.stdout else b""
                    if line.strip() != b"READY":
                        raise StartError("the ancestor's pipeline did not start; its message is above")
                    ready = time.monotonic() - begin
                    peak, cpu = _peak_mb(process.pid), _cpu_seconds(process.pid)
                finally:
                    process.kill()
    return Start(round(ready, 3), round(peak, 1), round(cpu, 2), round(ready, 2))


def _pin(cores: set[int] | None) -> Callable[[], None] | None:
    if not cores:
        return None
    return lambda: os.sched_setaffinity(0, cores)


def _wait_ready(notify: socket.socket, process: subprocess.Popen[bytes], begin: float, log: Path) -> None:
    notify.settimeout(0.2)
    while time.monotonic() - begin < _READY_WITHIN:
        try:
            if b"READY=1" in notify.recv(4096):
                return
        except TimeoutError:
            pass
        if process.poll() is not None:
            raise StartError(f"edge-agent run ended with {process.returncode}: {_last_lines(log)}")
    raise StartError(f"edge-agent run was not ready within {_READY_WITHIN:.0f} s: {_last_lines(log)}")


def _let_run(process: subprocess.Popen[bytes], seconds: float, log: Path) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise StartError(f"edge-agent run ended by itself with {process.returncode}: {_last_lines(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise StartError(f"/proc/{pid}/status has no VmHWM")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def _closed_port() -> int:
    """A port nobody listens at: it was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_lines(log: Path) -> str:
    return " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:])


def main() -> int:
    """Command line; exit code 1 if the service does not start."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the last start runs on (default: 20)")
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)), help="which core to run on")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    try:
        starts = [start_service(0.5, {arguments.core}) for _ in range(arguments.starts - 1)]
        starts.append(start_service(arguments.seconds, {arguments.core}))
        ancestor = start_ancestor({arguments.core})
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    figures = {
        "ready_seconds": statistics.median(start.ready_seconds for start in starts),
        "peak_mb": max(start.peak_mb for start in starts),
        "core_share": round(starts[-1].cpu_seconds / starts[-1].ran_seconds, 4),
        "starts": [asdict(start) for start in starts],
        "ancestor": asdict(ancestor) if ancestor else None,
    }
    ready, peak = figures["ready_seconds"], figures["peak_mb"]
    print(f"READY after {ready:.2f} s (median of {len(starts)}), at most {peak:.0f} MB")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

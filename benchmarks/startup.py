"""From start to READY, and the most memory ever taken: the service's and the ancestor's, on one core."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.naive import backends
from edge_agent.bench import start_up
from edge_agent.config import Settings
from edge_agent.errors import EdgeAgentError

CLIP = Path(__file__).resolve().parents[1] / "edge_agent" / "assets" / "demo.mp4"


def start_ancestor() -> dict[str, float] | None:
    """Seconds until the ancestor's pipeline in Keras has its first frame done; None without TensorFlow.

    Raises:
        EdgeAgentError: it ended before that.
    """
    if "keras" not in backends():
        return None
    with tempfile.TemporaryDirectory() as scratch:
        # The first run writes the networks with random weights; the second finds them, as a service would.
        _start_ancestor(Path(scratch))
        return _start_ancestor(Path(scratch))


def _start_ancestor(scratch: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.ancestor.start", str(CLIP), str(scratch)]
    begin = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            if line.strip() != b"READY":
                raise EdgeAgentError("the ancestor's pipeline did not start; its message is above")
            ready = time.monotonic() - begin
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
        finally:
            process.kill()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return {"ready_seconds": round(ready, 2), "peak_mb": round(peak / 1024, 1)}


def main() -> int:
    """Command line; exit code 1 if the service or the ancestor does not start."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)), help="which core to run on")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})  # the processes started from here inherit it
    try:
        starts = [start_up(Settings(), CLIP) for _ in range(arguments.starts)]
        ancestor = start_ancestor()
    except EdgeAgentError as error:
        print(error, file=sys.stderr)
        return 1
    figures = {
        "ready_seconds": round(statistics.median(start["ready_seconds"] for start in starts), 2),
        "peak_mb": max(start["service_peak_rss_mb"] for start in starts),
        "starts": starts,
        "ancestor": ancestor,
    }
    print(json.dumps(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

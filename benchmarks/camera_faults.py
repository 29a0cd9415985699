"""python -m benchmarks.camera_faults: break every kind of camera in every way, and print what came of it.

All of it happens on this machine: a scripted camera, an HTTP and an RTSP server on the loopback interface, and a
GStreamer child. Exit code 1 if a fault was not seen in time or a camera did not come back.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from benchmarks.cameras.faults import RIGS, Outcome, try_fault
from edge_agent.config import CameraSettings

# Short bounds, so that the table is there in minutes; --default-bounds takes those of the product.
SHORT = CameraSettings(
    width=320,
    height=240,
    fps=20,
    open_timeout=3.0,
    read_timeout=0.5,
    stall_after=1.0,
    freeze_after=3.0,
    dark_after=2.0,
    reopen_min=0.2,
    reopen_max=2.0,
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="camera_faults", description=__doc__.splitlines()[0])
    parser.add_argument("--default-bounds", action="store_true", help="the product's own time-outs: takes longer")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # the faults are meant
    settings = CameraSettings() if options.default_bounds else SHORT
    outcomes: list[Outcome] = []
    skipped: list[str] = []
    for rig in RIGS:
        missing = rig.missing()
        if missing is not None:
            skipped.append(f"{rig.name}: {missing}")
            continue
        outcomes += [try_fault(rig(settings), fault) for fault in rig.faults]
    if options.json:
        print(json.dumps({"outcomes": [asdict(outcome) for outcome in outcomes], "skipped": skipped}, indent=1))
    else:
        show(outcomes, skipped)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def show(outcomes: list[Outcome], skipped: list[str]) -> None:
    table = Table("camera", "fault", "state told", "bound s", "seen s", "recovered", "back after repair s")
    for outcome in outcomes:
        table.add_row(
            outcome.camera,
            outcome.fault,
            outcome.state,
            f"{outcome.bound:.1f}",
            "never"
            if outcome.seen is None
            else f"{outcome.seen:.1f}" + ("" if outcome.seen <= outcome.bound else " !"),
            "no" if outcome.back is None else "yes",
            "" if outcome.back is None else f"{outcome.back:.1f}",
        )
    console = Console()
    console.print(table)
    recovered = sum(outcome.back is not None for outcome in outcomes)
    console.print(
        f"{len(outcomes)} faults tried, {sum(outcome.ok for outcome in outcomes)} in time, {recovered} recovered"
    )
    for line in skipped:
        console.print(f"skipped {line}")


if __name__ == "__main__":
    sys.exit(main())

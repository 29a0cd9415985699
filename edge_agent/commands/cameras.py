"""`edge-agent cameras`: what is attached, with sizes and rates."""

from __future__ import annotations

import argparse

from edge_agent.commands.common import Commands


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "cameras",
        parents=[common],
        help="what cameras are attached, with sizes and rates",
        description="List the attached cameras; the name or by-id path is what camera.source takes.",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from edge_agent.camera.probe import list_cameras

    cameras = list_cameras()
    if not cameras:
        print(
            "No camera found. USB: is it plugged in (lsusb), and are you in the group 'video'? "
            "Pi ribbon cable: use camera.source: picamera2."
        )
        return 0
    table = Table("camera", "name", "by-id path", "sizes and rates", box=None)
    for camera in cameras:
        modes = ", ".join(str(mode) for mode in camera.modes)
        table.add_row(str(camera.path), camera.name, camera.by_id or "—", modes or "—")
    Console().print(table)
    return 0

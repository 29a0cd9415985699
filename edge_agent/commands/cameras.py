"""`edge-agent cameras`: what is attached, with sizes and rates."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_agent.commands.common import Commands, whole_console

if TYPE_CHECKING:
    from edge_agent.camera.devices import Mode

_SIZES = 6
"""Sizes that are listed for each pixel format."""


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "cameras",
        parents=[common],
        help="what cameras are attached, with sizes and rates",
        description="List the attached cameras; the name or by-id path is what camera.source takes.",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
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
        what = _modes(camera.modes)
        if camera.needs_picamera2:
            what = "a ribbon-cable camera: set camera.source to picamera2"
        table.add_row(camera.path, camera.name, camera.by_id or "—", camera.error or what or "—")
    whole_console().print(table)
    return 0


def _modes(modes: Sequence[Mode]) -> str:
    """A line per pixel format: its largest sizes, each with its fastest rate. Some drivers list hundreds."""
    sizes: dict[str, dict[tuple[int, int], float]] = {}
    for mode in modes:
        known = sizes.setdefault(mode.fourcc, {})
        size = (mode.width, mode.height)
        known[size] = max(known.get(size, 0.0), max(mode.rates, default=0.0))
    lines = []
    for fourcc, known in sizes.items():
        largest = sorted(known, reverse=True)[:_SIZES]
        texts = [f"{w}×{h}" + (f" @ {known[w, h]:g}" if known[w, h] else "") for w, h in largest]
        lines.append(f"{fourcc}: {', '.join(texts)}{', …' if len(known) > _SIZES else ''}")
    return "\n".join(lines)

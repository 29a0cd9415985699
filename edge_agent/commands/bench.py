"""`edge-agent bench`: how fast the whole loop is on this machine."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from edge_agent.commands.common import Commands, add_config_option, load_settings, whole_console
from edge_agent.errors import InputError


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "bench",
        parents=[common],
        help="milliseconds per stage, frames a second, memory, start-up",
        description="Take a video through the loop as fast as it goes, and start the service once.",
        epilog="'share of floor' is the loop's time over that of the bare networks it called: 1 is perfect.",
    )
    parser.add_argument(
        "input", nargs="?", type=Path, metavar="INPUT", help="a video of your camera's (default: the demo clip)"
    )
    add_config_option(parser)
    parser.add_argument("--frames", type=int, default=600, metavar="N", help="at most so many (default: 600)")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")
    parser.add_argument("--compare", type=Path, metavar="OTHER.json", help="ratios to an earlier --json")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.frames < 1:
        raise InputError("--frames must be at least 1")
    settings = load_settings(options)
    other = _read(options.compare) if options.compare else None
    from edge_agent import bench
    from edge_agent.commands.demo import clip
    from edge_agent.films import name_for_opencv, shown

    film = options.input or clip()
    if options.input is None:  # it hangs upright, and boards are compared with it
        upright = settings.camera.model_copy(update={"rotate": 0, "flip": "none", "roi": ()})
        settings = settings.model_copy(update={"camera": upright})
    # What is measured must not depend on the time of day.
    loud = settings.violations.model_copy(update={"quiet_hours": ()})
    settings = settings.model_copy(update={"violations": loud})
    with name_for_opencv(film) as name:
        figures = bench.measure(settings, name, options.frames)
        figures["age_at_buzzer_ms"] = bench.age_at_buzzer(settings, name, seconds=12.0)
        figures.update(bench.start_up(settings, name))
    figures["input"] = shown(film.name)
    ratios = None if other is None else bench.compare(figures, other)
    if options.json:
        told = figures if ratios is None else figures | {"ratios": ratios}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _print(figures, ratios)
    return 0


def _read(path: Path) -> dict[str, Any]:
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"--compare {path}: can't be read: {error}") from None
    if not isinstance(figures, dict) or not isinstance(figures.get("stages"), dict):
        raise InputError(f"--compare {path}: not what `edge-agent bench --json` prints")
    return figures


def _print(figures: dict[str, Any], ratios: dict[str, float] | None) -> None:
    from rich.table import Table

    def ratio(name: str) -> list[str]:
        return [] if ratios is None else [f"{ratios[name]:.2f}" if name in ratios else "—"]

    console = whole_console()
    console.print(f"{figures['networks']}; {figures['frames']} frames of {figures['input']}, {figures['machine']}")
    against = [] if ratios is None else ["/ other"]
    table = Table("stage", "p50 ms", "p95 ms", "calls/frame", *against, box=None)
    for name, values in figures["stages"].items():
        calls = figures["calls_per_frame"].get(name)
        row = [name, f"{values['p50']:.2f}", f"{values['p95']:.2f}", "" if calls is None else f"{calls:.2f}"]
        table.add_row(*row, *ratio(f"stages.{name}"))
    console.print(table)
    summary = Table("figure", "value", *against, box=None)
    for name, value in figures.items():
        number = value.get("p50") if isinstance(value, dict) and "p50" in value else value
        if isinstance(number, (int, float)) and name != "frames":
            summary.add_row(name.replace("_", " "), f"{number:g}", *ratio(name))
    console.print(summary)

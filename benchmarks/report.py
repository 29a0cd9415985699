"""The measured figures beside what they should be: one table for a terminal and for the documentation."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FILES = ("loop", "networks", "startup", "events")


@dataclass(frozen=True)
class Line:
    """One measure: the ancestor's figure, ours, and what ours should be."""

    measure: str
    ancestor: str
    ours: str
    goal: str
    reached: bool

    @property
    def cells(self) -> tuple[str, ...]:
        return self.measure, self.ancestor, self.ours, self.goal, "yes" if self.reached else "no"


def read(folder: Path) -> dict[str, Any]:
    """The figures of each benchmark; one that was not run is missing.

    Raises:
        FileNotFoundError: there is none at all.
    """
    paths = {name: folder / f"{name}.json" for name in FILES}
    found = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.is_file()}
    if not found:
        raise FileNotFoundError(f"{folder}: none of {', '.join(path.name for path in paths.values())} is there")
    return found


def lines(figures: dict[str, Any]) -> Iterator[Line]:
    """The table's lines, as far as their benchmark was run."""
    if "loop" in figures:
        yield from _loop_lines(figures["loop"])
    if "networks" in figures:
        yield from _network_lines(figures["networks"])
    if "events" in figures:
        yield from _event_lines(figures["events"]["scores"])
    if "startup" in figures:
        yield from _start_lines(figures["startup"])


def _loop_lines(loop: dict[str, Any]) -> Iterator[Line]:
    medians = loop["medians"]
    goals = {("keras", "1 face"): 25, ("tflite", "1 face"): 14, ("keras", "4 faces"): 35, ("tflite", "4 faces"): 25}
    for (backend, scene), goal in goals.items():
        ancestor = medians.get(f"ancestor, {backend} / {scene}")
        if ancestor is None:
            continue
        ours = medians[f"ours, balanced / {scene}"]
        ratio = ancestor["ms"] / ours["ms"]
        name = {"keras": "Keras", "tflite": "TFLite float"}[backend]
        yield Line(
            f"CPU per frame, {scene}, against {name}", f"{ancestor['ms']:.1f} ms",
            f"{ours['ms']:.2f} ms = 1/{ratio:.0f}", f"≤ 1/{goal}", ratio >= goal,
        )  # fmt: skip
    camera = loop["camera_ms"] * loop["empty_fps"] / 1e3
    share = loop["empty_share"] + camera
    measure = f"empty entrance at {loop['empty_fps']:g} frames/s, share of one core"
    yield Line(measure, "–", f"{share:.1%}, {camera:.1%} of it in the camera thread", "≤ 4 %", share <= 0.04)
    overhead = max(medians[f"ours, balanced / {scene}"]["overhead"] for scene in ("1 face", "4 faces"))
    measure = "loop overhead over the bare networks it called"
    yield Line(measure, "–", f"{overhead:.1%}", "≤ 8 %", overhead <= 0.08)


def _network_lines(networks: list[dict[str, Any]]) -> Iterator[Line]:
    for one in networks:
        if one["goal"] is not None:
            measure = f"one call of {one['ours']}, against {one['theirs']}"
            ours = f"{one['ours_ms']:.2f} ms = {one['share']:.2f}"
            yield Line(
                measure, f"{one['theirs_ms']:.1f} ms", ours, f"≤ {one['goal']:.2g}", one["share"] <= one["goal"]
            )


def _event_lines(scores: dict[str, Any]) -> Iterator[Line]:
    events = scores["people"]
    found = events["found_share"]
    yield Line("violations found on the made scenes", "–", f"{found:.3f}", "≥ .97", found >= 0.97)
    for name, kind in (("one visit after the other", "people"), ("an empty entrance", "empty")):
        if kind in scores:
            false = scores[kind]["false_per_hour"]
            yield Line(f"false alarms an hour, {name}", "–", f"{false:.2f}", "≤ 0.2", false <= 0.2)
    delay = events["delay_p95"]
    if delay is not None:
        measure = "face visible to event, 10 frames/s, p95"
        yield Line(measure, "–", f"{delay:.2f} s", "≤ 1.2 s", delay <= 1.2)


def _start_lines(startup: dict[str, Any]) -> Iterator[Line]:
    ancestor = startup["ancestor"]
    for measure, name, unit, goal in (
        ("start to READY", "ready_seconds", "s", 0.9),
        ("peak RSS", "peak_mb", "MiB", 150),
    ):
        other = f"{ancestor[name]:g} {unit}" if ancestor else "–"
        ours = startup[name]
        yield Line(measure, other, f"{ours:g} {unit}", f"≤ {goal:g} {unit}", ours <= goal)


_HEAD = ("measure, one core", "ancestor's", "ours", "goal", "reached")


def table(figures: dict[str, Any]) -> Table:
    """For a terminal."""
    result = Table(*_HEAD, title="The whole loop")
    for line in lines(figures):
        result.add_row(*line.cells, style=None if line.reached else "bold red")
    return result


def markdown(figures: dict[str, Any]) -> str:
    """For a page of the documentation."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(line.cells for line in lines(figures))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def main() -> int:
    """Command line; exit code 2 if there is nothing to report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the JSON files of the benchmarks are")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--json", type=Path, help="also write everything to one file")
    arguments = parser.parse_args()
    try:
        figures = read(arguments.folder)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.markdown:
        print(markdown(figures), end="")
    else:
        Console().print(table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Draw the pictures of `docs/speed.md` from the figures that `benchmarks/run.sh` wrote."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.report import read

matplotlib.use("svg")
import matplotlib.pyplot as plt

_ANCESTOR, _OURS, _FULL = "#9aa5b1", "#1f6f8b", "#7fb7c9"
_SUBJECTS = (
    ("ancestor, keras", "ancestor, Keras", _ANCESTOR),
    ("ancestor, tflite", "ancestor, TFLite float", _ANCESTOR),
    ("ours, full", "ours, every frame (power: full)", _FULL),
    ("ours, balanced", "ours, as shipped", _OURS),
)
_GOAL_SECONDS = 1.2


def cost(loop: dict[str, Any], path: Path) -> None:
    """CPU milliseconds a frame of each pipeline, on one axis per scene."""
    scenes = ("1 face", "4 faces")
    figure, axes = plt.subplots(1, len(scenes), figsize=(9, 2.6), sharey=True, layout="constrained")
    for axis, scene in zip(axes, scenes, strict=True):
        shown = [
            (title, loop["medians"][f"{name} / {scene}"]["ms"], colour)
            for name, title, colour in reversed(_SUBJECTS)
            if f"{name} / {scene}" in loop["medians"]
        ]
        titles, values, colours = zip(*shown, strict=True)
        bars = axis.barh(titles, values, color=colours)
        axis.bar_label(bars, [f" {value:.1f}" for value in values], fontsize=9)
        axis.set_title(scene, fontsize=10)
        axis.set_xlabel("CPU milliseconds a frame, one core", fontsize=9)
        axis.margins(x=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def delays(events: dict[str, Any], path: Path) -> None:
    """Share of the violations told, over the seconds since the face was wholly visible."""
    seconds = sorted(events["scores"]["people"]["delays"])
    violations = events["scores"]["people"]["violations"]
    figure, axis = plt.subplots(figsize=(6, 2.8), layout="constrained")
    told = [number / violations for number in range(len(seconds) + 1)]
    axis.step([0.0, *seconds, 2.0], [*told, told[-1]], where="post", color=_OURS, linewidth=2)
    axis.axvline(_GOAL_SECONDS, color="#b23a48", linestyle="--", linewidth=1)
    axis.annotate("goal for 95 %", (_GOAL_SECONDS, 0.1), (4, 0), textcoords="offset points", fontsize=9)
    axis.set(xlim=(0, 2), ylim=(0, 1.02))
    axis.set_xlabel("seconds from the face being visible to the event, 10 frames/s", fontsize=9)
    axis.set_ylabel("share of violations", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    # No date, and no random identifiers: the same figures give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "edge-agent"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> int:
    """Command line; exit code 2 if a figure is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description=__doc__)
    parser.add_argument("folder", type=Path, help="where loop.json and events.json are")
    parser.add_argument("output", type=Path, help="folder for the pictures, e.g. docs/speed")
    arguments = parser.parse_args()
    try:
        figures = read(arguments.folder)
        arguments.output.mkdir(parents=True, exist_ok=True)
        cost(figures["loop"], arguments.output / "cost.svg")
        delays(figures["events"], arguments.output / "delay.svg")
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyError as error:
        print(f"{arguments.folder}: the figures lack {error}; run benchmarks/run.sh", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

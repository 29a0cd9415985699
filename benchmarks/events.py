"""Are violations found, and none imagined? Films with known truth through the real chain, in simulated time."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.scenes.film import draw
from benchmarks.scenes.folder import folder_portraits
from benchmarks.scenes.portraits import PortraitError
from benchmarks.scenes.scenarios import EMPTY, NamedFilm, bundled_cast, empty_film, films
from benchmarks.scenes.truth import truths
from benchmarks.scoring import Reported, Score, score
from convert.errors import ConvertError
from edge_agent.chain import Chain
from edge_agent.config import Settings
from edge_agent.config_file import load
from edge_agent.errors import EdgeAgentError
from edge_agent.types import Frame, ViolationType

_START = datetime(2026, 1, 1, tzinfo=timezone.utc)
_GAP = 10.0
"""Seconds between two films, by the frames' clock."""


@dataclass
class Calls:
    """How often each network ran."""

    frames: int = 0
    faces: int = 0
    mask: int = 0
    gender: int = 0


def play(chain: Chain, named: NamedFilm, begin: float, calls: Calls) -> Score:
    """Play a film to a chain that sees nobody, as fast as it takes frames; ``begin`` is its first second."""
    film = named.film
    events: list[Reported] = []
    for number, image in enumerate(draw(film)):
        at = number / film.fps
        frame = Frame(number, image, begin + at, _START + timedelta(seconds=begin + at))
        result = chain.process(frame)
        calls.frames += 1
        calls.faces += result.detected
        calls.mask += result.times.mask_calls
        calls.gender += result.times.gender_calls
        events.extend(
            Reported(at, notice.violation.kind, notice.violation.box)
            for notice in result.notices
            if notice.violation.type is ViolationType.STARTED
        )
    chain.clear(begin + film.seconds)
    return score(truths(film), events, film.seconds, named.name)


def run(settings: Settings, programme: Iterable[NamedFilm]) -> tuple[dict[str, Score], Calls]:
    """Play all films to one chain; returns a score per kind of film (`alone`, `group`, …) and the calls."""
    cv2.setNumThreads(1)
    chain, calls, scores, begin = Chain(settings), Calls(), dict[str, Score](), 1.0
    for named in programme:
        kind = named.name.split("-")[0]
        scores.setdefault(kind, Score())
        scores[kind] += play(chain, named, begin, calls)
        begin += named.film.seconds + _GAP
    return scores, calls


def summary(scores: dict[str, Score], calls: Calls) -> dict[str, Any]:
    """The figures as JSON takes them: one entry per kind of film, and `people`: all films but the empty one.

    Hours in which nobody comes would only thin out the false alarms.
    """
    total = Score()
    for kind, one in scores.items():
        if kind != EMPTY:
            total += one
    figures = {kind: _figures(one) for kind, one in {**scores, "people": total}.items()}
    networks = ("faces", "mask", "gender")
    per_frame = {name: round(getattr(calls, name) / max(calls.frames, 1), 4) for name in networks}
    return {"scores": figures, "frames": calls.frames, "calls_per_frame": per_frame}


def _figures(one: Score) -> dict[str, Any]:
    p50, p95 = np.percentile(one.delays, [50, 95]).round(2).tolist() if one.delays else (None, None)
    return {
        "hours": round(one.seconds / 3600, 4), "violations": one.violations, "compliant": one.compliant,
        "found": one.found, "found_share": round(one.found_share, 4), "wrong_kind": one.wrong_kind,
        "repeated": one.repeated, "ghosts": one.ghosts,
        "false": one.false, "false_share": round(one.false_share, 4),
        "false_per_hour": round(one.false_per_hour, 3), "delay_p50": p50, "delay_p95": p95,
        "missed": one.missed, "alarms": one.alarms, "delays": [round(delay, 2) for delay in one.delays],
    }  # fmt: skip


#: What the table shows, and its names in the figures.
_ROWS = {
    "hours of film": "hours", "violations": "violations", "· found": "found", "· found, share": "found_share",
    "· as the other kind": "wrong_kind", "· told again": "repeated", "masks worn well": "compliant",
    "· false alarms": "false", "· false, share": "false_share", "alarms where nobody is": "ghosts",
    "false alarms an hour": "false_per_hour", "delay p50, s": "delay_p50", "delay p95, s": "delay_p95",
}  # fmt: skip


def table(figures: dict[str, Any]) -> Table:
    """The figures of `summary` for a terminal, a column per kind of film."""
    result = Table(title="Violations of made films, through the real chain")
    result.add_column("")
    for kind in figures["scores"]:
        result.add_column(kind, justify="right")
    for title, name in _ROWS.items():
        cells = (one[name] for one in figures["scores"].values())
        result.add_row(title, *("–" if cell is None else f"{cell:g}" for cell in cells))
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument(
        "dataset", nargs="?", type=Path,
        help="folder with with_mask/, without_mask/ and incorrect/ (default: two public-domain portraits)",
    )  # fmt: skip
    parser.add_argument("--films", type=int, default=24, help="how many films with people (default: 24)")
    parser.add_argument("--empty-minutes", type=float, default=10.0, help="minutes of empty entrance (default: 10)")
    parser.add_argument("--fps", type=float, default=10.0, help="frames a second that are looked at (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other films")
    parser.add_argument("--trained-on", action="store_true", help="also take photos that the nets were trained on")
    parser.add_argument(
        "--every-frame", action="store_true",
        help="no motion gate and full power: what is found if nothing is spared",
    )  # fmt: skip
    parser.add_argument("-c", "--config", type=Path, help="configuration file (default: the defaults)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser


def main() -> int:
    """Command line; exit code 2 if the films can't be made or the models are not there."""
    arguments = _parser().parse_args()
    console = Console(stderr=True)
    try:
        settings = load(arguments.config) if arguments.config else Settings()
        if arguments.every_frame:
            vision = settings.vision.model_copy(update={"motion_gate": False, "power": "full"})
            settings = settings.model_copy(update={"vision": vision})
        portraits = (
            list(folder_portraits(arguments.dataset, validation_only=not arguments.trained_on))
            if arguments.dataset
            else bundled_cast()
        )
        programme = list(films(portraits, arguments.films, fps=arguments.fps, seed=arguments.seed))
        if arguments.empty_minutes > 0:
            programme.append(empty_film(arguments.empty_minutes * 60, fps=arguments.fps, seed=arguments.seed))
        figures = summary(*run(settings, track(programme, "films", console=console)))
    except (PortraitError, ConvertError, EdgeAgentError, ValueError) as error:
        console.print(f"[red]{error}")
        return 2
    figures["portraits"] = len(portraits)
    Console().print(table(figures))
    for line in (*figures["scores"]["people"]["missed"], *figures["scores"]["people"]["alarms"]):
        console.print("  " + line)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

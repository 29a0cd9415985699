"""What a frame costs: the whole loop against the ancestor's pipeline, in the same run, on one core, in turn.

Ours has a process of its own, and only one of the two works at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.apart import Apart, Play
from benchmarks.naive import NaivePipeline, backends, res10_files
from benchmarks.scenes.entrance import entrance
from benchmarks.scenes.film import Film, draw
from benchmarks.scenes.portraits import PortraitError, bundled_portraits, flipped
from benchmarks.scenes.scenarios import HEIGHT, WIDTH, empty_film
from benchmarks.scenes.visits import Visit
from edge_agent.camera.pictures import PictureWatch
from edge_agent.chain import Chain
from edge_agent.config import CameraSettings, Settings
from edge_agent.config_file import load
from edge_agent.errors import EdgeAgentError
from edge_agent.types import Frame, Image
from edge_agent.vision.schedule import Power

_POWERS: tuple[Power, ...] = ("balanced", "full")

_WALL = datetime(2026, 1, 1, tzinfo=timezone.utc)
_VISIT_FPS = 10.0
_EMPTY_FPS = 15.0
_NAIVE_FRAMES = 8
"""Frames of each scene that a round of the ancestor's pipeline takes: each costs the same."""


@dataclass(frozen=True)
class Scene:
    """Frames drawn beforehand, and how fast they come."""

    name: str
    frames: Sequence[Image]
    fps: float


def visit_scene(people: int, seconds: float = 12.0) -> Scene:
    """One to four people without a mask who come in, stand and leave; only frames in which all are to be seen.

    Raises:
        PortraitError: no portrait is installed.
    """
    portraits = bundled_portraits()
    portraits += [flipped(portrait) for portrait in portraits]
    places = [(index + 0.5) / people for index in range(people)]
    height = 130.0 if people == 1 else 90.0
    visits = [
        Visit(portraits[index % len(portraits)].name, portraits[index % len(portraits)].worn, 0.0, 1.5, seconds - 3,
              place, 0.4, height, phase=float(index), leaves_to="left")
        for index, place in enumerate(places)
    ]  # fmt: skip
    cast = {portrait.name: portrait for portrait in portraits}
    film = Film(entrance(WIDTH, HEIGHT, 3), cast, visits, seconds, _VISIT_FPS)
    start, end = (pick(film.visible(index)[side] for index in range(people)) for side, pick in ((0, max), (1, min)))
    frames = [image for number, image in enumerate(draw(film)) if start <= number / film.fps <= end]
    return Scene(f"{people} face{'s' * (people > 1)}", frames, film.fps)


def empty_scene(seconds: float = 20.0) -> Scene:
    """Nobody, at the camera's full rate; the sensor's noise and the light are there."""
    film = empty_film(seconds, fps=_EMPTY_FPS).film
    still = Film(film.background, {}, (), seconds, film.fps, noise=film.noise)
    return Scene("empty", list(draw(still)), film.fps)


@dataclass
class Ours:
    """The real chain; its clock goes on from scene to scene."""

    chain: Chain
    now: float = 1.0

    @classmethod
    def create(cls, settings: Settings, power: Power) -> Ours:
        settings = settings.model_copy(update={"vision": settings.vision.model_copy(update={"power": power})})
        return cls(Chain(settings))

    def play(self, scene: Scene) -> dict[str, float]:
        """CPU milliseconds a frame, and by the clock how much the loop adds to the bare networks it called."""
        faces, networks, calls, seconds, elapsed = 0, 0.0, 0, 0.0, 0.0
        for number, image in enumerate(_delivered(scene.frames)):
            frame = Frame(number, image, self.now + number / scene.fps, _WALL)
            clock, begin = time.perf_counter(), time.process_time()
            result = self.chain.process(frame)
            seconds += time.process_time() - begin
            elapsed += time.perf_counter() - clock
            faces = max(faces, len(result.persons))
            networks += result.times.net / 1e3
            calls += result.detected + result.times.mask_calls + result.times.gender_calls
        self.now += len(scene.frames) / scene.fps + 60
        self.chain.clear(self.now)
        frames = len(scene.frames)
        overhead = elapsed / networks - 1 if networks else 0.0
        return {"ms": seconds / frames * 1e3, "overhead": overhead, "calls": calls / frames, "faces": faces}


def scenes() -> list[Scene]:
    """One face, four faces, nobody.

    Raises:
        PortraitError: no portrait is installed.
    """
    return [visit_scene(1), visit_scene(4), empty_scene()]


def ours(settings: Settings) -> Play:
    """The real chain at each power, ready to play the scenes, called `POWER / SCENE`; for a process of its own.

    Raises:
        EdgeAgentError: a model is missing.
        PortraitError: no portrait is installed.
    """
    cv2.setNumThreads(1)
    played = {scene.name: scene for scene in scenes()}
    subjects = {power: Ours.create(settings, power) for power in _POWERS}

    def play(name: str) -> dict[str, float]:
        power, _, scene = name.partition(" / ")
        return subjects[power].play(played[scene])

    return play


def play_naive(pipeline: NaivePipeline, scene: Scene) -> dict[str, float]:
    """CPU milliseconds a frame of the ancestor's pipeline, on frames spread over the scene."""
    step = max(len(scene.frames) // _NAIVE_FRAMES, 1)
    frames = scene.frames[::step][:_NAIVE_FRAMES]
    faces, seconds = [], 0.0
    for image in _delivered(frames):
        begin = time.process_time()
        faces.append(pipeline.process(image))
        seconds += time.process_time() - begin
    return {"ms": seconds / len(frames) * 1e3, "faces": statistics.median(faces)}


def _delivered(frames: Sequence[Image]) -> Iterator[Image]:
    """Frames as a camera delivers them: each has just been written, to the same place."""
    place = np.empty_like(frames[0])
    for image in frames:
        np.copyto(place, image)
        yield place


def measure(settings: Settings, rounds: int, console: Console) -> dict[str, Any]:
    """All subjects on all scenes, in turn, ``rounds`` times: medians and the single values.

    Raises:
        EdgeAgentError: a model is missing.
        PortraitError: no portrait is installed.
    """
    cv2.setNumThreads(1)
    *visited, empty = scenes()
    res10 = res10_files()
    with tempfile.TemporaryDirectory() as scratch:
        ancestors = {backend: NaivePipeline(backend, res10, Path(scratch)) for backend in backends()}
    values: dict[str, list[dict[str, float]]] = {}
    with Apart(ours, settings) as subject:
        for lap in track(range(rounds + 1), "rounds", console=console):
            lap_values: dict[str, dict[str, float]] = {}
            for scene in visited:
                for backend, pipeline in ancestors.items():
                    lap_values[f"ancestor, {backend} / {scene.name}"] = play_naive(pipeline, scene)
                for power in _POWERS:
                    lap_values[f"ours, {power} / {scene.name}"] = subject.play(f"{power} / {scene.name}")
            lap_values["ours, balanced / empty"] = subject.play("balanced / empty")
            if lap:  # the first round only warms up
                for name, one in lap_values.items():
                    values.setdefault(name, []).append(one)
    return {
        "medians": {name: _medians(laps) for name, laps in values.items()},
        "rounds": values,
        "empty_share": statistics.median(one["ms"] for one in values["ours, balanced / empty"]) * empty.fps / 1e3,
        "empty_fps": empty.fps,
        "camera_ms": _camera_ms(empty.frames[0], settings.camera),
        "opencv": cv2.__version__,
        "cpu": _cpu_name(),
    }


def _medians(laps: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(lap[key] for lap in laps), 4) for key in laps[0]}


def _camera_ms(image: Image, settings: CameraSettings, repeats: int = 50) -> float:
    """What a 640×480 JPEG camera's thread takes for a frame: to decode it, and to see that it shows something."""
    watch = PictureWatch(settings, live=True)
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])
    begin = time.process_time()
    for number in range(repeats):
        watch.look(np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8), number / settings.fps)
    return round((time.process_time() - begin) / repeats * 1e3, 3)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> int:
    """Command line; exit code 2 if a model or a portrait is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)), help="which core to run on")
    parser.add_argument("-c", "--config", type=Path, help="configuration file (default: the defaults)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})
    console = Console(stderr=True)
    try:
        settings = load(arguments.config) if arguments.config else Settings()
        figures = measure(settings, arguments.rounds, console)
    except (EdgeAgentError, PortraitError) as error:
        console.print(f"[red]{error}")
        return 2
    for name, one in figures["medians"].items():
        print(f"{name:32}", "  ".join(f"{key} {value:8.3f}" for key, value in one.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

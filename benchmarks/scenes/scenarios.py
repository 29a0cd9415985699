"""Invent films: who comes when, where they stand, how the light changes and what else moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.scenes.cloth import COLOURS, wearing
from benchmarks.scenes.entrance import entrance
from benchmarks.scenes.film import Film, Light, Mover
from benchmarks.scenes.portraits import Portrait, bundled_portraits, flipped, scaled
from benchmarks.scenes.visits import Side, Visit
from edge_agent.types import Verdict

WIDTH, HEIGHT = 640, 480
Kind = Literal["alone", "group", "light", "busy"]
KINDS: tuple[Kind, ...] = ("alone", "group", "light", "busy")
EMPTY = "empty"
"""Name of the film in which nobody comes."""

#: Share of visitors with a mask worn well, none, and one worn badly.
_WORN = {Verdict.MASK: 0.45, Verdict.NO_MASK: 0.35, Verdict.INCORRECT: 0.2}
#: Seconds of empty entrance before a visit, and after it until everybody's track has ended.
_PAUSE = 3.0


@dataclass(frozen=True)
class NamedFilm:
    name: str
    film: Film


def bundled_cast() -> list[Portrait]:
    """The public-domain portraits in every way of wearing a mask, mirrored too."""
    cast: list[Portrait] = []
    for seed, bare in enumerate(bundled_portraits()):
        portrait = scaled(bare, max(220 / bare.box.height, 1.0))
        for person in (portrait, flipped(portrait)):
            cast.append(person)
            for worn in (Verdict.MASK, Verdict.INCORRECT):
                cast.extend(wearing(person, worn, colour, seed) for colour in COLOURS)
    return cast


def films(portraits: Sequence[Portrait], count: int, *, fps: float = 10.0, seed: int = 0) -> Iterator[NamedFilm]:
    """Invent ``count`` films of people, of each kind in turn.

    Raises:
        ValueError: no portrait shows a face without a mask, or none shows one with.
    """
    by_worn = {worn: [person for person in portraits if person.worn is worn] for worn in _WORN}
    if not by_worn[Verdict.MASK] or not by_worn[Verdict.NO_MASK]:
        raise ValueError("films need portraits with and without a mask")
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        rng = np.random.default_rng((seed, number))
        yield NamedFilm(f"{kind}-{number}", _film(kind, by_worn, fps, rng))


def empty_film(seconds: float, *, fps: float = 10.0, seed: int = 0) -> NamedFilm:
    """Nobody comes: lamps go on and off, clouds pass, and now and then something without a face goes by."""
    rng = np.random.default_rng((seed, 10_000))
    light = Light(0.06, 37.0, _steps(rng, seconds, every=60.0))
    movers = tuple(_mover(rng, at) for at in _times(rng, seconds, every=45.0))
    background = entrance(WIDTH, HEIGHT, int(rng.integers(1 << 30)))
    film = Film(background, {}, (), seconds, fps, light, 2.5, int(rng.integers(1 << 30)), movers)
    return NamedFilm(EMPTY, film)


def _film(kind: Kind, by_worn: dict[Verdict, list[Portrait]], fps: float, rng: np.random.Generator) -> Film:
    visits: list[Visit] = []
    cast: dict[str, Portrait] = {}
    at = _PAUSE
    for _ in range(3):
        group = _group(kind, by_worn, at, rng)
        cast.update({person.name: person for person, _ in group})
        visits.extend(visit for _, visit in group)
        at = max(visit.gone for _, visit in group) + _PAUSE
    steps = _steps(rng, at, every=5.0) if kind == "light" else ()
    movers = tuple(_mover(rng, second) for second in _times(rng, at, every=5.0)) if kind == "busy" else ()
    background = entrance(WIDTH, HEIGHT, int(rng.integers(1 << 30)))
    light = Light(rng.uniform(0.02, 0.08), rng.uniform(5, 20), steps)
    noise = rng.uniform(1.5, 4.0)
    return Film(background, cast, visits, at, fps, light, noise, int(rng.integers(1 << 30)), movers)


def _group(
    kind: Kind, by_worn: dict[Verdict, list[Portrait]], at: float, rng: np.random.Generator
) -> list[tuple[Portrait, Visit]]:
    """People who come at about the same time, each with a place of their own."""
    size = int(rng.integers(2, 5)) if kind == "group" else 1
    slots = (np.arange(size) + 0.5) / size if size > 1 else np.array([rng.uniform(0.3, 0.7)])
    largest = 190 if size == 1 else 300 / size
    group = []
    for slot in slots:
        person = _somebody(by_worn, rng)
        # Whoever stands further in comes first and goes last, so that nobody walks through anybody.
        outward = abs(slot - 0.5)
        side: Side = "left" if slot < 0.5 else "right"
        enters = at + 2.5 * outward * (size > 1) + rng.uniform(0, 0.4)
        visit = Visit(
            person.name, person.worn, enters, rng.uniform(1.2, 2.2), rng.uniform(2.5, 6) + 2 * (0.5 - outward),
            slot, rng.uniform(0.35, 0.5), rng.uniform(max(0.5 * largest, 64), largest),
            side, side, rng.uniform(0.02, 0.12), rng.uniform(0, 6),
        )  # fmt: skip
        group.append((person, visit))
    return group


def _somebody(by_worn: dict[Verdict, list[Portrait]], rng: np.random.Generator) -> Portrait:
    ways = [worn for worn in _WORN if by_worn[worn]]
    shares = np.array([_WORN[worn] for worn in ways])
    people = by_worn[ways[int(rng.choice(len(ways), p=shares / shares.sum()))]]
    return people[int(rng.integers(len(people)))]


def _steps(rng: np.random.Generator, seconds: float, every: float) -> tuple[tuple[float, float], ...]:
    return tuple((at, float(rng.uniform(0.55, 1.35))) for at in _times(rng, seconds, every))


def _times(rng: np.random.Generator, seconds: float, every: float) -> list[float]:
    return sorted(rng.uniform(0, seconds, max(round(seconds / every), 1)).tolist())


def _mover(rng: np.random.Generator, at: float) -> Mover:
    blue, green, red = (int(value) for value in rng.integers(20, 230, 3))
    seconds, height, size = rng.uniform((1.5, 0.3, 0.05), (5.0, 0.95, 0.25))
    return Mover(at, float(seconds), float(height), float(size), (blue, green, red), bool(rng.random() < 0.5))

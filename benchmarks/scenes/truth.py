"""A film's visits as the scorer wants them: seconds of the film, boxes in fractions of its frames."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.scenes.film import Film
from edge_agent.types import Box, Verdict


@dataclass(frozen=True)
class FilmVisit:
    """One visit; see `benchmarks.scoring.Truth`."""

    film: Film
    index: int
    visible: tuple[float, float]

    @property
    def worn(self) -> Verdict:
        return self.film.visits[self.index].worn

    def box(self, at: float) -> Box | None:
        face = self.film.face(self.index, at)
        if face is None:
            return None
        width, height = self.film.size
        return Box(face.x1 / width, face.y1 / height, face.x2 / width, face.y2 / height)


def truths(film: Film) -> list[FilmVisit]:
    """Everybody who comes in a film, for `benchmarks.scoring.score`."""
    return [FilmVisit(film, index, film.visible(index)) for index in range(len(film.visits))]

"""Draw the frames of a film from its cast and its visits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes.cutout import Figure, cut_out
from benchmarks.scenes.portraits import Portrait
from benchmarks.scenes.visits import Pose, Visit, face_box, inside, pose
from edge_agent.types import Box, Image

#: Different pictures of sensor noise, used in turn: drawing it anew would cost more than the rest of a frame.
_NOISE_PICTURES = 8


@dataclass(frozen=True)
class Light:
    """How bright the film is: a slow wave, and steps at which lamps or clouds change it."""

    wave: float = 0.04
    """Height of the wave, as a fraction of the brightness."""
    period: float = 11.0
    """Its length in seconds."""
    steps: tuple[tuple[float, float], ...] = ()
    """(second, gain from then on)."""

    def gain(self, at: float) -> float:
        """What pixels are multiplied by ``at`` seconds into the film."""
        gain = 1.0
        for second, value in self.steps:
            if at >= second:
                gain = value
        return gain * (1 + self.wave * math.sin(2 * math.pi * at / self.period))


@dataclass(frozen=True)
class Mover:
    """Something without a face that crosses the picture: a cart, a bag, a shadow."""

    starts: float
    seconds: float
    height: float
    """Of its middle, in fractions of the film's height."""
    size: float
    """In fractions of the film's width."""
    colour: tuple[int, int, int]
    to_right: bool


@dataclass(frozen=True)
class Film:
    """A film that has not been drawn yet. ``cast`` has a portrait for each name that the visits mention."""

    background: Image
    cast: Mapping[str, Portrait]
    visits: Sequence[Visit]
    seconds: float
    fps: float = 15.0
    light: Light = field(default_factory=Light)
    noise: float = 2.5
    """Standard deviation of the sensor's noise in grey levels."""
    seed: int = 0
    movers: Sequence[Mover] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.background.shape[1], self.background.shape[0]

    @property
    def frame_count(self) -> int:
        return round(self.seconds * self.fps)

    def boxes(self, at: float) -> dict[int, Box]:
        """The faces that are wholly in the picture ``at`` this second: index of the visit → box in pixels."""
        width, height = self.size
        boxes = {index: self.face(index, at) for index in range(len(self.visits))}
        return {index: box for index, box in boxes.items() if box is not None and inside(box, width, height)}

    def face(self, index: int, at: float) -> Box | None:
        """Where the face of a visit is ``at`` this second, in pixels, also beyond the edges; None if away."""
        width, height = self.size
        visit = self.visits[index]
        aspect = _aspect(self.cast[visit.portrait])
        where = pose(visit, at, width, height, aspect)
        return None if where is None else face_box(where, aspect)

    def visible(self, index: int) -> tuple[float, float]:
        """First and last second at which the face of a visit is wholly in the picture, on the film's frames.

        Raises:
            ValueError: the face never is: the visit's place or size is wrong.
        """
        visit = self.visits[index]
        first = max(math.ceil(visit.enters * self.fps), 0)
        last = min(math.floor(visit.gone * self.fps), self.frame_count - 1)
        times = [number / self.fps for number in range(first, last + 1)]
        times = [at for at in times if index in self.boxes(at)]
        if not times:
            raise ValueError(f"visit {index} ({visit.portrait}) is never wholly in the picture")
        return times[0], times[-1]


def draw(film: Film) -> Iterator[Image]:
    """The film's frames in order, each a new H×W×3 uint8 BGR array.

    Later visits stand before earlier ones.
    """
    figures = {name: cut_out(portrait) for name, portrait in film.cast.items()}
    width, height = film.size
    rng = np.random.default_rng(film.seed)
    noises = [
        rng.normal(0, film.noise, film.background.shape).astype(np.float32).round().astype(np.int16)
        for _ in range(_NOISE_PICTURES)
    ]
    order = rng.integers(_NOISE_PICTURES, size=film.frame_count)
    for number in range(film.frame_count):
        at = number / film.fps
        image = film.background.copy()
        for mover in film.movers:
            _cross(image, mover, at)
        for visit in film.visits:
            figure = figures[visit.portrait]
            where = pose(visit, at, width, height, figure.face.width / figure.face.height)
            if where is not None:
                _place(image, figure, where)
        lit = cv2.convertScaleAbs(image, alpha=film.light.gain(at))
        yield np.asarray(cv2.add(lit, noises[order[number]], dtype=cv2.CV_8U), np.uint8)


def _place(image: Image, figure: Figure, where: Pose) -> None:
    """Put a figure into the picture so that its face is where the pose says."""
    scale = where.face_height / figure.face.height
    middle = ((figure.face.x1 + figure.face.x2) / 2, (figure.face.y1 + figure.face.y2) / 2)
    matrix = np.array(cv2.getRotationMatrix2D(middle, -where.tilt, scale), np.float64)
    matrix[:, 2] += np.array([where.x, where.y]) - middle
    height, width = figure.image.shape[:2]
    corners = matrix @ np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1]], np.float64)
    left, top = np.floor(corners.min(axis=1)).astype(int)
    right, bottom = np.ceil(corners.max(axis=1)).astype(int)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, image.shape[1]), min(bottom, image.shape[0])
    if figure.whole:
        bottom = image.shape[0]
    if right <= left or bottom <= top:
        return
    matrix[:, 2] -= (left, top)
    size = (int(right - left), int(bottom - top))
    # A body that ends above the film's lower edge goes on below in the colours of its last row.
    border = cv2.BORDER_REPLICATE if figure.whole else cv2.BORDER_CONSTANT
    flags = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
    person = cv2.warpAffine(figure.image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(_open_edges(figure), matrix, size, flags=flags, borderMode=border)
    part = image[top:bottom, left:right]
    weight = cv2.merge([alpha] * 3).astype(np.float32) / 255
    part[:] = np.clip(part * (1 - weight) + person * weight, 0, 255)


def _cross(image: Image, mover: Mover, at: float) -> None:
    part = (at - mover.starts) / mover.seconds
    if not 0 <= part < 1:
        return
    height, width = image.shape[:2]
    half = mover.size * width / 2
    x = -half + (width + 2 * half) * (part if mover.to_right else 1 - part)
    centre = (round(x), round(mover.height * height))
    cv2.ellipse(image, centre, (round(half), round(half * 1.3)), 0, 0, 360, mover.colour, -1, cv2.LINE_AA)
    cv2.ellipse(image, centre, (round(half * 0.6), round(half)), 20, 0, 180, (30, 30, 30), 3, cv2.LINE_AA)


def _open_edges(figure: Figure) -> NDArray[np.uint8]:
    """The opacity with clear columns at left and right, so that only the lower edge is continued outwards."""
    if not figure.whole:
        return figure.alpha
    alpha = figure.alpha.copy()
    alpha[:, :2] = 0
    alpha[:, -2:] = 0
    alpha[:2] = 0
    return alpha


def _aspect(portrait: Portrait) -> float:
    return portrait.box.width / portrait.box.height

"""The words that pass between the rooms: Frame, Face, Observation, Verdict, Violation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""H×W×3 pixels, uint8, BGR as OpenCV delivers them."""

LABELS = ("mask", "no_mask", "incorrect")
"""Order of the mask network's outputs."""


class Verdict(str, Enum):
    """What the votes say of a person."""

    MASK = "mask"
    NO_MASK = "no_mask"
    INCORRECT = "incorrect"
    UNDECIDED = "undecided"

    @property
    def is_violation(self) -> bool:
        """Whether a person with this verdict breaks the rule."""
        return self in (Verdict.NO_MASK, Verdict.INCORRECT)


class Box(NamedTuple):
    """A rectangle in pixels of the frame; x2 and y2 are exclusive."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1


@dataclass(frozen=True, slots=True)
class Frame:
    """One image from the camera."""

    index: int
    image: Image
    captured_at: float
    """Seconds of `time.monotonic()`, as close to the exposure as the source tells."""
    wall_time: datetime
    """The same moment by the wall clock, UTC."""


class Face(NamedTuple):
    """One detection in one frame."""

    box: Box
    score: float
    visible: float = 1.0
    """Share of the face that lies inside the frame: `box` is what is left of it."""

    @property
    def quality(self) -> float:
        """What a look at it is worth, 0 to 1: a large, whole face that the detector is sure of tells most."""
        return min(1.0, self.box.height / 64.0) * self.score * self.visible


@dataclass(frozen=True, slots=True)
class GenderScores:
    """Probabilities of the gender network for one face; they sum to 1."""

    male: float
    female: float


@dataclass(frozen=True, slots=True)
class MaskScores:
    """Calibrated probabilities of the mask network for one face; they sum to 1."""

    mask: float
    no_mask: float
    incorrect: float

    @property
    def label(self) -> Verdict:
        """The likeliest class."""
        if self.mask >= self.no_mask and self.mask >= self.incorrect:
            return Verdict.MASK
        return Verdict.NO_MASK if self.no_mask >= self.incorrect else Verdict.INCORRECT

    @property
    def confidence(self) -> float:
        """Probability of the likeliest class."""
        return max(self.mask, self.no_mask, self.incorrect)


class Observation(NamedTuple):
    """What the networks said of one face in one frame; a score is None where its network did not run."""

    face: Face
    mask: MaskScores | None = None
    gender: GenderScores | None = None
    quality: float = 1.0
    """0 to 1: how much this look is worth, see :attr:`Face.quality`."""
    person_id: int | None = None


class Person(NamedTuple):
    """A face followed over frames, as the people room hands it on after each frame."""

    id: int
    box: Box
    verdict: Verdict
    confidence: float
    """Share of the weighted votes for the verdict, 0 to 1."""
    votes: int
    gender: str
    """`male`, `female` or `unknown`."""
    gender_score: float
    first_seen: float
    last_seen: float
    """Monotonic seconds."""
    visible: bool = True


class ViolationType(str, Enum):
    STARTED = "started"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Violation:
    """An event with one id: `started` when a verdict becomes a violation, `ended` when it is over."""

    event_id: str
    type: ViolationType
    kind: Verdict
    person: int
    confidence: float
    votes: int
    gender: str | None
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in fractions of the frame."""
    occurred_at: datetime
    """UTC; when the violation started."""
    monotonic: float
    """`time.monotonic()` of this message's moment, to correct a wall clock that was wrong at boot."""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ViolationNotice:
    """What an output is given: the event and, for a start, the frame that showed it."""

    violation: Violation
    alarm: bool
    """Whether the buzzer is to sound: a start outside quiet hours and cooldown."""
    frame: Frame | None = None
    others: tuple[Box, ...] = field(default=())
    """Faces of other people in the frame, to be blurred in a snapshot; pixels."""


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One line of `edge-agent check`."""

    name: str
    status: Literal["ok", "warn", "fail"]
    text: str
    """What was found."""
    hint: str = ""
    """What the owner can do about it; empty when all is well."""


class Look(NamedTuple):
    """What the people room wants the networks to look at in this frame."""

    person_id: int
    face: Face
    mask: bool
    gender: bool
    mirrored: bool = False
    """Whether the gender network is to see the face in a mirror: another look at the very same person."""

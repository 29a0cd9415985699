"""What happens in a film, and so what is true of it: who is where at which time, and what they wear."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from edge_agent.types import Box, Verdict

Side = Literal["left", "right"]

#: Steps a second, and how far they lift the head, in fractions of the face's height.
_STEPS = 1.9
_STEP_LIFT = 0.035


@dataclass(frozen=True)
class Visit:
    """One person who walks in from a side, stands and leaves; times in seconds of the film."""

    portrait: str
    """Name of who it is, in the film's cast."""
    worn: Verdict
    enters: float
    walk: float
    """Seconds from the film's edge to where the person stands, and again on the way out."""
    stands: float
    x: float
    """Where the person stands: middle of the face, in fractions of the film's width."""
    y: float
    """Middle of the face in fractions of the film's height."""
    face_height: float
    """In pixels of the film."""
    comes_from: Side = "left"
    leaves_to: Side = "right"
    sway: float = 0.05
    """How far the person moves while standing, in fractions of the face's height."""
    phase: float = 0.0

    @property
    def leaves(self) -> float:
        """When the person starts to go."""
        return self.enters + self.walk + self.stands

    @property
    def gone(self) -> float:
        """When the person is out of the film."""
        return self.leaves + self.walk


@dataclass(frozen=True)
class Pose:
    """Where a face is at one moment: its middle and height in pixels, and the head's tilt in degrees."""

    x: float
    y: float
    face_height: float
    tilt: float


def pose(visit: Visit, at: float, width: int, height: int, face_aspect: float) -> Pose | None:
    """Where the visitor is ``at`` seconds into a film of this size in pixels; None outside the visit.

    ``face_aspect`` is the face's width over its height.
    """
    if not visit.enters <= at < visit.gone:
        return None
    stand = visit.x * width
    outside = visit.face_height * (face_aspect + 2.4)
    walking = 0.0
    if at < visit.enters + visit.walk:
        part = _ease((at - visit.enters) / visit.walk)
        start = -outside if visit.comes_from == "left" else width + outside
        x = start + (stand - start) * part
        walking = 1.0
    elif at < visit.leaves:
        x = stand
    else:
        part = 1 - _ease(1 - (at - visit.leaves) / visit.walk)
        end = -outside if visit.leaves_to == "left" else width + outside
        x = stand + (end - stand) * part
        walking = 1.0
    turn = 2 * math.pi * at + visit.phase
    lift = abs(math.sin(turn * _STEPS / 2)) * _STEP_LIFT * visit.face_height * walking
    x += visit.sway * visit.face_height * math.sin(turn * 0.23)
    y = visit.y * height - lift + 0.3 * visit.sway * visit.face_height * math.sin(turn * 0.31 + 1)
    grows = 1 + 0.02 * math.sin(turn * 0.17 + 2)
    tilt = 2.0 * math.sin(turn * 0.19) + 1.5 * walking * math.sin(turn * _STEPS / 2)
    return Pose(x, y, visit.face_height * grows, tilt)


def face_box(where: Pose, face_aspect: float) -> Box:
    """The upright box of the face, in pixels of the film; may reach over its edges."""
    half_width, half_height = where.face_height * face_aspect / 2, where.face_height / 2
    return Box(where.x - half_width, where.y - half_height, where.x + half_width, where.y + half_height)


def inside(box: Box, width: int, height: int) -> bool:
    """Whether the whole box lies in the film."""
    return box.x1 >= 0 and box.y1 >= 0 and box.x2 <= width and box.y2 <= height


def _ease(part: float) -> float:
    """0 to 1, slowing down towards the end as a person does who comes to a stand."""
    part = min(max(part, 0.0), 1.0)
    return float(1 - (1 - part) ** 1.6)

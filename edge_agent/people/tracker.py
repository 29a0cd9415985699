"""Follows faces over frames: which detection of this frame is which person of the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.types import Box, Face

_GATE = 1.1
"""Largest distance between prediction and detection, in face heights, plus what a person walks meanwhile."""
_GATE_PER_SECOND = 2.0
_SIZE_GATE = 0.7
"""Largest |log| ratio of heights: a face does not double between two frames."""
_CARRY = 0.5
"""Seconds for which a velocity is believed."""
_CONFIRMED_HITS = 2
_TENTATIVE_SECONDS = 0.6
_FRAMES = 1.5
"""Nobody is given up before so many frames' time."""
_LONGEST_GAP = 5.0
"""Seconds between two frames that are believed to be the camera's pace, and no break."""
_LEAVING_SECONDS = 0.5
"""Who was last seen walking out of the picture is gone sooner: the next face there is somebody else's."""
_REST = 0.5
"""Longest rest in seconds of the face net while somebody is there (`vision.schedule`): unseen in it is not gone."""
_EDGE = 0.1
"""How near the picture's edge that is, in face heights."""
_OUTWARD = 0.3
"""Speed towards the edge, in face heights a second."""


@dataclass(slots=True)
class Track:
    """One face followed; `box` is where it was seen, or carried to, last."""

    id: int
    face: Face
    centre: tuple[float, float]
    """Of the box of `face`."""
    first_seen: float
    last_seen: float
    box: Box
    velocity: tuple[float, float] = (0.0, 0.0)
    """Pixels a second of the box's centre."""
    hits: int = 1
    leaving: bool = False
    """Whether it was last seen at the picture's edge and on its way out."""

    @property
    def confirmed(self) -> bool:
        """Seen more than once: what the face net imagines for one frame is nobody."""
        return self.hits >= _CONFIRMED_HITS

    def moved(self, now: float) -> tuple[float, float]:
        """How far the face should have gone by `now` (monotonic seconds), in pixels."""
        dt = min(now - self.last_seen, _CARRY)
        return self.velocity[0] * dt, self.velocity[1] * dt

    def scale(self, across: float, down: float) -> None:
        """Put it where it is in a picture of another size, `across` times as wide and `down` times as high."""
        self.face = self.face._replace(box=_scaled(self.face.box, across, down))
        self.box = _scaled(self.box, across, down)
        self.centre = (self.centre[0] * across, self.centre[1] * down)
        self.velocity = (self.velocity[0] * across, self.velocity[1] * down)

    def hit(self, face: Face, centre: tuple[float, float], now: float, size: tuple[int, int]) -> None:
        """Take over a detection of this frame, whose width and height are `size`."""
        dt = now - self.last_seen
        if dt > 0:
            (ox, oy), (nx, ny) = self.centre, centre
            # The first velocity is taken whole, later ones are smoothed against the detector's jitter.
            share = 1.0 if self.hits == 1 else 0.5
            self.velocity = (
                self.velocity[0] * (1 - share) + share * (nx - ox) / dt,
                self.velocity[1] * (1 - share) + share * (ny - oy) / dt,
            )
        self.face, self.centre, self.box, self.last_seen = face, centre, face.box, now
        self.hits += 1
        self.leaving = _leaves(face.box, self.velocity, size)


class Tracker:
    """Assigns detections to tracks, nearest first."""

    def __init__(self, lost_after: float) -> None:
        self._lost_after = lost_after
        self._next_id = 1
        self._frame_at: float | None = None
        self._pace = 0.0
        self._searched_at = float("-inf")
        self._size: tuple[int, int] | None = None
        self.tracks: list[Track] = []

    @property
    def patience(self) -> float:
        """Seconds without being seen that say nothing yet: a slow camera shows a face less often than that."""
        return _FRAMES * self._pace

    def frame(self, now: float) -> None:
        """A frame came, captured at `now`, whether or not it is searched."""
        if self._frame_at is not None:
            self._pace = min(max(now - self._frame_at, 0.0), _LONGEST_GAP)
        self._frame_at = now

    def update(self, faces: Sequence[Face], now: float, size: tuple[int, int]) -> list[Track]:
        """Take the detections of a frame of width and height `size`, captured at `now`.

        Returns the tracks seen in it, in the order of `faces`.
        """
        self._fit(size)
        self._searched_at = now
        seen: list[Track | None] = [None] * len(faces)
        centres = [_centre(face.box) for face in faces]
        if self.tracks and faces:
            for row, column in self._pairs(faces, centres, now):
                self.tracks[row].hit(faces[column], centres[column], now, size)
                seen[column] = self.tracks[row]
        result = []
        for face, centre, track in zip(faces, centres, seen, strict=True):
            if track is None:
                track = Track(self._next_id, face, centre, now, now, face.box)
                self._next_id += 1
                self.tracks.append(track)
            result.append(track)
        self.carry(now)
        return result

    def carry(self, now: float) -> None:
        """Move unseen faces on by their velocity, and forget those gone for `lost_after` seconds.

        Who was there when the face net last looked may be there still: nobody is forgotten while it rests.
        """
        kept, slow = [], self.patience
        for track in self.tracks:
            unseen = now - track.last_seen
            patience = _LEAVING_SECONDS if track.leaving else self._lost_after
            if not track.confirmed:
                patience = _TENTATIVE_SECONDS
            rest = _REST if track.last_seen >= self._searched_at else 0.0
            if unseen > max(min(patience, self._lost_after), slow + rest):
                continue
            if unseen > 0:
                (dx, dy), box = track.moved(now), track.face.box
                track.box = Box(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy)
            kept.append(track)
        self.tracks = kept

    def _fit(self, size: tuple[int, int]) -> None:
        """A stream may change its resolution: who stands there is then to be found at other pixels."""
        if self._size is not None and self._size != size:
            across, down = size[0] / self._size[0], size[1] / self._size[1]
            for track in self.tracks:
                track.scale(across, down)
        self._size = size

    def clear(self) -> None:
        """Forget everybody; ids go on counting."""
        self.tracks = []

    def _pairs(
        self, faces: Sequence[Face], centres: Sequence[tuple[float, float]], now: float
    ) -> list[tuple[int, int]]:
        """Which track (row) is which face (column), nearest first.

        In plain numbers: for one person it takes 2 µs where arrays take 39, and until some twenty it is faster.
        """
        heights = [face.box.height for face in faces]
        near = []
        for row, track in enumerate(self.tracks):
            (x, y), (dx, dy), height = track.centre, track.moved(now), track.face.box.height
            x, y = x + dx, y + dy
            gate = _GATE + _GATE_PER_SECOND * min(now - track.last_seen, _CARRY)
            for column, ((new_x, new_y), new_height) in enumerate(zip(centres, heights, strict=True)):
                smaller = min(height, new_height)
                if abs(new_x - x) >= gate * smaller:  # most are: people stand side by side
                    continue
                distance = math.hypot(new_x - x, new_y - y) / smaller
                if distance >= gate:
                    continue
                size = abs(math.log(new_height / height))
                if size < _SIZE_GATE:
                    near.append((distance + size, row, column))
        pairs: list[tuple[int, int]] = []
        rows, columns = set[int](), set[int]()
        for _, row, column in sorted(near):
            if row not in rows and column not in columns:
                rows.add(row)
                columns.add(column)
                pairs.append((row, column))
        return pairs


def _leaves(box: Box, velocity: tuple[float, float], size: tuple[int, int]) -> bool:
    x1, y1, x2, y2 = box
    right, down = velocity
    near, fast = _EDGE * (y2 - y1), _OUTWARD * (y2 - y1)
    return (
        (right < -fast and x1 < near)
        or (down < -fast and y1 < near)
        or (right > fast and size[0] - x2 < near)
        or (down > fast and size[1] - y2 < near)
    )


def _scaled(box: Box, across: float, down: float) -> Box:
    return Box(box.x1 * across, box.y1 * down, box.x2 * across, box.y2 * down)


def _centre(box: Box) -> tuple[float, float]:
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2

"""The people in view: follows their faces, says whom the networks should look at, and keeps the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.config import PeopleSettings, VisionSettings
from edge_agent.people.tracker import Track, Tracker
from edge_agent.people.votes import GenderVotes, MaskVotes
from edge_agent.types import Face, Look, Observation, Person

_RECHECK = {"full": 0.0, "balanced": 0.7, "low": 1.5}
"""Seconds between looks at a face whose verdict is sure."""

_VISIBLE = 0.7
"""Seconds for which a face counts as in view: the face net rests between its runs. Longer with a slow camera."""


@dataclass(slots=True)
class _Record:
    mask: MaskVotes
    gender: GenderVotes
    looked_at: float = float("-inf")


class People:
    """Everybody in view. Called from one thread: `follow`, the networks, then `observe`, frame by frame."""

    def __init__(self, settings: PeopleSettings, vision: VisionSettings, *, gender_threshold: float = 1.0) -> None:
        """`gender_threshold`: probability below which a gender is `unknown`."""
        self._settings = settings
        self._vision = vision
        self._gender_threshold = gender_threshold
        self._tracker = Tracker(settings.lost_after)
        self._records: dict[int, _Record] = {}
        self.threshold = settings.threshold
        """Share of votes that makes a verdict; may be set at any time."""

    @property
    def present(self) -> bool:
        """Whether anybody is being followed, even if only suspected."""
        return bool(self._tracker.tracks)

    @property
    def unsure(self) -> bool:
        """Whether somebody in view still needs looks for a verdict."""
        return any(
            not self._records[track.id].mask.sure
            for track in self._tracker.tracks
            if track.box.height >= self._vision.mask.min_face
        )

    def frame(self, now: float) -> None:
        """A frame came, captured at `now` (monotonic seconds); to be told before anything is asked of it."""
        self._tracker.frame(now)

    def follow(self, faces: Sequence[Face], now: float, size: tuple[int, int]) -> list[Look]:
        """Take the faces of a frame of width and height `size`, captured at `now` (monotonic seconds).

        Returns what the networks should look at in it.
        """
        looks = []
        for track in self._tracker.update(faces, now, size):
            record = self._records.get(track.id)
            if record is None:
                record = self._records[track.id] = _Record(
                    MaskVotes(self._settings),
                    GenderVotes(self._vision.gender.votes, self._gender_threshold),
                )
            mask = self._wants_mask(track, record, now)
            gender = mask and self._wants_gender(track, record)
            looks.append(Look(track.id, track.face, mask, gender, gender and record.gender.mirrored))
        self._forget()
        return looks

    def rest(self, now: float) -> None:
        """A frame in which the face net rested: everybody is carried on."""
        self._tracker.carry(now)
        self._forget()

    def observe(self, observations: Sequence[Observation], now: float) -> list[Person]:
        """Count what the networks said; returns everybody who was seen at least twice."""
        for observation in observations:
            record = self._records.get(observation.person_id or 0)
            if record is None:
                continue
            if observation.mask is not None:
                record.looked_at = now
                record.mask.add(observation.mask, observation.quality, self.threshold)
            if observation.gender is not None:
                record.gender.add(observation.gender, observation.quality)
        return self.persons(now)

    def persons(self, now: float) -> list[Person]:
        """Everybody who was seen at least twice and has not left."""
        seen_since = now - max(_VISIBLE, self._tracker.patience)
        return [self._person(track, seen_since) for track in self._tracker.tracks if track.confirmed]

    def clear(self) -> None:
        """Forget everybody, as when detection is switched off."""
        self._tracker.clear()
        self._records.clear()

    def _wants_mask(self, track: Track, record: _Record, now: float) -> bool:
        if track.face.box.height < self._vision.mask.min_face:
            return False
        return not record.mask.sure or now - record.looked_at >= _RECHECK[self._vision.power]

    def _wants_gender(self, track: Track, record: _Record) -> bool:
        """Only of people who are about to be reported: nobody else's gender is any of our business."""
        suspect = record.mask.verdict.is_violation or record.mask.latest.is_violation
        return self._vision.gender.enabled and suspect and record.gender.wants(track.face.quality)

    def _person(self, track: Track, seen_since: float) -> Person:
        record = self._records[track.id]
        gender, gender_score = record.gender.answer
        return Person(
            id=track.id,
            box=track.box,
            verdict=record.mask.verdict,
            confidence=record.mask.confidence,
            votes=len(record.mask),
            gender=gender,
            gender_score=gender_score,
            first_seen=track.first_seen,
            last_seen=track.last_seen,
            visible=track.last_seen >= seen_since,
        )

    def _forget(self) -> None:
        if len(self._records) > len(self._tracker.tracks):
            alive = {track.id for track in self._tracker.tracks}
            for person_id in [key for key in self._records if key not in alive]:
                del self._records[person_id]

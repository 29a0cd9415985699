"""The way of a frame: motion, faces, people, networks, verdicts, violations. No thread, no clock of its own.

The service, the `detect` command and the benchmarks all use this one chain.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from edge_agent.config import Settings
from edge_agent.people import People
from edge_agent.types import Box, Frame, Observation, Person, ViolationNotice
from edge_agent.violations import Violations
from edge_agent.vision.networks import Keep, Networks, StageTimes
from edge_agent.vision.schedule import DetectionSchedule
from edge_agent.vision.store import ModelStore


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What one frame led to."""

    detected: bool
    """Whether the face net ran."""
    observations: tuple[Observation, ...]
    persons: tuple[Person, ...]
    notices: tuple[ViolationNotice, ...]
    times: StageTimes


class Chain:
    """Vision, people and violations in a row. Used by one thread only.

    Raises ModelError if a model is missing, altered or of the wrong shape.
    """

    def __init__(self, settings: Settings, store: ModelStore | None = None, *, keep: Keep | None = None) -> None:
        """`keep`: says which boxes lie in the watched area; None: all do."""
        vision = settings.vision
        self.networks = Networks(vision, store or ModelStore(vision.models_dir), keep=keep)
        self.people = People(settings.people, vision, gender_threshold=self.networks.gender_threshold)
        self.violations = Violations(settings.violations, gender=vision.gender.enabled)
        self._schedule = DetectionSchedule(vision.power)

    def process(self, frame: Frame) -> FrameResult:
        """Take one frame through; frames come in the order of their `captured_at`."""
        networks, people, now, times = self.networks, self.people, frame.captured_at, StageTimes()
        people.frame(now)
        moved = networks.moved(frame.image, times, present=people.present)
        observations: list[Observation] = []
        everybody: tuple[Box, ...] = ()
        detected = self._schedule.due(now, moved=moved, present=people.present, unsure=people.unsure)
        if detected:
            faces, everybody = networks.detect(frame.image, times)
            begin = time.perf_counter()
            looks = people.follow(faces, now, (frame.image.shape[1], frame.image.shape[0]))
            tracking = time.perf_counter() - begin
            observations = networks.look(frame.image, looks, times)
            begin = time.perf_counter()
            persons = people.observe(observations, now)
            times.track = (tracking + time.perf_counter() - begin) * 1e3
        elif people.present:
            people.rest(now)
            persons = people.persons(now)
        else:
            persons = []
        notices = self.violations.update(persons, frame, everybody)
        return FrameResult(detected, tuple(observations), tuple(persons), tuple(notices), times)

    def idle(self, now: float) -> tuple[ViolationNotice, ...]:
        """No frame has come: people can only leave (monotonic `now`)."""
        self.people.rest(now)
        return tuple(self.violations.update_without_frame(self.people.persons(now), now))

    def clear(self, now: float) -> tuple[ViolationNotice, ...]:
        """Detection is being switched off, or the service stops: everything open ends."""
        self.people.clear()
        self.networks.reset()
        return tuple(self.violations.end_all(now))

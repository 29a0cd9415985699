"""The face net rests while all is settled; that must not look as if everybody had gone and come back."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone
from typing import Literal

import numpy as np
import pytest

from edge_agent.config import GenderSettings, PeopleSettings, ViolationSettings, VisionSettings
from edge_agent.people import People
from edge_agent.types import Box, Face, Frame, MaskScores, Observation, ViolationType
from edge_agent.violations import Violations
from edge_agent.vision.schedule import DetectionSchedule

FACE = Face(Box(280, 200, 344, 280), 0.95)
SIZE = (640, 480)


def watch(power: Literal["low", "balanced", "full"], lost_after: float, fps: float) -> tuple[int, int, int]:
    """A bare face that stands there for 20 s: violations started and ended, and changes of who is in view."""
    vision = VisionSettings(power=power, gender=GenderSettings(enabled=False))
    people = People(PeopleSettings(lost_after=lost_after), vision)
    schedule, violations = DetectionSchedule(power), Violations(ViolationSettings())
    notices, visible, picture = [], [], np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for index in range(round(20 * fps)):
        now = 100.0 + index / fps
        people.frame(now)
        if schedule.due(now, moved=index == 0, present=people.present, unsure=people.unsure):
            looks = people.follow([FACE], now, SIZE)
            scores = MaskScores(0.01, 0.98, 0.01)
            seen = [Observation(look.face, scores, None, 1.0, look.person_id) for look in looks if look.mask]
            persons = people.observe(seen, now)
        else:
            people.rest(now)
            persons = people.persons(now)
        visible.append(any(person.visible for person in persons))
        frame = Frame(index, picture, now, datetime.now(timezone.utc))
        notices += violations.update(persons, frame, ())
    flips = sum(one != other for one, other in itertools.pairwise(visible))
    started = sum(notice.violation.type is ViolationType.STARTED for notice in notices)
    return started, len(notices) - started, flips


@pytest.mark.parametrize("power", ["low", "balanced", "full"])
@pytest.mark.parametrize("lost_after", [0.1, 0.45, 1.5])
@pytest.mark.parametrize("fps", [0.8, 2.0, 10.0, 15.0])
def test_one_person_is_one_event_however_short_the_patience(
    power: Literal["low", "balanced", "full"], lost_after: float, fps: float
) -> None:
    assert watch(power, lost_after, fps) == (1, 0, 1)

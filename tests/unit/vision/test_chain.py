"""A frame's way through all rooms: what is found is followed, judged, reported and ended, and rests in between."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from skimage import data

from edge_agent.chain import Chain, FrameResult
from edge_agent.config import Settings
from edge_agent.types import Box, Face, Frame, Image, Verdict, ViolationType
from edge_agent.vision.networks import Keep

WIDTH, HEIGHT = 640, 512
BARE = Face(Box(165, 70, 285, 225), 0.95)
"""The face of scikit-image's astronaut (NASA, public domain)."""
PASSER_BY = Face(Box(560, 100, 600, 150), 0.8)
NOON = datetime(2026, 5, 4, 12, 0, tzinfo=timezone.utc)


class Scene:
    """A chain with the real networks, but for the face net: what it finds a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edge_agent.vision.networks.face_detectors.create", lambda *_args, **_kwargs: self)
        self.net_ms = 0.0
        self.faces: list[Face] = []
        self.image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        self.image[:, :512] = data.astronaut()[:, :, ::-1]
        self.index = 0

    def detect(self, image: Image) -> list[Face]:
        assert image is self.image
        return list(self.faces)

    def chain(self, keep: Keep | None = None, **sections: object) -> Chain:
        gender = {"vision": {"gender": {"enabled": False}}}
        return Chain(Settings.model_validate({**gender, **sections}), keep=keep)

    def frame(self, now: float) -> Frame:
        self.index += 1
        return Frame(self.index, self.image, now, NOON + timedelta(seconds=now))

    def watch(self, chain: Chain, start: float, seconds: float, fps: float = 10) -> list[FrameResult]:
        return [chain.process(self.frame(start + i / fps)) for i in range(round(seconds * fps))]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def told(results: list[FrameResult]) -> list[ViolationType]:
    return [notice.violation.type for result in results for notice in result.notices]


def test_a_bare_face_is_one_violation_from_its_coming_to_its_going(scene: Scene) -> None:
    chain = scene.chain()
    scene.faces = [BARE]
    results = scene.watch(chain, 100.0, 2.0)
    assert told(results) == [ViolationType.STARTED]
    (person,) = results[-1].persons
    assert person.verdict is Verdict.NO_MASK
    scene.faces = []
    results = scene.watch(chain, 102.0, 3.0)
    assert told(results) == [ViolationType.ENDED]
    assert results[-1].persons == ()


def test_in_the_picture_of_a_violation_everybody_else_is_blurred_watched_or_not(scene: Scene) -> None:
    chain = scene.chain(keep=lambda box, width, _height: box.x2 < width / 2)
    scene.faces = [BARE, PASSER_BY]
    (notice,) = (notice for result in scene.watch(chain, 100.0, 1.0) for notice in result.notices)
    assert notice.others == (PASSER_BY.box,)
    assert notice.violation.box == pytest.approx((165 / 640, 70 / 512, 285 / 640, 225 / 512), abs=1e-3)


def test_before_an_empty_still_entrance_the_face_net_rests(scene: Scene) -> None:
    results = scene.watch(scene.chain(), 100.0, 10.0)
    assert results[0].detected, "whoever stands there already is to be found"
    assert sum(result.detected for result in results[20:]) <= 5
    resting = results[-1] if not results[-1].detected else results[-2]
    assert (resting.times.faces, resting.times.track, resting.persons) == (None, None, ())


def test_at_full_power_it_never_rests(scene: Scene) -> None:
    results = scene.watch(scene.chain(vision={"power": "full", "gender": {"enabled": False}}), 100.0, 2.0)
    assert all(result.detected and result.times.track is not None for result in results)


def test_a_settled_person_stays_in_view_while_the_face_net_rests(scene: Scene) -> None:
    chain = scene.chain()
    scene.faces = [BARE]
    results = scene.watch(chain, 100.0, 4.0)[20:]
    assert 4 <= sum(result.detected for result in results) <= 10
    assert all(len(result.persons) == 1 and result.persons[0].visible for result in results)
    assert all(result.observations == () for result in results if not result.detected)


def test_the_box_of_who_walks_goes_along_while_the_face_net_rests(scene: Scene) -> None:
    chain = scene.chain(vision={"mask": {"min_face": 1000}, "gender": {"enabled": False}})  # followed only
    results = []
    for i in range(20):
        scene.faces = [Face(Box(100 + 10 * i, 100, 160 + 10 * i, 180), 0.9)]
        results.append(chain.process(scene.frame(100 + i / 10)))
    assert not all(result.detected for result in results)
    lefts = [result.persons[0].box.x1 for result in results if result.persons]
    assert len(lefts) > 10
    assert lefts == pytest.approx([290 - 10 * i for i in reversed(range(len(lefts)))], abs=2)


def test_at_a_camera_of_a_picture_in_a_second_people_are_told_apart_all_the_same(scene: Scene) -> None:
    scene.faces = [BARE]
    chain, results = scene.chain(people={"lost_after": 0.5}), []
    for i in range(16):
        results.append(chain.process(scene.frame(100 + i * 1.25)))
        if i:  # from the second frame on the camera's pace is known
            assert chain.idle(100 + i * 1.25 + 1.0) == ()
    assert told(results) == [ViolationType.STARTED]
    assert {person.id for result in results for person in result.persons} == {1}


@pytest.mark.parametrize(
    ("x", "y", "right", "down", "left"),
    [
        pytest.param(WIDTH - 60, 200, 60, 0, True, id="to the right"),
        pytest.param(200, HEIGHT - 60, 0, 60, True, id="to the bottom"),
        pytest.param(HEIGHT - 60, 200, 60, 0, False, id="not as far to the right as the picture is high"),
        pytest.param(200, 200, 0, 60, False, id="down in the middle"),
        pytest.param(200, 200, 60, 0, False, id="right in the middle"),
    ],
)
def test_who_walks_out_is_gone_sooner_than_who_is_hidden(
    scene: Scene, x: int, y: int, right: int, down: int, left: bool
) -> None:
    """The picture is wider than high: each edge is where it is."""
    chain = scene.chain(vision={"power": "full", "gender": {"enabled": False}})
    for i in range(8):
        x1, y1 = x - right * (7 - i) / 10, y - down * (7 - i) / 10
        scene.faces = [Face(Box(x1, y1, x1 + 60, y1 + 60), 0.9)]
        chain.process(scene.frame(100 + i / 10))
    scene.faces = []
    results = scene.watch(chain, 100.8, 0.8)
    assert results[0].persons
    assert bool(results[-1].persons) is not left


def test_the_time_of_each_stage_is_in_milliseconds_of_the_frames_own(scene: Scene) -> None:
    chain = scene.chain()
    scene.faces = [BARE]
    for i in range(3):
        begin = time.perf_counter()
        times = chain.process(scene.frame(100 + i / 10)).times
        whole = (time.perf_counter() - begin) * 1e3
        assert times.faces is not None and times.mask is not None and times.track is not None
        assert times.track > 1e-4
        assert times.faces + times.mask + times.track <= whole


def test_without_frames_who_is_no_longer_seen_has_left(scene: Scene) -> None:
    chain = scene.chain()
    scene.faces = [BARE]
    scene.watch(chain, 100.0, 2.0)
    assert chain.idle(102.5) == ()
    (ended,) = chain.idle(110.0)
    assert ended.violation.type is ViolationType.ENDED
    assert chain.idle(111.0) == ()


def test_switched_off_all_ends_and_switched_on_again_the_first_frame_is_looked_at(scene: Scene) -> None:
    chain = scene.chain()
    scene.faces = [BARE]
    scene.watch(chain, 100.0, 2.0)
    (ended,) = chain.clear(102.0)
    assert ended.violation.type is ViolationType.ENDED
    assert not chain.people.present
    results = scene.watch(chain, 103.3, 1.0)  # sooner than a still entrance would be looked at again
    assert results[0].detected
    assert told(results) == [ViolationType.STARTED]
    assert results[-1].persons[0].id == 2, "nobody is taken for who was there before"


@pytest.mark.parametrize("enabled", [True, False])
def test_a_gender_is_told_only_where_it_is_wanted(scene: Scene, enabled: bool) -> None:
    chain = scene.chain(vision={"gender": {"enabled": enabled}})
    scene.faces = [BARE]
    (notice,) = (notice for result in scene.watch(chain, 100.0, 1.0) for notice in result.notices)
    assert (notice.violation.gender in ("male", "female", "unknown")) is enabled
    assert enabled or notice.violation.gender is None

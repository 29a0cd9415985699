"""Whom the watch is about and whom it only must not show, and what each stage costs."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from edge_agent.config import FaceSettings, GenderSettings, VisionSettings
from edge_agent.types import Box, Face, Image, Look
from edge_agent.vision.networks import Networks, StageTimes
from edge_agent.vision.store import ModelStore


class TwoFaces:
    """In place of a face net: a near face and one far behind it."""

    net_ms = 3.0

    def detect(self, _image: Image) -> list[Face]:
        return [NEAR, FAR]


NEAR = Face(Box(100, 100, 260, 300), 0.9)
FAR = Face(Box(400, 100, 432, 140), 0.8)
FRAME = np.zeros((480, 640, 3), np.uint8)


def networks(monkeypatch: pytest.MonkeyPatch, **settings: object) -> Networks:
    monkeypatch.setattr("edge_agent.vision.networks.face_detectors.create", lambda *_args, **_kwargs: TwoFaces())
    return Networks(VisionSettings.model_validate({"gender": {"enabled": False}, **settings}), ModelStore())


@pytest.mark.parametrize(
    ("face", "watched"),
    [
        ({}, [NEAR, FAR]),
        ({"max_size": 200}, [NEAR, FAR]),
        ({"max_size": 199}, [FAR]),
        ({"min_size": 40}, [NEAR, FAR]),
        ({"min_size": 41}, [NEAR]),
        ({"min_size": 41, "max_size": 199}, []),
    ],
)
def test_faces_too_near_or_too_far_are_not_watched_but_still_blurred(
    monkeypatch: pytest.MonkeyPatch, face: dict[str, int], watched: list[Face]
) -> None:
    found = networks(monkeypatch, face=face).detect(FRAME, StageTimes())
    assert found.faces == watched
    assert found.everybody == (NEAR.box, FAR.box)


def test_faces_outside_the_area_are_not_watched_but_still_blurred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.vision.networks.face_detectors.create", lambda *_args, **_kwargs: TwoFaces())
    left = Networks(
        VisionSettings(gender=GenderSettings(enabled=False)),
        ModelStore(),
        keep=lambda box, width, height: (width, height) == (640, 480) and box.x2 < width / 2,
    )
    found = left.detect(FRAME, StageTimes())
    assert found.faces == [NEAR]
    assert found.everybody == (NEAR.box, FAR.box)


def test_a_face_larger_than_the_largest_is_left_out_of_a_real_picture() -> None:
    picture = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
    settings = VisionSettings(face=FaceSettings(max_size=60), gender=GenderSettings(enabled=False))
    times = StageTimes()
    found = Networks(settings, ModelStore()).detect(picture, times)
    assert found.everybody
    assert found.faces == []
    assert times.faces is not None and 0.1 < times.net <= times.faces, "milliseconds"


def test_what_has_not_run_has_no_time_and_what_has_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    times = StageTimes()
    room = networks(monkeypatch)
    room.detect(FRAME, times)
    assert times.faces is not None and times.net == 3.0
    assert (times.mask, times.mask_calls, times.gender, times.gender_calls) == (None, 0, None, 0)
    assert room.look(FRAME, [Look(1, NEAR, mask=False, gender=False)], times) == []
    assert times.mask is None
    seen = room.look(FRAME, [Look(1, NEAR, mask=True, gender=False), Look(2, FAR, mask=True, gender=True)], times)
    assert [(one.person_id, one.mask is not None, one.gender) for one in seen] == [(1, True, None), (2, True, None)]
    assert [one.quality for one in seen] == [NEAR.quality, FAR.quality]
    assert times.mask_calls == 2 and times.gender_calls == 0
    assert times.mask is not None and 0 < times.net - 3.0 <= times.mask


def test_a_gender_is_looked_at_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    times = StageTimes()
    room = networks(monkeypatch, gender={"enabled": True})
    (seen,) = room.look(FRAME, [Look(1, NEAR, mask=False, gender=True)], times)
    assert seen.mask is None and seen.gender is not None
    assert (times.mask_calls, times.gender_calls) == (0, 1)
    assert times.mask is None and times.gender is not None and 0 < times.net <= times.gender
    room.look(FRAME, [Look(1, NEAR, mask=False, gender=True)] * 2, times)
    assert times.gender_calls == 3


@pytest.mark.parametrize(
    ("gender", "expected"),
    [
        ({"threshold": 0.9}, 0.9),
        ({"threshold": 0.0}, 0.0),
        ({}, ModelStore().entry("gender_net").threshold),
    ],
)
def test_the_owners_gender_threshold_goes_before_the_manifests(
    monkeypatch: pytest.MonkeyPatch, gender: dict[str, float], expected: float
) -> None:
    assert networks(monkeypatch, gender={"enabled": True, **gender}).gender_threshold == expected


def test_a_network_of_which_no_threshold_is_known_must_be_fairly_sure_of_a_gender(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = ModelStore.entry
    monkeypatch.setattr(
        ModelStore, "entry", lambda store, name: whole(store, name).model_copy(update={"threshold": None})
    )
    assert 0.6 <= networks(monkeypatch, gender={"enabled": True}).gender_threshold <= 0.95


def test_nothing_moves_before_a_still_camera_unless_the_gate_is_off_or_somebody_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gated, open_ = networks(monkeypatch), networks(monkeypatch, motion_gate=False)
    times = StageTimes()
    assert gated.moved(FRAME, times) and times.motion is not None
    assert not gated.moved(FRAME, StageTimes())
    assert gated.moved(FRAME, StageTimes(), present=True)
    assert open_.moved(FRAME, StageTimes()) and open_.moved(FRAME, StageTimes())
    gated.reset()
    open_.reset()
    assert gated.moved(FRAME, StageTimes())


def test_who_stood_there_for_long_is_not_made_background(monkeypatch: pytest.MonkeyPatch) -> None:
    room = networks(monkeypatch)
    room.moved(FRAME, StageTimes())
    person = FRAME.copy()
    person[100:400, 200:400] = 200
    for _ in range(200):
        room.moved(person, StageTimes(), present=True)
    assert room.moved(person, StageTimes()), "lost from sight for a moment, he is looked for at once"


def test_the_start_says_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert networks(monkeypatch).describe().endswith("no gender")
    assert networks(monkeypatch, gender={"enabled": True}).describe().endswith("gender_net")
    assert networks(monkeypatch).describe().startswith("edge_face, mask_detector in ")

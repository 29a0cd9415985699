"""No more pictures are decoded than are wanted, and no fewer: decoding is what costs."""

from __future__ import annotations

import itertools
import random
import types
from collections.abc import Callable, Iterable
from typing import cast

import cv2
import numpy as np
import pytest

from edge_agent.camera.sources.capture import Capture


class Camera:
    """Gives a picture at each of its moments, by a clock of its own; then it is unplugged."""

    def __init__(self, moments: Iterable[float]) -> None:
        self.moments = list(moments)
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def grab(self) -> bool:
        if not self.moments:
            return False
        self.now = self.moments.pop(0)
        return True

    def get(self, _property: int) -> float:
        return 0.0

    def retrieve(self) -> tuple[bool, object]:
        return True, np.zeros((4, 4, 3), np.uint8)


Open = Callable[[Camera, float], Capture]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    def make(camera: Camera, fps: float) -> Capture:
        clock = types.SimpleNamespace(monotonic=camera.monotonic)
        monkeypatch.setattr("edge_agent.camera.sources.capture.time", clock)
        return Capture(cast(cv2.VideoCapture, camera), fps, lambda _position, arrived: arrived)

    return make


def taken(capture: Capture) -> list[float]:
    moments = []
    while (grab := capture.read()) is not None:
        moments.append(grab[1])
    return moments


def test_a_camera_that_trembles_around_the_wanted_rate_loses_no_picture(opened: Open) -> None:
    moments = [10 + i / 15 + (0.006 if i % 2 else 0.0) for i in range(60)]
    assert taken(opened(Camera(moments), 15)) == moments


@pytest.mark.parametrize("rate", [30, 60, 120])
def test_a_faster_camera_costs_no_more_decoding_than_is_wanted(opened: Open, rate: int) -> None:
    looked_at = taken(opened(Camera(10 + i / rate for i in range(4 * rate)), 15))
    assert len(looked_at) == pytest.approx(60, abs=2)


def test_of_a_camera_twice_as_fast_that_trembles_every_second_picture_is_taken(opened: Open) -> None:
    """Regularly, and not now the next and now the third: a walking face is followed by its pace."""
    rng = random.Random(1)
    moments = [10 + i / 30 + rng.uniform(-0.006, 0.006) for i in range(600)]
    places = [moments.index(moment) for moment in taken(opened(Camera(moments), 15))]
    assert {later - earlier for earlier, later in itertools.pairwise(places[5:])} == {2}


def test_a_slower_camera_gives_all_it_has(opened: Open) -> None:
    moments = [10 + i / 5 for i in range(20)]
    assert taken(opened(Camera(moments), 15)) == moments


def test_after_a_break_pictures_are_not_made_up_for(opened: Open) -> None:
    moments = [10 + i / 60 for i in range(60)] + [30 + i / 60 for i in range(60)]
    looked_at = taken(opened(Camera(moments), 15))
    assert 14 <= len([moment for moment in looked_at if moment >= 30]) <= 20


@pytest.mark.parametrize("rate", [15, 30, 60, 120])
def test_a_fast_camera_is_not_drained_of_what_it_takes_now(opened: Open, rate: int) -> None:
    camera = Camera(i / rate for i in range(1, 1000))
    opened(camera, rate).drain()
    assert len(camera.moments) == 998

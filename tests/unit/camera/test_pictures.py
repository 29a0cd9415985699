from __future__ import annotations

import numpy as np
import pytest

from edge_agent.camera.pictures import PictureWatch
from edge_agent.config import CameraSettings
from edge_agent.types import Image

SETTINGS = CameraSettings(freeze_after=10, stall_after=3, dark_after=5)
NOISE = np.random.default_rng(0)


def noise(low: int = 0, high: int = 255) -> Image:
    return NOISE.integers(low, high, (120, 160, 3), np.uint8)


def test_the_very_same_picture_is_frozen_after_the_bound_and_not_before() -> None:
    watch, picture = PictureWatch(SETTINGS, live=True), noise()
    watch.look(noise(), 0)
    watch.look(picture, 1)
    assert not watch.look(picture.copy(), 10.9).frozen
    finding = watch.look(picture.copy(), 11.0)
    assert finding.frozen
    assert finding.reopen
    assert not watch.look(noise(), 12).frozen


def test_one_pixel_of_noise_is_life() -> None:
    watch, picture = PictureWatch(SETTINGS, live=True), noise()
    for second in range(30):
        picture = picture.copy()
        picture[second, second] ^= 1
        assert not watch.look(picture, second).frozen


def test_a_frozen_camera_has_some_seconds_after_each_opening() -> None:
    watch, picture = PictureWatch(SETTINGS, live=True), noise()
    watch.look(picture, 0)
    assert watch.look(picture, 20).reopen
    watch.reopened(21)
    assert watch.look(picture, 22) == (True, False, False, False)
    assert watch.look(picture, 24).reopen


def test_a_file_may_show_a_still_picture() -> None:
    watch, picture = PictureWatch(SETTINGS, live=False), noise()
    watch.look(picture, 0)
    assert not watch.look(picture, 1000).frozen


@pytest.mark.parametrize(
    ("low", "high", "dark"),
    [
        (0, 4, True),  # a cap on the lens
        (90, 96, True),  # a hand on the lens
        (250, 255, True),  # paper on the lens, light behind it
        (0, 20, True),  # the same with a noisy sensor
        (0, 60, False),  # a dim room
        (0, 255, False),
    ],
)
def test_what_counts_as_dark(low: int, high: int, dark: bool) -> None:
    watch = PictureWatch(SETTINGS, live=True)
    found = [watch.look(noise(low, high), second).dark for second in range(8)]
    assert found == [dark and second >= 5 for second in range(8)]


def test_black_without_noise_is_dark_not_frozen_and_opened_again_once() -> None:
    watch, black = PictureWatch(SETTINGS, live=True), np.zeros((120, 160, 3), np.uint8)
    found = [watch.look(black, second) for second in range(60)]
    assert [finding.dark for finding in found] == [second >= 5 for second in range(60)]
    assert not any(finding.frozen for finding in found)
    assert [second for second, finding in enumerate(found) if finding.reopen] == [10]
    watch.look(noise(), 60)  # light, and dark again
    assert [second for second in range(61, 99) if watch.look(black, second).reopen] == [71]


def test_black_with_noise_is_a_night_and_not_opened_again() -> None:
    watch = PictureWatch(SETTINGS, live=True)
    assert not any(watch.look(noise(0, 8), second).reopen for second in range(60))


def test_a_lamp_in_the_night_is_not_a_covered_lens() -> None:
    watch, night = PictureWatch(SETTINGS, live=True), noise(0, 8)
    night[20:35, 20:35] = 250
    assert not any(watch.look(night, second).dark for second in range(20))


def test_light_for_a_moment_begins_the_dark_anew() -> None:
    watch = PictureWatch(SETTINGS, live=True)
    watch.look(noise(0, 4), 0)
    watch.look(noise(), 4)
    watch.look(noise(0, 4), 5)
    assert not watch.look(noise(0, 4), 9).dark
    assert watch.look(noise(0, 4), 10).dark


def test_a_new_size_is_noticed_once() -> None:
    watch = PictureWatch(SETTINGS, live=True)
    assert not watch.look(noise(), 0).resized
    assert watch.look(noise()[:60], 1).resized
    assert not watch.look(noise()[:60], 2).resized

"""What the loop benchmark plays is what it says: so many people, wholly in the picture."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("skimage", reason="its portrait is one of the people")

from benchmarks.loop import empty_scene, visit_scene
from benchmarks.scenes.scenarios import HEIGHT, WIDTH


@pytest.mark.parametrize("people", [1, 4])
def test_people_stand_in_every_frame_of_a_visit(people: int) -> None:
    scene, empty = visit_scene(people, 6.0), empty_scene(0.2).frames[0]
    assert len(scene.frames) > 30
    assert all(frame.shape == (HEIGHT, WIDTH, 3) for frame in scene.frames)
    # The middle fifth of each place, at the height of the faces, differs from an empty entrance of any colour.
    for frame in scene.frames[::5]:
        row = frame[int(0.36 * HEIGHT) : int(0.44 * HEIGHT)].astype(int)
        for place in range(people):
            middle = int((place + 0.5) / people * WIDTH)
            assert row[:, middle - 15 : middle + 15].std() > 12, "nobody stands there"
    assert empty.shape == (HEIGHT, WIDTH, 3)


def test_the_empty_scene_moves_only_by_noise() -> None:
    frames = empty_scene(1.0).frames
    assert len(frames) == 15
    assert np.abs(frames[0].astype(int) - frames[5].astype(int)).mean() < 6

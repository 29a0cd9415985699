"""What a film claims to be true must be what it shows."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scenes.cloth import wearing
from benchmarks.scenes.entrance import entrance
from benchmarks.scenes.film import Film, Light, draw
from benchmarks.scenes.portraits import Anatomy, Portrait, flipped, scaled
from benchmarks.scenes.scenarios import KINDS, empty_film, films
from benchmarks.scenes.truth import truths
from benchmarks.scenes.visits import Visit
from edge_agent.types import Box, Verdict

WIDTH, HEIGHT = 320, 240


def portrait(name: str = "somebody", worn: Verdict = Verdict.NO_MASK) -> Portrait:
    """A green square with a red face."""
    image = np.zeros((200, 200, 3), np.uint8)
    image[:] = (0, 200, 0)
    image[60:140, 70:130] = (0, 0, 250)
    anatomy = Anatomy((85, 85), (115, 85), (100, 105), (100, 138), (72, 115), (128, 115))
    return Portrait(name, image, Box(70, 60, 130, 140), worn, anatomy)


def film(visit: Visit, **changes: object) -> Film:
    settings: dict[str, object] = {"light": Light(wave=0.0), "noise": 0.01, "fps": 10.0} | changes
    return Film(entrance(WIDTH, HEIGHT), {"somebody": portrait()}, [visit], 8.0, **settings)  # type: ignore[arg-type]


VISIT = Visit("somebody", Verdict.NO_MASK, 1.0, 1.0, 3.0, 0.5, 0.5, 60.0)


def test_the_face_is_drawn_where_the_truth_says() -> None:
    scene = film(VISIT)
    checked = 0
    for number, image in enumerate(draw(scene)):
        at = number / scene.fps
        red = (image[..., 2] > 180) & (image[..., 1] < 90)
        box = scene.face(0, at)
        if box is None:
            assert red.sum() < 20, f"a face at {at} s, when nobody is there"
        elif 0 in scene.boxes(at):
            rows, columns = np.nonzero(red)
            seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert np.allclose(seen, box, atol=5), at
            checked += 1
    assert checked > 20


def test_nobody_is_visible_outside_the_visit() -> None:
    scene = film(VISIT)
    first, last = scene.visible(0)
    assert VISIT.enters < first < VISIT.enters + VISIT.walk
    assert VISIT.leaves < last < VISIT.gone
    assert scene.face(0, VISIT.enters - 0.01) is None
    assert scene.face(0, VISIT.gone) is None
    assert 0 not in scene.boxes(first - 1 / scene.fps)


def test_a_visit_that_is_never_in_the_picture_is_refused() -> None:
    giant = Visit("somebody", Verdict.NO_MASK, 1.0, 1.0, 3.0, 0.5, 0.5, 2 * HEIGHT)
    with pytest.raises(ValueError, match="never wholly in the picture"):
        film(giant).visible(0)


def test_light_and_noise_change_the_picture_and_not_the_truth() -> None:
    plain = film(VISIT)
    dark = film(VISIT, light=Light(0.0, 9.0, ((0.0, 0.5),)), noise=3.0)
    assert plain.visible(0) == dark.visible(0)
    one, two = next(draw(plain)), next(draw(dark))
    assert two.mean() == pytest.approx(one.mean() / 2, rel=0.05)


def test_the_same_film_is_drawn_twice_alike() -> None:
    assert all(np.array_equal(one, two) for one, two in zip(draw(film(VISIT)), draw(film(VISIT)), strict=True))


def test_a_mask_covers_what_it_should() -> None:
    bare = scaled(portrait(), 3)
    face = bare.anatomy
    assert face is not None

    def changed(worn: Verdict, point: tuple[float, float]) -> bool:
        x, y = int(point[0]), int(point[1])
        before, after = bare.image[y, x].astype(int), wearing(bare, worn, "surgical").image[y, x].astype(int)
        return bool(np.abs(before - after).max() > 60)

    mouth = (face.nose[0], (face.nose[1] + face.chin[1]) / 2)
    assert changed(Verdict.MASK, face.nose) and changed(Verdict.MASK, mouth)
    assert not changed(Verdict.MASK, face.left_eye) and not changed(Verdict.MASK, face.right_eye)
    assert changed(Verdict.INCORRECT, mouth) and not changed(Verdict.INCORRECT, face.nose)
    assert wearing(bare, Verdict.NO_MASK) is bare
    with pytest.raises(ValueError, match="bare face"):
        wearing(wearing(bare, Verdict.MASK), Verdict.MASK)
    with pytest.raises(ValueError, match="no mask of colour"):
        wearing(bare, Verdict.MASK, "tartan")


def test_mirroring_twice_gives_the_portrait_back() -> None:
    one = portrait()
    once, twice = flipped(one), flipped(flipped(one))
    assert once.anatomy is not None and once.anatomy.left_eye[0] < once.anatomy.right_eye[0]
    assert twice.box == one.box and twice.anatomy == one.anatomy
    assert np.array_equal(twice.image, one.image)


def test_invented_films_are_consistent() -> None:
    cast = [portrait("bare"), portrait("masked", Verdict.MASK), portrait("badly", Verdict.INCORRECT)]
    kinds, worn, most = set(), set(), 0
    for named in films(cast, 12, seed=3):
        kinds.add(named.name.split("-")[0])
        scene = named.film
        assert len(truths(scene)) == len(scene.visits) >= 3
        for visit in scene.visits:
            assert visit.worn is scene.cast[visit.portrait].worn
            assert visit.gone < scene.seconds
            worn.add(visit.worn)
        together = max(len(scene.boxes(second / 2)) for second in range(int(2 * scene.seconds)))
        most = max(most, together)
    assert kinds == set(KINDS)
    assert worn == {Verdict.MASK, Verdict.NO_MASK, Verdict.INCORRECT}
    assert most >= 3, "nobody ever came in a group"


def test_films_need_people_with_and_without_a_mask() -> None:
    with pytest.raises(ValueError, match="with and without"):
        list(films([portrait()], 1))


def test_nobody_comes_in_the_empty_film() -> None:
    named = empty_film(2.0)
    assert not truths(named.film)
    assert sum(1 for _ in draw(named.film)) == 20

"""Faces put together of two: what is said of them stays true, and both are to be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convert.gender.augment import UNKNOWN, training_batches
from convert.gender.recombine import Combined, Recombiner
from convert.gender.records import Faces, load_faces

COUNT = 60


@pytest.fixture
def faces(tmp_path: Path, write_gender_dataset: Callable[..., None]) -> Faces:
    """Plain photos, each of a grey of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    write_gender_dataset(folder, COUNT)
    found = load_faces(folder, tmp_path / "cache")
    grey = np.arange(COUNT, dtype=np.uint8)[:, None, None, None] * 4
    return replace(found, pixels=np.broadcast_to(grey, found.pixels.shape).copy())


def many(faces: Faces, count: int = 300) -> list[tuple[int, Combined]]:
    recombiner, rng = Recombiner(faces, np.arange(COUNT)), np.random.default_rng(3)
    drawn = ((index, recombiner.combine(index, rng)) for index in rng.integers(COUNT, size=count).tolist())
    return [(index, two) for index, two in drawn if two is not None]


def test_the_two_are_of_one_sex_and_what_is_said_of_race_and_age_stays_true(faces: Faces) -> None:
    found = many(faces)
    assert len(found) > 50
    assert {two.alike for _, two in found} == {True, False}
    for index, two in found:
        assert two.partner != index
        assert faces.sex[two.partner] == faces.sex[index]
        if two.alike:
            assert (faces.race[two.partner], faces.age[two.partner]) == (faces.race[index], faces.age[index])


def test_both_are_to_be_seen_and_nothing_else(faces: Faces) -> None:
    shares = []
    for index, two in many(faces):
        assert two.image.shape == (160, 160, 3)
        low, high = sorted((int(faces.pixels[index].max()), int(faces.pixels[two.partner].max())))
        assert low - 1 <= two.image.min() <= two.image.max() <= high + 1
        if two.image.min() < two.image.max():  # not lit alike, so they can be told apart
            shares.append(two.share)
    assert min(shares) < 0.4
    assert max(shares) > 0.6


def test_who_has_no_landmarks_stays_alone(faces: Faces) -> None:
    without = int(np.flatnonzero(np.isnan(faces.landmarks).any(axis=(1, 2)))[0])
    recombiner, rng = Recombiner(faces, np.arange(COUNT)), np.random.default_rng(0)
    assert recombiner.combine(without, rng) is None
    assert without not in {two.partner for _, two in many(faces)}


def test_only_those_trained_on_are_partners(faces: Faces) -> None:
    part, rng = np.arange(0, COUNT, 2), np.random.default_rng(0)
    recombiner = Recombiner(faces, part)
    found = [recombiner.combine(int(index), rng) for _ in range(10) for index in part]
    partners = {two.partner for two in found if two is not None}
    assert partners
    assert partners <= set(part.tolist())


def test_a_batch_says_of_whom_it_is(faces: Faces) -> None:
    batch = next(training_batches(faces, np.arange(COUNT), 32, 48, np.random.default_rng(1), recombined=1.0))
    put_together = batch.partner != batch.face
    assert put_together.sum() > 10
    assert (batch.sex == faces.sex[batch.face]).all()
    assert (batch.sex == faces.sex[batch.partner]).all()
    assert (batch.share[~put_together] == 1).all()
    for label, of in ((batch.age, faces.age), (batch.race, faces.race)):
        told = label != UNKNOWN
        assert told[~put_together].all()
        assert (label[told] == of[batch.face][told]).all()
        assert (label[told] == of[batch.partner][told]).all()

    alone = next(training_batches(faces, np.arange(COUNT), 32, 48, np.random.default_rng(1)))
    assert (alone.partner == alone.face).all()

"""Faces put together of two photos that are described, and learnt from, as if they were photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")
pytest.importorskip("sklearn", reason="needs the training extra")

from convert.errors import ConvertError  # noqa: E402  # after the check for the extra
from convert.gender.augment import Batch, training_batches  # noqa: E402
from convert.gender.objective import Objective, Taught  # noqa: E402
from convert.gender.pairs import FOLDS, Pairs, drawn, with_pairs  # noqa: E402
from convert.gender.recognition import POINT, Lessons, answers  # noqa: E402
from convert.gender.records import SEXES, UNKNOWN, Faces, load_faces  # noqa: E402
from convert.gender.train import Settings, train  # noqa: E402

pytestmark = pytest.mark.convert
SHIPPED = Path(__file__).parents[3] / "models" / "gender_net.caffemodel"
COUNT = 200


@pytest.fixture
def faces(write_gender_dataset: Callable[..., None], tmp_path: Path) -> Faces:
    write_gender_dataset(tmp_path, COUNT, twins=False)
    return load_faces(tmp_path, tmp_path / "cache")


def test_a_pair_is_the_same_whenever_it_is_looked_at_and_both_are_to_be_seen(faces: Faces) -> None:
    pairs = drawn(faces, 20)
    one, other = with_pairs(faces, pairs), with_pairs(faces, drawn(faces, 20))
    for index, first in enumerate(pairs.first.tolist(), COUNT):
        found, photo = one.pixels[index], faces.pixels[first]
        np.testing.assert_array_equal(found, other.pixels[index])
        kept = (abs(found.astype(int) - photo) <= 1).all(axis=2).mean()
        assert 0.02 < kept < 0.98, "part of the first photo is there, and part of another"
    np.testing.assert_array_equal(one.pixels[3], faces.pixels[3])


def test_both_photos_are_trained_on_and_of_one_part(faces: Faces) -> None:
    pairs = drawn(faces, 30)
    every = with_pairs(faces, pairs)
    new = np.arange(COUNT, COUNT + 30)
    np.testing.assert_array_equal(faces.bucket[pairs.first] % FOLDS, faces.bucket[pairs.partner] % FOLDS)
    assert {*pairs.first.tolist(), *pairs.partner.tolist()} <= set(faces.split("train").tolist())
    assert len(set((faces.sex[pairs.first] == faces.sex[pairs.partner]).tolist())) == 2, "of whichever sex"
    assert set(new.tolist()) <= set(every.split("train").tolist())
    np.testing.assert_array_equal(every.split("calibration"), faces.split("calibration"))
    for label in (every.sex, every.age, every.race):
        assert (label[new] == UNKNOWN).all()


def test_pairs_that_are_others_by_now_are_refused(faces: Faces) -> None:
    pairs = drawn(faces, 12)
    moved = replace(faces, landmarks=np.roll(faces.landmarks, 7, axis=0))  # another faces.jsonl
    with pytest.raises(ConvertError, match="describe-gender again"):
        with_pairs(moved, pairs)


def test_more_than_there_are_is_an_error_in_words(faces: Faces) -> None:
    alone = replace(faces, landmarks=np.full_like(faces.landmarks, np.nan))
    with pytest.raises(ConvertError, match=r"only 0 of 5 .* fewer --pairs"):
        drawn(alone, 5)
    assert len(drawn(alone, 0).first) == 0


def test_classifiers_answer_for_pairs_and_learn_from_photos_alone(
    faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convert.gender.recognition._VOICES", 1)
    every = with_pairs(faces, drawn(faces, 40))
    described = np.random.default_rng(1).normal(size=(COUNT + 40, 30)).astype(np.float32) / 8
    described[:COUNT, 0] += np.where(faces.sex == 0, 3.0, -3.0)
    described[COUNT:, 0] = 3.0  # male, if asked by what the photos taught
    told = answers(described, every)
    np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-5)
    assert (told[COUNT:].argmax(axis=1) == SEXES.index("male")).all()
    np.testing.assert_allclose(told[:COUNT], answers(described[:COUNT], faces), atol=1e-5)


def test_an_answer_about_a_pair_is_all_there_is_to_learn(faces: Faces) -> None:
    pairs = Pairs(*np.array([[4], [0], [5]]))
    told = np.full((COUNT + 1, 2), 0.5, np.float32)
    told[COUNT] = (0.2, 0.8)
    lessons = Lessons(np.ones((COUNT + 1, POINT), np.float32), told, pairs)
    np.testing.assert_allclose(lessons.shares(faces, 0.5)[COUNT:], 1)
    assert lessons.shares(faces, 0.5)[:COUNT].max() <= 0.5
    batch = Batch(
        np.array([COUNT]), np.zeros((1, 8, 8, 3), np.uint8), *(np.array([UNKNOWN]) for _ in range(3)),
        np.array([COUNT]), np.ones(1, np.float32),
    )  # fmt: skip
    point = torch.nn.Linear(3, POINT)
    torch.nn.init.constant_(point.weight, 1.0)
    torch.nn.init.zeros_(point.bias)
    scores = torch.log(torch.tensor([[0.2, 0.8]]))
    heads = (scores, torch.zeros(1, 9), torch.zeros(1, 7), torch.ones(1, 3))
    loss = Objective(0.05, 0.15, 0.7)(heads, batch, None, Taught(lessons, faces, 0.5, point))
    # Nothing but the entropy of what was answered: the point is hit, and no label is known.
    assert float(loss.detach()) == pytest.approx(-(0.2 * np.log(0.2) + 0.8 * np.log(0.8)), abs=1e-5)


def test_a_network_learns_from_pairs_that_were_saved(faces: Faces, tmp_path: Path) -> None:
    pairs, path = drawn(faces, 25), tmp_path / "lessons.npz"
    number = np.random.default_rng(2).normal(size=(COUNT + 25, POINT)).astype(np.float32)
    Lessons(number, np.full((COUNT + 25, 2), 0.5, np.float32), pairs).save(path, faces)
    found = Lessons.load(path, faces)
    np.testing.assert_array_equal(found.pairs.first, pairs.first)
    np.testing.assert_array_equal(found.pairs.draws, pairs.draws)
    np.testing.assert_array_equal(found.pairs.partner, pairs.partner)
    every = with_pairs(faces, found.pairs)
    batch = next(training_batches(every, every.split("train"), 32, 190, np.random.default_rng(1), recombined=0.5))
    new = batch.face >= COUNT
    assert new.any() and (batch.sex[new] == UNKNOWN).all() and (batch.partner[new] == batch.face[new]).all()
    assert (batch.partner < COUNT)[~new].all(), "a partner is a photo"
    settings = Settings(minutes=0.05, batch=8, small_part=0.0, lessons=path, recombined=0.3)
    assert train(tmp_path, tmp_path / "cache", SHIPPED, tmp_path / "run", settings).is_file()
    with pytest.raises(ConvertError, match="describe-gender"):
        Lessons.load(path, replace(faces, files=faces.files[::-1]))

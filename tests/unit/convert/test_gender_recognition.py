"""Lessons from face recognition: drawn from descriptions, kept in a file, learnt from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")
pytest.importorskip("sklearn", reason="needs the training extra")

from convert.cli import main  # noqa: E402  # after the check for the extra
from convert.errors import ConvertError  # noqa: E402
from convert.gender.augment import training_batches  # noqa: E402
from convert.gender.network import GenderNet  # noqa: E402
from convert.gender.recognition import POINT, Lessons, answers, chip, points  # noqa: E402
from convert.gender.records import Faces, load_faces  # noqa: E402
from convert.gender.train import Settings, train  # noqa: E402

from .test_gender_teacher import write_tfjs  # noqa: E402

pytestmark = pytest.mark.convert
SHIPPED = Path(__file__).parents[3] / "models" / "gender_net.caffemodel"
RNG = np.random.default_rng(7)


@pytest.fixture
def faces(write_gender_dataset: Callable[..., None], tmp_path: Path) -> Faces:
    write_gender_dataset(tmp_path, 60, twins=False)
    return load_faces(tmp_path, tmp_path / "cache")


def test_points_are_of_one_length_and_near_for_faces_that_look_alike() -> None:
    described = RNG.normal(size=(50, 40)).astype(np.float32)
    described[1] = described[0] + 0.01
    found = points(described, np.arange(50))
    assert found.shape == (50, POINT)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert found[0] @ found[1] > 0.99 > found[0] @ found[2]


def test_answers_come_from_descriptions_and_not_from_the_photos_own_label(faces: Faces) -> None:
    many = {name: np.tile(getattr(faces, name), 10) for name in ("sex", "age", "race")}
    more = replace(faces, files=faces.files * 10, bucket=RNG.integers(0, 100, 600), **many)
    # So many numbers that whoever has seen a photo knows it again.
    noise = RNG.normal(size=(600, 400)).astype(np.float32) / 8
    telling = noise.copy()
    telling[:, 0] += np.where(more.sex == 0, 3.0, -3.0)
    for described, low, high in ((telling, 0.95, 1.0), (noise, 0.35, 0.65)):
        told = answers(described, more)
        np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-5)
        assert low <= (told.argmax(axis=1) == more.sex).mean() <= high


def test_an_answer_is_trusted_as_far_as_it_was_right_on_people_of_that_age(faces: Faces) -> None:
    aged = replace(faces, age=np.arange(60) % 3)
    told = np.where(aged.sex == 0, 0.9, 0.1)
    told[aged.age == 1] = 0.9  # male, whoever it is
    told[aged.age == 2] = 1 - told[aged.age == 2]  # always wrong
    answered = np.stack((told, 1 - told), axis=1).astype(np.float32)
    trusted = Lessons(np.zeros((60, POINT), np.float32), answered).trust(aged)
    assert (trusted[aged.age == 0] == 1).all()
    assert (trusted[aged.age == 1] < 0.5).all()
    assert (trusted[aged.age == 2] == 0).all()


def test_a_chip_has_the_eyes_where_dlib_wants_them() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    marks = np.array([(70, 80), (130, 80), (100, 115), (74, 145), (126, 145)], np.float32)
    for (x, y), colour in zip(marks.astype(int), ((255, 0, 0), (0, 255, 0)), strict=False):
        image[y - 3 : y + 4, x - 3 : x + 4] = colour
    cut = chip(image, marks, marks)
    assert cut.shape == (150, 150, 3)
    for channel, x in ((2, 47.6), (1, 100.5)):  # blue comes last: it is RGB
        rows, columns = np.nonzero(cut[:, :, channel] > 128)
        assert abs(columns.mean() - x) < 6
        assert abs(rows.mean() - 46.6) < 6
    for none in (np.full((5, 2), np.nan, np.float32), np.full((5, 2), 9, np.float32)):
        np.testing.assert_array_equal(chip(image, none, marks), cut)


def test_a_network_learns_from_lessons_that_were_saved(faces: Faces, tmp_path: Path) -> None:
    found = points(RNG.normal(size=(60, 30)).astype(np.float32), faces.split("train"))
    lessons, path = Lessons(found, np.full((60, 2), 0.5, np.float32)), tmp_path / "out/lessons.npz"
    lessons.save(path, faces)
    np.testing.assert_array_equal(Lessons.load(path, faces).points, found)
    settings = Settings(minutes=0.05, batch=4, small_part=0.0, lessons=path)
    assert train(tmp_path, tmp_path / "cache", SHIPPED, tmp_path / "run", settings).is_file()
    state = torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)
    moved = state["optimizer"]["state"]
    assert state["point"]["weight"].shape == (POINT, 960)
    assert len(moved) == sum(1 for _ in GenderNet().parameters()) + 2, "the point's two are trained as well"
    with pytest.raises(ConvertError, match="was trained with --lessons"):
        train(tmp_path, tmp_path / "cache", None, tmp_path / "run", replace(settings, lessons=None, minutes=1.0))
    with pytest.raises(ConvertError, match="not from both"):
        train(tmp_path, tmp_path / "cache", SHIPPED, tmp_path / "two", replace(settings, teachers=(SHIPPED,)))


def test_a_batch_says_which_photos_it_is_of(faces: Faces) -> None:
    batch = next(training_batches(faces, faces.split("train"), 32, 16, np.random.default_rng(1)))
    np.testing.assert_array_equal(batch.sex, faces.sex[batch.face])
    np.testing.assert_array_equal(batch.race, faces.race[batch.face])


def test_lessons_of_other_photos_are_refused(faces: Faces, tmp_path: Path) -> None:
    path = tmp_path / "lessons.npz"
    Lessons(np.zeros((60, POINT), np.float32), np.zeros((60, 2), np.float32)).save(path, faces)
    with pytest.raises(ConvertError, match="describe-gender"):
        Lessons.load(path, replace(faces, files=faces.files[::-1]))
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ConvertError, match=r"lessons\.npz holds no lessons"):
        Lessons.load(path, faces)
    np.save(tmp_path / "plain.npy", np.zeros(3))
    for name in ("none.npz", "plain.npy"):
        with pytest.raises(ConvertError, match="holds no lessons"):
            Lessons.load(tmp_path / name, faces)


def test_without_dlib_it_says_what_to_install(
    faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    data = ["--dataset", str(tmp_path), "--cache", str(tmp_path / "cache")]
    write_tfjs(tmp_path)
    files = ["--faceres", str(tmp_path / "faceres.json"), "--dlib", "x.dat", "--out", str(tmp_path / "lessons.npz")]
    assert len(faces.files) == 60
    assert main(["describe-gender", *data, *files]) == 2
    assert "pip install dlib-bin" in capsys.readouterr().err

"""Folds of the part to train on: who is left out of which training, and who is asked of whom."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from convert.cli import main
from convert.errors import ConvertError
from convert.mask import faces, folds, predict
from convert.mask.folds import Fold
from convert.mask.records import Record

from .test_mask_data import make_dataset

MODEL = Path(__file__).parents[3] / "models" / "mask_detector.tflite"
GROUPS = [f"group:{index}" for index in range(400)]


def test_each_group_lies_in_one_fold_of_about_the_same_size() -> None:
    every = [[group for group in GROUPS if Fold(number, 4).has(group)] for number in (1, 2, 3, 4)]
    assert sorted(group for part in every for group in part) == sorted(GROUPS)
    assert all(70 < len(part) < 130 for part in every)
    assert folds.number("file:\udcff", 4) in (1, 2, 3, 4)  # a name that is not UTF-8


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/1", "2", "2/", "a/b", "-1/4", "1/4/2"])
def test_what_is_no_fold_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="such as 2/4"):
        folds.fold(text)


def test_each_face_is_asked_of_the_network_without_its_fold() -> None:
    class Always:
        """Says the number it was made with."""

        size, name = 8, "none"

        def __init__(self, number: int, size: int = 8) -> None:
            self.number, self.size = number, size

        def __call__(self, crops: predict.Crops) -> predict.Probabilities:
            return np.full((len(crops), 3), self.number, np.float32)

    records = [Record(Path("a.png"), 0, None, None, "here", "single", False, group) for group in GROUPS]
    cut = faces.Faces(records, np.zeros((len(records), 8, 8, 3), np.uint8))
    answers = predict.by_fold([Always(number) for number in (1, 2, 3)], cut)
    assert answers[:, 0].tolist() == [folds.number(group, 3) for group in GROUPS]
    with pytest.raises(ConvertError, match="different sizes"):
        predict.by_fold([Always(1), Always(2, size=9)], cut)


@pytest.fixture
def networks(tmp_path: Path) -> list[str]:
    """Two files noted as trained without the first and the second of two folds."""
    models = []
    for number in (1, 2):
        folder = tmp_path / f"run{number}" / "epochs"
        folder.mkdir(parents=True)
        folds.note(folder.parent, Fold(number, 2))
        models.append(str(shutil.copy(MODEL, folder)))
    return models


def test_evaluate_measures_the_part_to_train_on(
    tmp_path: Path, networks: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make_dataset(tmp_path)
    assert main(["evaluate", networks[0], str(dataset), "--fold", networks[1], "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["part"], report["folds"]) == ("folds", 2)
    assert report["faces"] == len(faces.select(faces.read(dataset, None), training=True))


def test_a_network_that_may_know_the_faces_is_refused(
    tmp_path: Path, networks: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = networks
    for given, said in (
        ((two, one), "was trained without 2/2"),
        ((one, one), "was trained without 1/2"),
        ((one, str(MODEL)), "as far as is noted"),
        ((one, two, two), "was trained without 1/2; give 3 networks"),
    ):
        model, *others = given
        options = [part for other in others for part in ("--fold", other)]
        assert main(["evaluate", model, str(tmp_path), *options]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["evaluate", one, str(tmp_path), "--fold", two, "--all"])


def test_a_note_is_taken_away_and_a_damaged_one_told(tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    folds.note(tmp_path, Fold(1, 4))
    assert folds.noted(model) == Fold(1, 4)
    folds.note(tmp_path, None)
    assert folds.noted(model) is None
    (tmp_path / "without.txt").write_text("some")
    with pytest.raises(ConvertError, match="such as 2/4"):
        folds.noted(model)

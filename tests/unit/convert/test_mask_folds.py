"""Folds of the part to train on: who is left out of which training, and who is asked of whom."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from convert.cli import main
from convert.errors import ConvertError
from convert.mask import faces, folds, predict
from convert.mask.folds import Fold
from convert.mask.records import Record

from .test_mask_data import make_dataset

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


def test_evaluate_measures_the_part_to_train_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = make_dataset(tmp_path)
    model = str(Path(__file__).parents[3] / "models" / "mask_detector.tflite")
    assert main(["evaluate", model, str(dataset), "--fold", model, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["part"] == "folds"
    assert report["faces"] == len(faces.select(faces.read(dataset, None), training=True))

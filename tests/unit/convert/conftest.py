"""A made data set for the tests of training."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.gender.records import RACES, SEXES

_LANDMARKS = [[70, 60], [130, 60], [100, 90], [75, 115], [125, 115]]


def _write(folder: Path, count: int, *, twins: bool = True) -> None:
    """Photos of coarse noise; with ``twins`` each second one is a recompressed copy of the one before."""
    rng = np.random.default_rng(0)
    rows = []
    image = np.zeros((160, 160, 3), np.uint8)
    with (folder / "faces.jsonl").open("w", encoding="utf-8") as faces:
        for number in range(count):
            sex = SEXES[number % 2]
            name = f"gender/{sex}/face_{number}.jpg"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if not (twins and number % 2):
                coarse = rng.integers(0, 256, (10, 10, 3), dtype=np.uint8)
                image = np.asarray(cv2.resize(coarse, (200, 160), interpolation=cv2.INTER_CUBIC), np.uint8)
            cv2.imwrite(str(folder / name), image, [cv2.IMWRITE_JPEG_QUALITY, 70 + number % 20])
            rows.append(
                {"file": name, "task": "gender", "label": sex, "age": "03-Sep" if number % 3 else "20-29",
                 "race": RACES[number % 7], "group": ""}
            )  # fmt: skip
            found = {"box": [25, 10, 175, 150], "landmarks": _LANDMARKS}
            aside = {"box": [0, 0, 30, 40], "landmarks": [[5, 10], [20, 10], [12, 18], [6, 28], [19, 28]]}
            faces.write(json.dumps({"file": name, "faces": [] if number == 5 else [aside, found]}) + "\n")
    rows.append({"file": "mask/x.jpg", "task": "mask", "label": "with_mask", "age": "", "race": "", "group": ""})
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def write_gender_dataset() -> Callable[..., None]:
    """Writes ``count`` photos with manifest and boxes into a folder: ``write(folder, count, twins=True)``."""
    return _write

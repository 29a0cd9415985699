"""UTKFace, photos the gender network was neither trained nor calibrated on: https://susanqq.github.io/UTKFace/.

A file's name holds its labels: ``age_gender_race_date.jpg``, gender 0 for male and 1 for female. Faces are found
with the bundled detector, as on the device. It gives no landmarks, so no masks are painted: all faces are bare.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert import images
from convert.errors import ConvertError
from convert.finder import Finder
from convert.gender.evaluate import Condition, Report
from convert.gender.measure import largest_gap, right_and_sure, row
from convert.gender.records import AGES, SEXES
from convert.metrics import calibration_error
from convert.progress import track
from edge_agent.vision.gender import GenderClassifier

_log = logging.getLogger(__name__)
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True)
class Photo:
    """One photo with what its name says; ``sex`` indexes :data:`convert.gender.records.SEXES`."""

    path: Path
    age: int
    sex: int


@dataclass(frozen=True)
class Measured:
    """The figures of the faces that were found, and in how many of the photos there was one."""

    report: Report
    photos: int
    found: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"dataset": "UTKFace", "photos": self.photos, "found": self.found} | self.report.as_dict()


def read(folder: Path) -> list[Photo]:
    """The photos of a folder, and below it, whose names hold an age and a gender; one warning counts the others.

    Raises:
        ConvertError: there is no such folder, or no such photo in it.
    """
    if not folder.is_dir():
        raise ConvertError(f"{folder} is not a folder")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    photos = []
    for path in paths:
        age, sex = (*path.name.split("_"), "", "")[:2]
        if age.isdecimal() and int(age) < 150 and sex in ("0", "1"):
            photos.append(Photo(path, int(age), int(sex)))
    if not photos:
        raise ConvertError(f"{folder} has no photo named age_gender_race_date.jpg; give UTKFace's folder")
    if len(photos) < len(paths):
        _log.warning("%d of %d photos have no age and gender in their names; left out", len(paths) - len(photos),
                     len(paths))  # fmt: skip
    return photos


def evaluate(classifier: GenderClassifier, model: str, photos: list[Photo], threshold: float) -> Measured:
    """Measure a classifier on the largest face of each photo.

    Photos that cannot be decoded count as photos without a face.

    Raises:
        ConvertError: no face was found in any of them.
        ModelError: the detector's files are missing or altered.
    """
    finder = Finder()
    kept: list[Photo] = []
    male: list[float] = []
    for photo in track(photos, "looking at faces"):
        try:
            image = images.read(photo.path)
        except ConvertError as error:
            _log.warning("%s; left out", error)
            continue
        box = finder.largest(image)
        scores = classifier.classify(image, box) if box is not None else None
        if scores is not None:
            kept.append(photo)
            male.append(scores.male)
    if not kept:
        raise ConvertError("no face was found in any of the photos")
    right, sure = right_and_sure(np.array(male), np.array([photo.sex for photo in kept]))
    members = _groups(kept)
    rows = {
        kind: [row(name, right[member], sure[member], threshold) for name, member in of_kind.items()]
        for kind, of_kind in members.items()
    }
    gaps = {kind: largest_gap(right, members[kind]) for kind in ("gender", "age")}
    condition = Condition("bare", rows, gaps, calibration_error(sure.astype(np.float32), right), right, sure)
    return Measured(Report(model, threshold, (condition,), None, "UTKFace"), len(photos), len(kept))


def age_group(age: int) -> str:
    """The one of :data:`convert.gender.records.AGES` that an age in years lies in."""
    return next(name for name in reversed(AGES) if age >= int(name.rstrip("+").split("-")[0]))


def _groups(photos: list[Photo]) -> dict[str, dict[str, NDArray[np.bool_]]]:
    ages = np.array([age_group(photo.age) for photo in photos])
    sex = np.array([photo.sex for photo in photos])
    return {
        "all": {"all": np.ones(len(photos), bool)},
        "gender": {name: sex == number for number, name in enumerate(SEXES)},
        "age": {name: ages == name for name in AGES},
    }

"""What the gender network of the device says of the photos: the Caffe files through the service's own code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.errors import ConvertError
from convert.gender.augment import seen
from convert.gender.records import AGES, RACES, SEXES, Faces
from convert.metrics import Figure, resampled, share
from edge_agent.vision.gender import GenderClassifier

#: Adults that an entrance mostly sees.
_WORKING_AGES = ("20-29", "30-39", "40-49", "50-59")


@dataclass(frozen=True)
class Row:
    """Figures of one group of faces."""

    name: str
    right: Figure
    """Share of all faces whose likelier answer is right."""
    coverage: Figure
    """Share of all faces that get an answer at the threshold."""
    right_answered: Figure
    """Share of right answers among those given."""


@dataclass(frozen=True)
class Gap:
    """The groups furthest apart in accuracy."""

    best: str
    worst: str
    gap: Figure


def male_scores(classifier: GenderClassifier, faces: Faces, indices: NDArray[np.int64], *, masked: bool,
                seed: int = 0, device: bool = False) -> tuple[NDArray[np.float64], int]:  # fmt: skip
    """Probability of male for each face, ``(n,)``, and how many were cut as asked for.

    A face's painted mask depends on ``seed`` and the face alone. With ``device`` they are cut where the device's
    face net sees them, if it does (:func:`convert.gender.augment.seen`).

    Raises:
        ConvertError: a box lies outside its photo.
        ModelError: the face net's files are missing or altered.
    """
    scores, found = np.empty(len(indices)), 0
    shown = seen(faces, indices, masked=masked, seed=seed, device=device)
    for row, (image, box, known) in enumerate(shown):
        told = classifier.classify(image, box)
        if told is None:
            raise ConvertError(f"{faces.files[indices[row]]}: its face box lies outside the photo")
        scores[row] = told.male
        found += known
    return scores, found


def right_and_sure(
    scores: NDArray[np.float64], sex: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether the likelier answer is right, and its probability; both ``(n,)``."""
    answer = np.where(scores >= 0.5, SEXES.index("male"), SEXES.index("female"))
    return answer == sex, np.maximum(scores, 1 - scores)


def groups(faces: Faces, indices: NDArray[np.int64]) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Kind of group, name of group: which of ``indices`` belong to it."""
    age, race, sex = faces.age[indices], faces.race[indices], faces.sex[indices]
    working = np.isin(age, [AGES.index(name) for name in _WORKING_AGES])
    return {
        "all": {"all": np.ones(len(indices), bool), "20-59": working},
        "gender": {name: sex == number for number, name in enumerate(SEXES)},
        "race": {name: race == number for number, name in enumerate(RACES)},
        "age": {name: age == number for number, name in enumerate(AGES)},
    }


def row(name: str, right: NDArray[np.bool_], sure: NDArray[np.float64], threshold: float) -> Row:
    """Figures of some faces; the arrays are ``(n,)``, of one group."""
    given = sure >= threshold
    answered = int(given.sum())
    return Row(
        name,
        share(int(right.sum()), len(right)),
        share(answered, len(right)),
        share(int((right & given).sum()), answered),
    )


def largest_gap(right: NDArray[np.bool_], members: dict[str, NDArray[np.bool_]]) -> Gap:
    """The largest difference in accuracy between groups, with a bootstrap interval over faces.

    A group that a draw holds no face of has no accuracy there, and takes no part in that draw.
    """
    names = [name for name, member in members.items() if member.any()]
    table = np.array([members[name] for name in names])

    def accuracies(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        counts = table[:, drawn].sum(axis=1)
        hits = (table[:, drawn] & right[drawn]).sum(axis=1)
        return np.where(counts > 0, hits / np.maximum(counts, 1), np.nan)

    shares = accuracies(np.arange(len(right)))

    def apart(drawn: NDArray[np.int64]) -> float:
        found = accuracies(drawn)
        return float(np.nanmax(found) - np.nanmin(found))

    gap = resampled(apart, len(right))
    return Gap(names[int(shares.argmax())], names[int(shares.argmin())], gap)


def threshold_for(right: NDArray[np.bool_], sure: NDArray[np.float64], wanted: float) -> float:
    """The lowest probability from which on at least ``wanted`` of the answers are right, two decimals.

    Raises:
        ConvertError: no threshold below .99 gets there.
    """
    for threshold in np.arange(0.5, 0.99, 0.01):
        given = sure >= threshold
        if given.any() and right[given].mean() >= wanted:
            return round(float(threshold), 2)
    raise ConvertError(f"no threshold makes {wanted:.0%} of the answers right; the network needs more training")

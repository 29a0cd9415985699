"""The faces a network is measured on, cut from their photos by the device's own code at the boxes they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.errors import ConvertError
from convert.mask import doubles, find
from convert.mask.patches import face_box, read_image
from convert.mask.records import Record, in_validation, join_groups, known, read_scenes, read_singles
from convert.progress import track
from edge_agent.vision.crops import CropMargins, face_crop


@dataclass(frozen=True)
class Faces:
    """Faces and their crops, ``(count, size, size, 3)`` uint8 RGB, in the same order."""

    records: list[Record]
    crops: NDArray[np.uint8]

    @property
    def labels(self) -> NDArray[np.int64]:
        """True classes, ``(count,)``."""
        return np.array([record.label for record in self.records], dtype=np.int64)


def listed(dataset: Path, scenes: Path | None, minimum_side: float = 20.0) -> list[Record]:
    """Single faces and, if given, faces of scenes, with their groups joined; the order is always the same.

    No photo is opened: single faces that no ``faces.jsonl`` knows have no box.
    """
    records = read_singles(dataset)
    if scenes is not None:
        records += read_scenes(scenes, minimum_side)
    return join_groups(records)


def found(records: list[Record], dataset: Path) -> list[Record]:
    """The records of a dataset, with the single faces looked for in photos that no ``faces.jsonl`` tells of."""
    return find.boxes(records, known(dataset))


def read(dataset: Path, scenes: Path | None, minimum_side: float = 20.0) -> list[Record]:
    """What ``listed`` gives, with boxes: those of ``faces.jsonl``, or those that the bundled detector finds."""
    return found(listed(dataset, scenes, minimum_side), dataset)


def at_device(records: list[Record]) -> list[Record]:
    """Those of the records whose face the bundled detector finds, with its box in place of their own."""
    asked = find.by_device([replace(record, detector_box=None) for record in records])
    return [replace(record, box=record.detector_box) for record in asked if record.detector_box is not None]


def select(
    records: Sequence[Record],
    everything: bool = False,
    training: bool = False,
    remedy: str = "add photos: it needs some dozens of each class",
) -> list[Record]:
    """The validation part without doubles; ``training`` takes the other part, ``everything`` takes all.

    Raises:
        ConvertError: there is no face in it; the message ends with ``remedy``, what the command offers.
    """
    chosen = [record for record in records if everything or in_validation(record.group) != training]
    if not everything and not training:
        chosen = [record for record in chosen if not doubles.is_double(record)]
    if not chosen:
        part = "to train on" if training else "kept to measure on"
        raise ConvertError(f"the part of the dataset {part} holds no face, the dataset is too small; {remedy}")
    return chosen


def spread(records: Sequence[Record], count: int) -> list[Record]:
    """At most ``count`` records with equal parts of the three classes, spread evenly over sources and light."""
    chosen: list[Record] = []
    for label in range(3):
        of_class = [record for record in records if record.label == label]
        part = min(count // 3, len(of_class))
        chosen += [of_class[index * len(of_class) // part] for index in range(part)]
    return chosen


def cut(records: Sequence[Record], size: int, margins: CropMargins | None = None, quiet: bool = False) -> Faces:
    """Cut the faces at the box they come with.

    Photos that cannot be decoded, and faces whose box holds nothing of their photo, are left out with a warning.

    Raises:
        ConvertError: not a single face is left.
    """
    if not records:
        raise ConvertError("there is no face to cut; give a dataset that has some of this kind")
    kept: list[Record] = []
    crops: list[NDArray[np.uint8]] = []
    path: Path | None = None
    image: NDArray[np.uint8] | None = None
    for record in track(records, "cutting faces", quiet=quiet):
        if record.path != path:
            path, image = record.path, read_image(record.path)
        box = None if image is None else face_box(record, image)
        if image is None or box is None:
            continue
        crops.append(face_crop(image, box, size, margins or CropMargins()))
        kept.append(record)
    if not kept:
        raise ConvertError("none of the faces could be cut; the warnings say why")
    return Faces(kept, np.stack(crops))


def shorter_side(record: Record) -> float:
    """Of the face's box in pixels; infinite if the face is the whole photo."""
    if record.box is None:
        return float("inf")
    return min(record.box[2] - record.box[0], record.box[3] - record.box[1])

"""The faces a network is measured on, cut from their photos exactly as the device would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from convert.errors import ConvertError
from convert.mask.patches import read_image, whole_image_box
from convert.mask.records import Record, in_validation, join_groups, read_scenes, read_singles
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


def read(dataset: Path, scenes: Path | None, minimum_side: float = 20.0) -> list[Record]:
    """Single faces and, if given, faces of scenes, with their groups joined; the order is always the same."""
    records = read_singles(dataset)
    if scenes is not None:
        records += read_scenes(scenes, minimum_side)
    return join_groups(records)


def select(records: Sequence[Record], everything: bool = False, training: bool = False) -> list[Record]:
    """The validation part; ``training`` takes the other part, ``everything`` takes both."""
    chosen = [record for record in records if everything or in_validation(record.group) != training]
    if not chosen:
        raise ConvertError("no face is in this part of the dataset; it is too small to be split (try --all)")
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
    """Cut the faces at the box they come with; photos that cannot be decoded are left out with a warning."""
    kept: list[Record] = []
    crops: list[NDArray[np.uint8]] = []
    path: Path | None = None
    image: NDArray[np.uint8] | None = None
    for record in track(records, description="cutting faces", disable=quiet, transient=True):
        if record.path != path:
            path, image = record.path, read_image(record.path)
        if image is None:
            continue
        box = record.box or whole_image_box(image.shape[1], image.shape[0])
        crops.append(face_crop(image, box, size, margins or CropMargins()))
        kept.append(record)
    if not kept:
        raise ConvertError("none of the photos could be read")
    return Faces(kept, np.stack(crops))


def shorter_side(record: Record) -> float:
    """Of the face's box in pixels; infinite if the face is the whole photo."""
    if record.box is None:
        return float("inf")
    return min(record.box[2] - record.box[0], record.box[3] - record.box[1])

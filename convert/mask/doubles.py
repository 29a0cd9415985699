"""Photos to measure on that a network knows: the same photo stands in the training part under another name.

``doubles.csv`` names them, ``folder/name``, and the photo each repeats. The collections the photos come from share
some, which their own names and groups do not tell. They were found by local features (ORB) of each photo to measure
on and of those that look most like it, laid over each other and looked at: a whole photo or a part of it, brighter,
mirrored, or with a mask painted on. No network is trained on them, none is measured on them during its training,
and afterwards only with ``evaluate --all``.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

from convert.mask.patches import Patch
from convert.mask.records import FOLDERS, Record


@cache
def read() -> frozenset[str]:
    """``folder/name`` of each."""
    with files("convert.mask").joinpath("doubles.csv").open(encoding="utf-8") as stream:
        return frozenset(row["file"] for row in csv.DictReader(stream))


def is_double(face: Record | Patch) -> bool:
    """Whether the photo of a face to measure on is one of them."""
    folder = "images" if face.origin == "scene" else FOLDERS[face.label]
    return f"{folder}/{face.path.name if isinstance(face, Record) else face.file}" in read()

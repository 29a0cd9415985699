"""Photos to measure on that a network knows: the same photo stands in the training part under another name.

``doubles.csv`` names them, ``folder/name``, and the photo each repeats. The collections the photos come from share
some, which their own names and groups do not tell. They were found by local features (ORB) of each photo to measure
on and of those that look most like it, laid over each other and looked at: a whole photo or a part of it, brighter,
mirrored, or with a mask painted on. They are neither measured on nor trained on.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

from convert.mask.records import Record


@cache
def read() -> frozenset[str]:
    """``folder/name`` of each."""
    with files("convert.mask").joinpath("doubles.csv").open(encoding="utf-8") as stream:
        return frozenset(row["file"] for row in csv.DictReader(stream))


def is_double(record: Record) -> bool:
    """Whether the face's photo is one of them."""
    return f"{record.path.parent.name}/{record.path.name}" in read()

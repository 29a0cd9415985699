"""Labels that were looked at and found wrong.

``reviewed.csv`` names single faces by ``folder/name``, and faces of scenes by ``images/name#place`` (their place in
the annotation, from 0 on): ``drop`` (no face in the box, or nobody can tell) or the class to be seen. Of the
training part those were looked at that a network doubted; of the part to measure on, every single face with a real
mask, worn well or badly, in random order and without a network's answers beside it. Figures keep the labels the
photos came with; lines beside them count what is to be seen.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files

from convert.mask.patches import PatchSet
from convert.mask.records import FOLDERS, Record, in_validation
from edge_agent.types import LABELS

DROP = "drop"


def read() -> dict[str, str]:
    """``folder/name`` to ``drop`` or one of :data:`edge_agent.types.LABELS`."""
    with files("convert.mask").joinpath("reviewed.csv").open(encoding="utf-8") as stream:
        return {row["file"]: row["label"] for row in csv.DictReader(stream)}


def apply(patches: PatchSet, reviewed: Mapping[str, str]) -> tuple[PatchSet, list[int]]:
    """The patches with reviewed labels, and the indices to leave out; the validation part is not touched."""
    corrected, dropped = [], []
    for index, patch in enumerate(patches):
        said = reviewed.get(_name(patch.origin, patch.label, patch.file, patch.place))
        if said is None or in_validation(patch.group):
            corrected.append(patch)
            continue
        if said == DROP:
            dropped.append(index)
        corrected.append(patch if said == DROP else replace(patch, label=LABELS.index(said)))
    return patches.relabelled(corrected), dropped


def kept(record: Record, reviewed: Mapping[str, str]) -> bool:
    """Whether a face still counts as what its label says after a look at it."""
    label = LABELS[record.label]
    return reviewed.get(_name(record.origin, record.label, record.path.name, record.place), label) == label


def _name(origin: str, label: int, file: str, place: int) -> str:
    """What the file calls a face; additional bare ones (of origin ``bare``) are not in it."""
    if origin == "scene":
        return f"images/{file}#{place}"
    return f"{origin if origin == 'bare' else FOLDERS[label]}/{file}"

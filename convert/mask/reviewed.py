"""Labels that were looked at and found wrong.

``reviewed.csv`` names photos by ``folder/name``: ``drop`` (no face in the box, or nobody can tell) or the class
that is to be seen. Of the training part the photos were looked at that a network doubted; of the part to measure
on, every single face with a real mask, worn well or badly, in random order and without a network's answers beside
it. Figures keep the labels the photos came with; lines beside them count what is to be seen.
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
        said = reviewed.get(f"{FOLDERS[patch.label]}/{patch.file}") if patch.origin == "single" else None
        if said is None or in_validation(patch.group):
            corrected.append(patch)
            continue
        if said == DROP:
            dropped.append(index)
        corrected.append(patch if said == DROP else replace(patch, label=LABELS.index(said)))
    return patches.relabelled(corrected), dropped


def kept(record: Record, reviewed: Mapping[str, str]) -> bool:
    """Whether a face still counts as what its label says after a look at it."""
    name = f"{FOLDERS[record.label]}/{record.path.name}"
    return record.origin != "single" or reviewed.get(name, LABELS[record.label]) == LABELS[record.label]

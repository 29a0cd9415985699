"""Labels found wrong by eye: applied to what is trained on, never to what is measured on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from convert.mask import reviewed
from convert.mask.faces import read
from convert.mask.patches import Patch, PatchSet, build
from convert.mask.records import FOLDERS, in_validation
from edge_agent.types import LABELS

from .test_mask_data import make_dataset

NEVER_MEASURED = next(name for name in map(str, range(100)) if not in_validation(name))
MEASURED = next(name for name in map(str, range(100)) if in_validation(name))


def test_the_file_names_photos_of_known_folders_and_classes() -> None:
    labels = reviewed.read()
    assert labels
    assert {name.split("/")[0] for name in labels} <= {*FOLDERS, "images"}
    assert all(("#" in name) == name.startswith("images/") for name in labels)
    assert set(labels.values()) <= {reviewed.DROP, *LABELS}


def test_only_what_is_trained_on_is_changed(tmp_path: Path) -> None:
    built = build(read(make_dataset(tmp_path, per_class=2), None), tmp_path / "cache")

    def named(index: int, **changes: object) -> Patch:
        return replace(built[index], **{"label": 0, "origin": "single", **changes})  # type: ignore[arg-type]

    patches = PatchSet(
        [
            named(0, file="a.jpg", group=NEVER_MEASURED),
            named(1, file="b.jpg", group=NEVER_MEASURED),
            named(2, file="a.jpg", group=MEASURED),
            named(3, file="a.jpg", group=NEVER_MEASURED, origin="scene"),
            named(4, file="a.jpg", group=NEVER_MEASURED, origin="scene", place=1),
        ],
        np.concatenate([built.pixels(index).ravel() for index in range(len(built))]),
    )
    said = {"with_mask/a.jpg": "incorrect", "with_mask/b.jpg": "drop", "images/a.jpg#1": "no_mask"}
    corrected, dropped = reviewed.apply(patches, said)
    assert [patch.label for patch in corrected] == [2, 0, 0, 0, 1]
    assert dropped == [1]


def test_a_face_counts_as_seen_unless_a_look_said_otherwise(tmp_path: Path) -> None:
    record = read(make_dataset(tmp_path, per_class=1), None)[0]
    name = f"{FOLDERS[record.label]}/{record.path.name}"
    assert reviewed.kept(record, {})
    assert reviewed.kept(record, {name: LABELS[record.label]})
    assert not reviewed.kept(record, {name: "drop"})
    assert not reviewed.kept(record, {name: LABELS[(record.label + 1) % 3]})

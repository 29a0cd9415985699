"""Datasets as people have them: odd names, broken files beside them, boxes outside the photos."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert import images
from convert.errors import ConvertError
from convert.mask import faces, patches, records

from .test_mask_data import make_dataset

ODD = os.fsdecode(b"k\xfcche.png")


def _change(root: Path, index: int, **face: object) -> None:
    """Change the face of one line of ``faces.jsonl``; None takes the key out."""
    path = root / "faces.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    changed = lines[index]["faces"][0] | face
    lines[index]["faces"] = [{key: value for key, value in changed.items() if value is not None}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_the_hash_of_a_name_does_not_depend_on_how_it_is_spelt_in_bytes() -> None:
    digest = hashlib.sha256("file:küche".encode()).digest()
    assert records.in_validation("file:küche") == (int.from_bytes(digest[:8], "big") / 2**64 < 0.15)
    assert records.in_validation(os.fsdecode(b"file:\xfc")) in (True, False)


def test_names_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    odd = dataset / "with_mask" / ODD
    (dataset / "with_mask" / "made_00.png").rename(odd)
    assert images.read(odd).shape == (220, 200, 3)
    found = faces.read(dataset, None)
    assert len(faces.cut(found, 32, quiet=True).records) == 24
    assert ODD in {patch.file for patch in patches.build(found, tmp_path / "cache")}


def test_what_is_no_image_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    for name, said in (("empty.jpg", "empty"), ("none.jpg", "can't be read"), (".", "can't be read")):
        with pytest.raises(ConvertError, match=said):
            images.read(tmp_path / name)


@pytest.mark.parametrize("box", [[500, 500, 600, 600], [-90, 10, -20, 90], [50, 50, 50, 90], [50, 90, 80, 20]])
def test_a_box_without_a_face_is_skipped_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, box: list[float]
) -> None:
    dataset = make_dataset(tmp_path)
    _change(tmp_path, 2, box=box)
    found = faces.read(dataset, None)
    with caplog.at_level(logging.WARNING):
        assert len(patches.build(found, tmp_path / "cache")) == 23
        assert len(faces.cut(found, 32, quiet=True).records) == 23
    said = [entry.getMessage() for entry in caplog.records]
    assert len(said) == 2
    assert all("made_02.png" in line and str(float(box[0])) in line for line in said)


def test_faces_without_landmarks_will_do(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    _change(tmp_path, 0, landmarks=None)
    found = faces.read(dataset, None)
    assert found[0].landmarks is None
    assert found[0].box is not None
    assert found[1].landmarks is not None


def test_a_face_that_cannot_be_understood_is_named(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    _change(tmp_path, 4, box=[1, 2])
    with pytest.raises(ConvertError, match=r"faces\.jsonl, line 5"):
        faces.read(dataset, None)


def test_a_neighbour_is_not_taken_for_the_dataset(tmp_path: Path) -> None:
    told = records.read_singles(make_dataset(tmp_path))
    shutil.copytree(tmp_path / "mask", tmp_path / "mine")
    untold = records.read_singles(tmp_path / "mine")
    assert [record.path.name for record in untold] == [record.path.name for record in told]
    assert {(record.box, record.landmarks, record.source) for record in untold} == {(None, None, "mine")}
    assert all(record.group.startswith("file:") for record in untold)
    assert ("with_mask", "made_00.png") in records.known(tmp_path / "mask")
    assert ("with_mask", "made_00.png") not in records.known(tmp_path / "mine")
    (tmp_path / "link").symlink_to("mask")
    assert [record.box for record in records.read_singles(tmp_path / "link")] == [record.box for record in told]


@pytest.mark.parametrize("prefix", ["", "mask/", "elsewhere/data/mask/"])
def test_names_beside_a_dataset_may_be_short_or_long(tmp_path: Path, prefix: str) -> None:
    told = records.read_singles(make_dataset(tmp_path))
    for name in ("faces.jsonl", "manifest.csv"):
        path = tmp_path / name
        for folder in records.FOLDERS:
            path.write_text(path.read_text().replace(f"mask/{folder}/made", f"{prefix}{folder}/made"))
    assert records.read_singles(tmp_path / "mask") == told


def test_a_file_in_the_dataset_is_of_it_whatever_it_was_called(tmp_path: Path) -> None:
    told = records.read_singles(make_dataset(tmp_path))
    for name in ("faces.jsonl", "manifest.csv"):
        (tmp_path / name).rename(tmp_path / "mask" / name)
    (tmp_path / "mask").rename(tmp_path / "renamed")
    found = records.read_singles(tmp_path / "renamed")
    assert [(record.box, record.group) for record in found] == [(record.box, record.group) for record in told]


def test_bare_faces_are_not_the_neighbours_either(tmp_path: Path) -> None:
    lines = []
    for number, name in enumerate(("bare/deep/a/0.png", "other/deep/a/1.png")):
        (tmp_path / "bare/deep/a").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "bare/deep/a" / f"{number}.png"), np.zeros((40, 40, 3), np.uint8))
        lines.append(json.dumps({"file": name, "faces": [{"box": [5, 5, 30, 30]}]}) + "\n")
    (tmp_path / "faces.jsonl").write_text("".join(lines))
    assert [record.path.name for record in records.read_bare(tmp_path / "bare", 10)] == ["0.png"]


def test_faces_that_the_training_leaves_are_the_others(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(10)]
    for name in names:
        (tmp_path / "bare").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "bare" / name), np.zeros((40, 40, 3), np.uint8))
    lines = (json.dumps({"file": f"bare/{name}", "faces": [{"box": [5, 5, 30, 30]}]}) for name in names)
    (tmp_path / "faces.jsonl").write_text("\n".join(lines))

    def read(limit: int, **which: bool) -> list[str]:
        return [record.path.name for record in records.read_bare(tmp_path / "bare", limit, **which)]

    assert (len(read(4)), sorted(read(4) + read(4, others=True))) == (4, names)
    assert (read(0), read(0, others=True)) == ([], names)
    with pytest.raises(ConvertError, match="--bare-limit 10 leaves none"):
        read(10, others=True)


def test_a_foreign_manifest_is_refused(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    (tmp_path / "manifest.csv").write_text("photo,class\na.png,mask\n")
    with pytest.raises(ConvertError, match=r"manifest\.csv, line 1: no column file"):
        faces.read(dataset, None)


def test_more_bare_faces_need_a_folder_with_boxes(tmp_path: Path) -> None:
    bare = tmp_path / "deep" / "bare"
    with pytest.raises(ConvertError, match="is not a folder"):
        records.read_bare(bare, 10)
    bare.mkdir(parents=True)
    cv2.imwrite(str(bare / "a.jpg"), np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(ConvertError, match=r"faces\.jsonl"):
        records.read_bare(bare, 10)
    line = {"file": "bare/b.jpg", "faces": [{"box": [5, 5, 30, 30]}]}
    (bare / "faces.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(ConvertError, match="no photo to add"):
        records.read_bare(bare, 10)
    (bare / "faces.jsonl").write_text(json.dumps(line | {"file": "bare/a.jpg"}) + "\n")
    assert [record.landmarks for record in records.read_bare(bare, 10)] == [None]
    (bare / "manifest.csv").write_text("file\nbare/a.jpg\n")
    with pytest.raises(ConvertError, match="no column label, orig"):
        records.read_bare(bare, 10)


def test_an_empty_part_is_told_with_what_the_command_offers(tmp_path: Path) -> None:
    found = faces.read(make_dataset(tmp_path), None)
    training = [record for record in found if not records.in_validation(record.group)]
    with pytest.raises(ConvertError, match="kept to measure on") as caught:
        faces.select(training)
    assert "--all" not in str(caught.value)
    with pytest.raises(ConvertError, match="--all"):
        faces.select(training, remedy="measure every face with --all")
    with pytest.raises(ConvertError, match="no face to cut"):
        faces.cut([], 32)


def test_a_photo_that_repeats_one_trained_on_is_not_measured(tmp_path: Path) -> None:
    """Whatever its own group says."""
    from convert.mask import doubles

    dataset = make_dataset(tmp_path, per_class=16)
    measured = faces.select(faces.read(dataset, None))
    name = next(name for name in sorted(doubles.read()) if name.startswith("with_mask/"))
    group = next(record.group for record in measured if record.label == 0)
    twin = replace(measured[0], path=dataset / name, group=group)
    assert records.in_validation(twin.group)
    assert faces.select([*measured, twin]) == measured
    assert twin in faces.select([twin], everything=True)

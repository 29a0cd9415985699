"""Reading the photos: splits that keep near-duplicates together, errors that say what to do."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convert.errors import ConvertError
from convert.gender.augment import degraded_crop, plain_crops, training_batches
from convert.gender.records import AGES, SEXES, load_faces

COUNT = 60


@pytest.fixture
def dataset(tmp_path: Path, write_gender_dataset: Callable[..., None]) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_gender_dataset(folder, COUNT)
    return folder


@pytest.fixture
def other(tmp_path: Path, write_gender_dataset: Callable[..., None]) -> Path:
    """Other photos under the same names."""
    folder = tmp_path / "other"
    folder.mkdir()
    write_gender_dataset(folder, COUNT, twins=False)
    return folder


def test_reads_labels_boxes_and_pixels(dataset: Path, tmp_path: Path) -> None:
    faces = load_faces(dataset, tmp_path / "cache")

    assert faces.pixels.shape == (COUNT, 160, 160, 3)
    assert [SEXES[number] for number in faces.sex[:2]] == ["male", "female"]
    assert [AGES[number] for number in faces.age[:2]] == ["20-29", "3-9"]
    # The photos are 200 wide and kept at 160; the face in the middle counts, not the one at the side.
    assert faces.boxes[0] == pytest.approx([20, 10, 140, 150])
    assert faces.landmarks[0, 2] == pytest.approx([80, 90])
    assert np.isnan(faces.landmarks[5]).all()


def test_no_split_divides_near_duplicates(dataset: Path, tmp_path: Path) -> None:
    faces = load_faces(dataset, tmp_path / "cache")
    parts = {name: set(faces.split(name).tolist()) for name in ("train", "calibration", "test")}

    assert sorted(index for part in parts.values() for index in part) == list(range(COUNT))
    for part in parts.values():
        assert {index ^ 1 for index in part} == part  # twins are numbered 0 and 1, 2 and 3…


def test_the_cache_is_used_and_renewed(dataset: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    load_faces(dataset, cache)
    written = (cache / "gender_pixels.npy").stat().st_mtime_ns
    load_faces(dataset, cache)
    assert (cache / "gender_pixels.npy").stat().st_mtime_ns == written

    lines = (dataset / "manifest.csv").read_text(encoding="utf-8").splitlines()
    (dataset / "manifest.csv").write_text("\n".join(lines[:-11]), encoding="utf-8")

    assert len(load_faces(dataset, cache).files) == COUNT - 10


def test_a_cache_of_other_photos_of_the_same_names_is_not_taken(
    dataset: Path, other: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    pixels = np.array(load_faces(dataset, cache).pixels)
    assert (load_faces(other, cache).pixels != pixels).any()
    assert np.array_equal(load_faces(dataset, cache).pixels, pixels)

    photo = Path("gender", "male", "face_8.jpg")
    (dataset / photo).write_bytes((other / photo).read_bytes())
    changed = (load_faces(dataset, cache).pixels != pixels).any(axis=(1, 2, 3))
    assert np.flatnonzero(changed).tolist() == [8]


def test_photos_that_are_gone_cost_no_cache(dataset: Path, tmp_path: Path) -> None:
    cache, photo = tmp_path / "cache", dataset / "gender" / "male" / "face_8.jpg"
    load_faces(dataset, cache)
    written = (cache / "gender_pixels.npy").stat().st_mtime_ns
    photo.rename(tmp_path / "away.jpg")
    with pytest.raises(ConvertError, match=r"face_8\.jpg"):
        load_faces(dataset, cache)
    (tmp_path / "away.jpg").rename(photo)
    load_faces(dataset, cache)
    assert (cache / "gender_pixels.npy").stat().st_mtime_ns == written


def test_a_cache_that_was_overwritten_half_is_of_nobody(
    dataset: Path, other: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    pixels = np.array(load_faces(dataset, cache).pixels)
    lines = (other / "manifest.csv").read_text(encoding="utf-8").splitlines()
    (other / "manifest.csv").write_text("\n".join([*lines[:-3], *reversed(lines[-3:])]), encoding="utf-8")
    (other / "gender" / "female" / "face_57.jpg").write_bytes(b"broken")  # so that it ends there
    with pytest.raises(ConvertError, match="face_57"):
        load_faces(other, cache)
    assert np.array_equal(load_faces(dataset, cache).pixels, pixels)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot reserve room")
def test_photos_that_find_no_room_are_refused(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = []

    def full(descriptor: int, offset: int, length: int) -> None:
        wanted.append(length)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    cache = tmp_path / "cache"
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(ConvertError, match=rf"no room for \d+ bytes in {re.escape(str(cache))}"):
            load_faces(dataset, cache)
    assert wanted[0] >= COUNT * 160 * 160 * 3
    assert not list(cache.iterdir())
    assert len(load_faces(dataset, cache).files) == COUNT
    kept = (cache / "gender_pixels.npy").stat()
    assert kept.st_blocks * 512 >= kept.st_size  # no holes


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match=r"manifest\.csv"):
        load_faces(tmp_path, tmp_path / "cache")


def test_a_missing_photo_is_named(dataset: Path, tmp_path: Path) -> None:
    (dataset / "gender" / "male" / "face_8.jpg").unlink()

    with pytest.raises(ConvertError, match=r"face_8\.jpg"):
        load_faces(dataset, tmp_path / "cache")


def test_an_unknown_label_is_named(dataset: Path, tmp_path: Path) -> None:
    path = dataset / "manifest.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",male,", ",man,", 1), encoding="utf-8")

    with pytest.raises(ConvertError, match="face_0"):
        load_faces(dataset, tmp_path / "cache")


def test_a_manifest_that_cannot_be_read_is_named_with_its_line(dataset: Path, tmp_path: Path) -> None:
    path = dataset / "manifest.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("group", "cluster", 1), encoding="utf-8")
    with pytest.raises(ConvertError, match=r"manifest\.csv, line 1: no column group"):
        load_faces(dataset, tmp_path / "cache")
    path.write_bytes(path.read_bytes().replace(b"face_1", b"f\xe4ce_1", 1))
    with pytest.raises(ConvertError, match=r"manifest\.csv, line 3: not UTF-8"):
        load_faces(dataset, tmp_path / "cache")


def test_faces_may_lack_landmarks_but_not_boxes(dataset: Path, tmp_path: Path) -> None:
    path = dataset / "faces.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for face in lines[0]["faces"]:
        del face["landmarks"]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    faces = load_faces(dataset, tmp_path / "cache")
    assert faces.boxes[0] == pytest.approx([20, 10, 140, 150])
    assert np.isnan(faces.landmarks[0]).all()
    del lines[2]["faces"][0]["box"]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with pytest.raises(ConvertError, match=r"faces\.jsonl, line 3"):
        load_faces(dataset, tmp_path / "cache")


def test_batches_come_from_the_training_split_with_their_labels(dataset: Path, tmp_path: Path) -> None:
    faces = load_faces(dataset, tmp_path / "cache")
    indices = faces.split("train")
    batches = training_batches(faces, indices, 65, 8, np.random.default_rng(0))

    seen = [next(batches) for _ in range(len(indices) // 8)]

    assert all(batch.crops.shape == (8, 65, 65, 3) and batch.crops.dtype == np.uint8 for batch in seen)
    drawn = sum(int((batch.sex == 0).sum()) for batch in seen)
    assert abs(drawn - int((faces.sex[indices] == 0).sum())) <= len(indices) % 8


def test_a_face_wears_the_same_mask_whoever_is_measured_with_it(dataset: Path, tmp_path: Path) -> None:
    faces = load_faces(dataset, tmp_path / "cache")

    both = plain_crops(faces, np.array([2, 9]), 97, masked=True)
    alone = plain_crops(faces, np.array([9]), 97, masked=True)
    bare = plain_crops(faces, np.array([9]), 97, masked=False)

    assert np.array_equal(both[1], alone[0])
    assert not np.array_equal(alone, bare)


def test_every_degradation_gives_a_whole_crop() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (160, 160, 3), dtype=np.uint8)

    for _ in range(200):
        crop = degraded_crop(image, np.array([-10, -20, 120, 170], np.float32), 97, rng)
        assert crop.shape == (97, 97, 3)
        assert crop.dtype == np.uint8

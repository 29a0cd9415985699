"""The faces to learn from: a manifest, the boxes found in the photos, and a cache of their pixels.

The folder given as ``--dataset`` holds ``manifest.csv`` (columns file, task, label, age, race, group), the photos
it names and ``faces.jsonl`` (:mod:`convert.detections`).
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from convert import detections, images, tables
from convert.detections import Found
from convert.errors import ConvertError
from convert.gender.boxes import device_boxes

_log = logging.getLogger(__name__)

SEXES = ("male", "female")
#: Spreadsheets turn two of FairFace's age groups into dates.
_AGE_NAMES = {"03-Sep": "3-9", "Oct-19": "10-19", "more than 70": "70+"}
AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")
RACES = ("Black", "East Asian", "Indian", "Latino_Hispanic", "Middle Eastern", "Southeast Asian", "White")
#: Side of the cached photos, pixels.
CACHE_SIDE = 160
#: Photos whose 64-bit difference hashes differ in no more bits than this are taken for the same photo.
_SAME_PHOTO_BITS = 5
#: Where an aligned FairFace photo has its face when no detector finds it: the mean of those found.
_USUAL_BOX = (18.0, -9.0, 144.0, 155.0)
_SPLITS = {"test": (0, 10), "calibration": (10, 15), "train": (15, 100)}


@dataclass(frozen=True)
class Faces:
    """Photos with one face each; all arrays have the same length ``n``."""

    files: list[str]
    pixels: NDArray[np.uint8]
    """``(n, 160, 160, 3)`` BGR, mapped from the cache."""
    boxes: NDArray[np.float32]
    """``(n, 4)`` x1, y1, x2, y2 in pixels of ``pixels``, as they come with the photos."""
    device_boxes: NDArray[np.float32]
    """``(n, 4)`` as the face net that ships finds them; NaN where it finds none."""
    landmarks: NDArray[np.float32]
    """``(n, 5, 2)`` pixels; NaN where none were found."""
    sex: NDArray[np.int64]
    """Index into :data:`SEXES`."""
    age: NDArray[np.int64]
    """Index into :data:`AGES`."""
    race: NDArray[np.int64]
    """Index into :data:`RACES`."""
    bucket: NDArray[np.int64]
    """0–99, the same for near-duplicates: what splits are made of."""

    def cut_at(self, index: int, *, device: bool) -> list[float]:
        """The box of one face: as it came, or, with ``device``, as the device's face net finds it, if it does."""
        found = self.device_boxes[index]
        return list((found if device and np.isfinite(found[0]) else self.boxes[index]).tolist())

    def split(self, name: str) -> NDArray[np.int64]:
        """Indices of ``train``, ``calibration`` or ``test``; a group of near-duplicates is never divided."""
        low, high = _SPLITS[name]
        return np.flatnonzero((self.bucket >= low) & (self.bucket < high))


@dataclass(frozen=True)
class Other:
    """A face of which nothing is known, in a photo that is read when it is needed."""

    path: Path
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2 in pixels."""


def other_faces(dataset: Path, least: float = 40.0) -> list[Other]:
    """The faces in photos of the dataset that are not those of :func:`load_faces`, many of them really masked.

    Args:
        dataset: folder with ``faces.jsonl``.
        least: width of the narrowest face taken, pixels.

    Raises:
        ConvertError: ``faces.jsonl`` is missing or damaged.
    """
    found = []
    for file, faces in detections.read(dataset / detections.NAME):
        if file.startswith("gender/"):
            continue
        for x1, y1, x2, y2 in (face.box for face in faces):
            if x2 - x1 >= least and y2 - y1 >= least:
                found.append(Other(dataset / file, (x1, y1, x2, y2)))
    return found


def load_faces(dataset: Path, cache: Path) -> Faces:
    """Read the gender photos of a dataset folder; the first time they are decoded into ``cache``, and searched.

    They are again when a photo was written anew, or the folder moved.

    Raises:
        ConvertError: a file is missing or unreadable, the manifest has no gender photos, or ``cache`` has no room
            for them.
    """
    rows = _manifest(dataset)
    found = dict(detections.read(dataset / detections.NAME, containing='"gender/'))
    cache.mkdir(parents=True, exist_ok=True)
    pixels_file, scales_file = cache / "gender_pixels.npy", cache / "gender_scales.npy"
    stamp_file = cache / "gender_files.txt"
    stamp = _stamp(dataset, rows)
    if not (pixels_file.is_file() and stamp_file.is_file() and stamp_file.read_text() == stamp):
        # First and last: an interrupted run leaves no stamp, least of all that of the photos it wrote over.
        stamp_file.unlink(missing_ok=True)
        _decode(dataset, rows, pixels_file, scales_file)
        part = stamp_file.with_suffix(".part")
        part.write_text(stamp)
        part.replace(stamp_file)
    pixels = np.load(pixels_file, mmap_mode="r")
    scales = np.load(scales_file)
    boxes = np.empty((len(rows), 4), np.float32)
    landmarks = np.full((len(rows), 5, 2), np.nan, np.float32)
    for index, row in enumerate(rows):
        face = _main_face(found.get(row["file"], []), CACHE_SIDE / scales[index])
        if face is None:
            boxes[index] = _USUAL_BOX
        else:
            boxes[index] = np.array(face.box, np.float32) * np.tile(scales[index], 2)
            if face.landmarks:
                landmarks[index] = np.array(face.landmarks, np.float32) * scales[index]
    return Faces(
        files=[row["file"] for row in rows],
        pixels=pixels,
        boxes=boxes,
        device_boxes=device_boxes(pixels, boxes, cache),
        landmarks=landmarks,
        sex=np.array([SEXES.index(row["label"]) for row in rows]),
        age=np.array([AGES.index(_AGE_NAMES.get(row["age"], row["age"])) for row in rows]),
        race=np.array([RACES.index(row["race"]) for row in rows]),
        bucket=_buckets(rows, pixels),
    )


def _manifest(dataset: Path) -> list[dict[str, str]]:
    path = dataset / "manifest.csv"
    if not path.is_file():
        raise ConvertError(f"{path} is missing; --dataset must hold manifest.csv")
    columns = ("file", "task", "label", "age", "race", "group")
    rows = [row for row in tables.rows(path, columns) if row["task"] == "gender"]
    if not rows:
        raise ConvertError(f"{path} names no photo with task 'gender'")
    for row in rows:
        age = _AGE_NAMES.get(row.get("age", ""), row.get("age"))
        if row.get("label") not in SEXES or age not in AGES or row.get("race") not in RACES:
            raise ConvertError(f"{path}: {row.get('file')} has a label, age or race that is not one of FairFace's")
    return rows


def _stamp(dataset: Path, rows: list[dict[str, str]]) -> str:
    """A hash of which photos they are, in their order: where they lie, their sizes and when they were written.

    Raises:
        ConvertError: a photo is not there.
    """
    digest = hashlib.sha256()
    for path in (dataset.absolute() / row["file"] for row in rows):
        try:
            status = path.stat()
        except OSError as error:
            raise ConvertError(f"{path}: can't be read: {error.strerror}") from error
        # No name holds a zero byte: no two lists of photos make the same bytes.
        digest.update(os.fsencode(path) + f"\0{status.st_size} {status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _main_face(faces: list[Found], size: NDArray[np.float64]) -> Found | None:
    """The face the photo is of: the largest whose box holds the middle of the photo (``size``: width, height)."""
    x, y = size / 2
    holding = [f for f in faces if f.box[0] <= x <= f.box[2] and f.box[1] <= y <= f.box[3]]
    return max(holding, key=lambda f: f.box[2] - f.box[0], default=None)


def _decode(dataset: Path, rows: list[dict[str, str]], pixels_file: Path, scales_file: Path) -> None:
    shape = (len(rows), CACHE_SIDE, CACHE_SIDE, 3)
    pixels = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]  # numpy leaves it untyped
        pixels_file, mode="w+", dtype=np.uint8, shape=shape
    )
    _reserve(pixels_file)
    scales = np.empty((len(rows), 2))
    for index, row in enumerate(rows):
        image = images.read(dataset / row["file"])
        height, width = image.shape[:2]
        scales[index] = CACHE_SIDE / width, CACHE_SIDE / height
        if (height, width) != (CACHE_SIDE, CACHE_SIDE):
            image = np.asarray(cv2.resize(image, (CACHE_SIDE, CACHE_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        pixels[index] = image
    pixels.flush()
    np.save(scales_file, scales)
    _log.info("decoded %d photos into %s", len(rows), pixels_file)


def _reserve(file: Path) -> None:
    """Take the room of a file that is a hole so far: a write to its mapping that finds none kills the process.

    Raises:
        ConvertError: there is not so much room.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    length = file.stat().st_size
    try:
        with file.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, length)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):  # the file system cannot reserve
            return
        file.unlink()
        raise ConvertError(f"no room for {length} bytes in {file.parent}: {error.strerror}") from error


def _buckets(rows: list[dict[str, str]], pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """0–99 per photo, from a hash of its group: of the manifest, or of the photos that look the same."""
    hashes = np.array([_difference_hash(image) for image in pixels], dtype=np.uint64)
    leader = _leaders(hashes)
    buckets = np.empty(len(rows), np.int64)
    for index, row in enumerate(rows):
        key = row["group"] or rows[leader[index]]["file"]
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        buckets[index] = int.from_bytes(digest[:4], "big") % 100
    return buckets


def _difference_hash(image: NDArray[np.uint8]) -> int:
    """64 bits: whether each cell of a 9×8 thumbnail is darker than its right neighbour."""
    small = cv2.cvtColor(cv2.resize(image, (9, 8), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    bits = np.packbits(small[:, :-1] < small[:, 1:])
    return int.from_bytes(bits.tobytes(), "big")


def _leaders(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each photo the first one that looks the same, itself if none does."""
    ones = np.array([bin(value).count("1") for value in range(1 << 16)], np.uint8)
    leader = np.arange(len(hashes))
    for index in range(1, len(hashes)):
        parts = (hashes[:index] ^ hashes[index]).view(np.uint16).reshape(-1, 4)
        distance = ones[parts].sum(axis=1)
        nearest = int(distance.argmin())
        if distance[nearest] <= _SAME_PHOTO_BITS:
            leader[index] = leader[nearest]
    return leader

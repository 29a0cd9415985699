"""What there is to train on: single faces in labelled folders, and faces boxed in scenes.

A dataset is any folder with ``with_mask/`` and ``without_mask/`` and, if there is a third class, ``incorrect/``.
Three files beside it (in the folder or its parent) are used when they are there:

* ``manifest.csv``: ``file, label, source, synthetic, orig, group`` per photo,
* ``faces.jsonl``: ``{"file", "faces": [{"box", "landmarks", "score"}]}`` per photo, in pixels,
* for scenes, ``annotations.jsonl``: ``{"file", "faces": [{"box", "label"}], "source", "orig"}``.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convert.errors import ConvertError

#: The network's outputs, in order.
LABELS = ("mask", "no_mask", "incorrect")
#: Folder names, and the labels in annotations, of the three classes.
FOLDERS = ("with_mask", "without_mask", "incorrect")
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
#: Of the photos' groups, the part kept apart to measure on.
VALIDATION_PART = 0.15

Box = tuple[float, float, float, float]
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Record:
    """One face in one photo.

    ``box`` is in pixels of the photo, or None if no detector found the face and the photo is taken whole;
    ``landmarks`` are the subject's right eye, left eye, nose tip, right and left mouth corner. ``origin`` is
    ``single``, ``scene`` or ``bare`` (additional faces without a mask). ``group`` ties near-duplicates
    together, and the faces of one photo.
    """

    path: Path
    label: int
    box: Box | None
    landmarks: Points | None
    source: str
    origin: str
    synthetic: bool
    group: str
    detector_box: Box | None = None


def in_validation(group: str, part: float = VALIDATION_PART) -> bool:
    """Whether a group is measured on, never trained on; depends on its name alone."""
    digest = hashlib.sha256(group.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < part


def read_singles(folder: Path) -> list[Record]:
    """The single faces of a dataset.

    Raises:
        ConvertError: the folder lacks a class, or holds no image.
    """
    if not folder.is_dir():
        raise ConvertError(f"{folder} is not a folder")
    missing = [name for name in FOLDERS[:2] if not (folder / name).is_dir()]
    if missing:
        raise ConvertError(f"{folder} has no folder {' or '.join(missing)}; one folder per class is needed")
    manifest = {Path(row["file"]).parts[-2:]: row for row in _rows(_beside(folder, "manifest.csv"))}
    faces = _faces(_beside(folder, "faces.jsonl"))
    records = []
    for label, name in enumerate(FOLDERS):
        for path in _images(folder / name):
            row = manifest.get((name, path.name), {})
            box, landmarks = _main_face(faces.get((name, path.name), ()))
            group = f"group:{row['group']}" if row.get("group") else f"file:{path.stem}"
            orig = Path(row.get("orig", "")).name
            synthetic = row.get("synthetic") == "1"
            if label == 2 and orig and not synthetic:
                group += f"|photo:{orig}"
            records.append(
                Record(path, label, box, landmarks, row.get("source") or folder.name, "single", synthetic, group)
            )
    if not records:
        raise ConvertError(f"{folder} holds no images")
    return records


def read_scenes(folder: Path, minimum_side: float = 20.0) -> list[Record]:
    """The labelled faces of the scenes whose shorter side is at least ``minimum_side`` pixels.

    Raises:
        ConvertError: there is no ``annotations.jsonl``, or one of its lines cannot be understood.
    """
    annotations = folder / "annotations.jsonl"
    if not annotations.is_file():
        raise ConvertError(f"{folder} has no annotations.jsonl")
    found = _faces(_beside(folder, "faces.jsonl"))
    records = []
    for number, scene in enumerate(_lines(annotations), 1):
        try:
            path = folder / "images" / scene["file"]
            group = f"photo:{Path(scene.get('orig') or scene['file']).name}"
            for face in scene["faces"]:
                box = _box(face["box"])
                if min(box[2] - box[0], box[3] - box[1]) < minimum_side:
                    continue
                match = _best_match(box, found.get(("images", path.name), ()))
                records.append(
                    Record(
                        path,
                        FOLDERS.index(face["label"]),
                        box,
                        match[1],
                        scene.get("source", folder.name),
                        "scene",
                        False,
                        group,
                        match[0],
                    )
                )
        except (KeyError, TypeError, ValueError) as error:
            raise ConvertError(f"{annotations}, line {number}: not an annotated scene ({error!r})") from error
    return records


def read_bare(folder: Path, limit: int) -> list[Record]:
    """At most ``limit`` faces from a folder tree of people without a mask, spread evenly over it.

    Only photos of which ``faces.jsonl`` knows exactly one face are taken, and none that the manifest lists as
    a single face too: it might be one to measure on.
    """
    faces = _faces(_beside(folder, "faces.jsonl"))
    rows = list(_rows(_beside(folder, "manifest.csv")))
    known = {Path(row["orig"]).name for row in rows if row["label"] in FOLDERS}
    taken = {Path(row["file"]).parts[-2:] for row in rows if Path(row["orig"]).name in known}
    paths = [
        path
        for path in _images(folder, deep=True)
        if len(faces.get((path.parent.name, path.name), ())) == 1 and (path.parent.name, path.name) not in taken
    ]
    step = max(len(paths) / limit, 1.0) if limit > 0 else 1.0
    chosen = [paths[int(index * step)] for index in range(min(limit, len(paths)))]
    records = []
    for path in chosen:
        box, landmarks = _main_face(faces[path.parent.name, path.name])
        records.append(Record(path, 1, box, landmarks, "bare", "bare", False, f"bare:{path.name}"))
    return records


def join_groups(records: Iterable[Record]) -> list[Record]:
    """Give all records that share a part of their group (``a|b``) one common group name."""
    records = list(records)
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for record in records:
        first, *others = record.group.split("|")
        for other in others:
            one, two = sorted((root(first), root(other)))
            parent[two] = one
    return [replace(record, group=root(record.group.split("|")[0])) for record in records]


def _beside(folder: Path, name: str) -> Path | None:
    for candidate in (folder / name, folder.parent / name):
        if candidate.is_file():
            return candidate
    return None


def _rows(path: Path | None) -> Iterator[dict[str, str]]:
    if path is not None:
        with path.open(newline="", encoding="utf-8") as stream:
            yield from csv.DictReader(stream)


def _lines(path: Path | None) -> Iterator[dict[str, Any]]:
    if path is not None:
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                if line.strip():
                    yield json.loads(line)


def _faces(path: Path | None) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    return {Path(entry["file"]).parts[-2:]: entry["faces"] for entry in _lines(path)}


def _images(folder: Path, deep: bool = False) -> list[Path]:
    if not folder.is_dir():
        return []
    found = folder.rglob("*") if deep else folder.iterdir()
    return sorted(path for path in found if path.suffix.lower() in IMAGE_SUFFIXES)


def _box(values: Iterable[float]) -> Box:
    x1, y1, x2, y2 = (float(value) for value in values)
    return x1, y1, x2, y2


def _main_face(faces: Iterable[dict[str, Any]]) -> tuple[Box | None, Points | None]:
    best = max(faces, key=lambda face: _area(_box(face["box"])), default=None)
    if best is None:
        return None, None
    return _box(best["box"]), tuple((float(x), float(y)) for x, y in best["landmarks"])


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def _best_match(box: Box, faces: Iterable[dict[str, Any]]) -> tuple[Box | None, Points | None]:
    """The detected face that covers the same head: most of it inside ``box``, and not much smaller."""
    for face in sorted(faces, key=lambda face: -_area(_box(face["box"]))):
        other = _box(face["box"])
        shared = _area((max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3])))
        if shared > 0.6 * _area(other) and shared > 0.3 * _area(box):
            return other, tuple((float(x), float(y)) for x, y in face["landmarks"])
    return None, None

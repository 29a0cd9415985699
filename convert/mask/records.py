"""What there is to train on: single faces in labelled folders, and faces boxed in scenes.

A dataset is any folder with ``with_mask/`` and ``without_mask/`` and, if there is a third class, ``incorrect/``.
Three files beside it (in the folder or its parent) are used when they are there; of one in the parent that tells
of several folders, what it says of this one:

* ``manifest.csv``: ``file, label, source, synthetic, orig, group`` per photo,
* ``faces.jsonl``, where the faces are (:mod:`convert.detections`); single faces in photos that it does not tell of
  are found by the bundled detector (:mod:`convert.mask.find`),
* for scenes, ``annotations.jsonl``: ``{"file", "faces": [{"box", "label"}], "source", "orig"}``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from convert import detections, tables
from convert.detections import Box, Found, Points
from convert.errors import ConvertError
from convert.mask.folds import hashed
from edge_agent import photos
from edge_agent.types import LABELS

#: The classes' numbers: their places in the network's outputs, which :data:`edge_agent.types.LABELS` names.
MASK, NO_MASK, INCORRECT = range(len(LABELS))
#: Folder names, and the labels in annotations, of the three classes.
FOLDERS = ("with_mask", "without_mask", "incorrect")
#: Of the photos' groups, the part kept apart to measure on.
VALIDATION_PART = 0.15


@dataclass(frozen=True)
class Record:
    """One face in one photo.

    ``box`` is in pixels of the photo; None if no detector found the face (yet): the photo is then taken whole;
    ``landmarks`` are the subject's right eye, left eye, nose tip, right and left mouth corner. ``origin`` is
    ``single``, ``scene`` or ``bare`` (additional faces without a mask). ``group`` ties near-duplicates
    together, and the faces of one photo. ``place`` is that of a scene's face in its annotation, from 0 on.
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
    place: int = 0


def in_validation(group: str) -> bool:
    """Whether a group is measured on, never trained on; depends on its name alone."""
    return hashed(group) / 2**64 < VALIDATION_PART


def read_singles(folder: Path) -> list[Record]:
    """The single faces of a dataset.

    Raises:
        ConvertError: the folder lacks a class, or holds no image, or a file beside it cannot be understood.
    """
    if not folder.is_dir():
        raise ConvertError(f"{folder} is not a folder")
    missing = [name for name in FOLDERS[:2] if not (folder / name).is_dir()]
    if missing:
        raise ConvertError(f"{folder} has no folder {' or '.join(missing)}; one folder per class is needed")
    listed = beside(folder, "manifest.csv")
    rows = tables.rows(listed, ("file",)) if listed else []
    of_it = _own(folder, listed)
    manifest = {Path(row["file"]).parts[-2:]: row for row in rows if of_it(row["file"])}
    faces = _faces(folder)
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
                Record(path, label, box, landmarks, row.get("source") or _shown(folder), "single", synthetic, group)
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
    found = _faces(folder)
    records = []
    for number, scene in tables.lines(annotations):
        try:
            path = folder / "images" / scene["file"]
            group = f"photo:{Path(scene.get('orig') or scene['file']).name}"
            for place, face in enumerate(scene["faces"]):
                box = _box(face["box"])
                if min(box[2] - box[0], box[3] - box[1]) < minimum_side:
                    continue
                match = _best_match(box, found.get(("images", path.name), ()))
                records.append(
                    Record(
                        path,
                        FOLDERS.index(face["label"]),
                        box,
                        match.landmarks if match else None,
                        scene.get("source") or _shown(folder),
                        "scene",
                        False,
                        group,
                        match.box if match else None,
                        place,
                    )
                )
        except (KeyError, TypeError, ValueError) as error:
            raise ConvertError(f"{annotations}, line {number}: not an annotated scene ({error!r})") from error
    return records


def read_bare(folder: Path, limit: int, *, others: bool = False) -> list[Record]:
    """At most ``limit`` faces from a folder tree of people without a mask, spread evenly over it.

    ``others`` are those that are left when so many are taken: to measure on. The photos are told apart by their
    names alone: two of one person may be on both sides.

    Only photos of which ``faces.jsonl`` knows exactly one face are taken, and none that the manifest lists as
    a single face too: it might be one to measure on.

    Raises:
        ConvertError: there is no such folder, no ``faces.jsonl`` in it or in the one above, or not one such photo,
            or none that is left; or a file beside it cannot be understood.
    """
    if not folder.is_dir():
        raise ConvertError(f"{folder} is not a folder")
    detected = beside(folder, detections.NAME)
    if detected is None:
        raise ConvertError(
            f"neither {folder} nor the folder above has a faces.jsonl; it has to say where the faces of --bare are"
        )
    faces = _faces(folder, deep=True)
    listed = beside(folder, "manifest.csv")
    rows = tables.rows(listed, ("file", "label", "orig")) if listed else []
    known = {Path(row["orig"]).name for row in rows if row["label"] in FOLDERS}
    taken = {Path(row["file"]).parts[-2:] for row in rows if Path(row["orig"]).name in known}
    paths = [
        path
        for path in _images(folder, deep=True)
        if len(faces.get((path.parent.name, path.name), ())) == 1 and (path.parent.name, path.name) not in taken
    ]
    if not paths:
        raise ConvertError(f"{folder} has no photo to add: none of which {detected} knows exactly one face")
    step = max(len(paths) / limit, 1.0) if limit > 0 else 1.0
    spread = {int(index * step) for index in range(min(limit, len(paths)))}
    chosen = [path for index, path in enumerate(paths) if (index in spread) != others]
    records = []
    for path in chosen:
        box, landmarks = _main_face(faces[path.parent.name, path.name])
        records.append(Record(path, 1, box, landmarks, "bare", "bare", False, f"bare:{path.name}"))
    if others and not records:
        raise ConvertError(
            f"of the {len(paths)} photos in {folder} that show one face --bare-limit {limit} leaves none; give the "
            "number that the training took"
        )
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


def beside(folder: Path, name: str) -> Path | None:
    """The file ``name`` in ``folder`` or in the folder above; None if neither has it."""
    for candidate in (folder / name, folder.parent / name):
        if candidate.is_file():
            return candidate
    return None


def _shown(folder: Path) -> str:
    """A folder's name that can be printed and drawn, even if it is not UTF-8."""
    return os.fsencode(folder.name or folder.resolve().name).decode("utf-8", "replace")


def known(folder: Path) -> Container[tuple[str, ...]]:
    """The photos of a dataset of which ``faces.jsonl`` says what is in them, be it nothing: class folder and name.

    Raises:
        ConvertError: a line of it cannot be understood.
    """
    return _faces(folder).keys()


def _faces(folder: Path, deep: bool = False) -> dict[tuple[str, ...], list[Found]]:
    """Last two parts of a photo's name to the faces that the ``faces.jsonl`` beside ``folder`` has in it."""
    path = beside(folder, detections.NAME)
    faces: dict[tuple[str, ...], list[Found]] = {}
    of_it = _own(folder, path, deep)
    for file, found in detections.read(path) if path else ():
        if of_it(file):
            faces[Path(file).parts[-2:]] = found
    return faces


def _own(folder: Path, listing: Path | None, deep: bool = False) -> Callable[[str], bool]:
    """Tells which of the names in a listing beside ``folder`` can be of photos in it.

    A listing in the folder above may tell of the folder's neighbours, whose photos have the same last two parts. A
    name of two parts does not say of whom it is, and is believed. With ``deep`` the photos may lie anywhere below
    ``folder``.
    """
    if listing is None or listing.parent == folder:
        return lambda file: True
    names = {folder.name, folder.resolve().name}

    def of_it(file: str) -> bool:
        parts = Path(file).parts
        return len(parts) < 3 or not names.isdisjoint(parts[:-1] if deep else parts[-3:-2])

    return of_it


def _images(folder: Path, deep: bool = False) -> list[Path]:
    if not folder.is_dir():
        return []
    found = folder.rglob("*") if deep else folder.iterdir()
    return sorted(path for path in found if path.suffix.lower() in photos.SUFFIXES)


def _box(values: Iterable[float]) -> Box:
    x1, y1, x2, y2 = (float(value) for value in values)
    return x1, y1, x2, y2


def _main_face(faces: Iterable[Found]) -> tuple[Box | None, Points | None]:
    best = max(faces, key=lambda face: _area(face.box), default=None)
    return (best.box, best.landmarks) if best else (None, None)


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def _best_match(box: Box, faces: Iterable[Found]) -> Found | None:
    """The detected face that covers the same head: most of it inside ``box``, and not much smaller."""
    for face in sorted(faces, key=lambda face: -_area(face.box)):
        other = face.box
        shared = _area((max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3])))
        if shared > 0.6 * _area(other) and shared > 0.3 * _area(box):
            return face
    return None

"""What the training data says of each photo: faces to find, faces to leave alone, and which side of the
split it is on.

One convention for boxes: the face, from the hairline or the middle of the forehead to the chin, ear to ear.
Sources that box the whole head (macwinwin) get the face that a detector found inside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert import tables
from convert.detections import NAME, read
from convert.errors import ConvertError

Boxes = NDArray[np.float32]

HEAD_SOURCES = frozenset({"macwinwin"})
SURE, MAYBE = 0.7, 0.3
"""Detector scores from which an unlabelled face counts as a face, and from which it is at least not background."""


@dataclass(frozen=True)
class Photo:
    """One photo: `boxes` [N, 4] to find and `ignore` [K, 4] neither to find nor to punish, x1 y1 x2 y2 in
    its pixels.
    """

    path: Path
    boxes: Boxes
    ignore: Boxes


@dataclass(frozen=True)
class Scene:
    """One scene as its authors labelled it, for evaluation: boxes [N, 4], labels [N], faces nobody labelled
    [K, 4].
    """

    path: Path
    boxes: Boxes
    labels: tuple[str, ...]
    unlabelled: Boxes
    source: str


def held_out(origin: str, share: float = 0.15) -> bool:
    """Whether a photo is kept for evaluation: by a hash of where it came from, so all crops of it go one way."""
    name = Path(origin).name.encode("utf-8", "surrogateescape")
    return int(hashlib.sha256(name).hexdigest()[:8], 16) / 2**32 < share


def overlaps(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """IoU of every box of `a` [N, 4] with every one of `b` [M, 4], as [N, M]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(-1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(-1), (b[:, 2:] - b[:, :2]).prod(-1)
    return np.asarray(inter / np.maximum(area_a[:, None] + area_b[None] - inter, 1e-6), np.float32)


def _boxes(values: Sequence[Sequence[float]]) -> Boxes:
    return np.asarray(values, np.float32).reshape(-1, 4)


def _read_detections(dataset: Path) -> dict[str, tuple[Boxes, NDArray[np.float32]]]:
    return {
        file: (_boxes([face.box for face in faces]), np.asarray([face.score for face in faces], np.float32))
        for file, faces in read(dataset / NAME, scored=True)
    }


def _face_in_head(head: Boxes, detected: Boxes) -> Boxes:
    """The detected face inside a head's box [4], or the box's usual part (medians over the data)."""
    if len(detected):
        iou = overlaps(head[None], detected)[0]
        if iou.max() > 0.3:
            return np.asarray(detected[int(iou.argmax())], np.float32)
    width, height = head[2] - head[0], head[3] - head[1]
    middle = 0.5 * (head[0] + head[2])
    bottom = head[3] - 0.03 * height
    return np.asarray([middle - 0.39 * width, bottom - 0.83 * height, middle + 0.39 * width, bottom], np.float32)


def _training_photo(path: Path, boxes: Boxes, heads: bool, detected: Boxes, scores: NDArray[np.float32]) -> Photo:
    free = np.ones(len(detected), bool)
    if len(boxes) and len(detected):
        free = overlaps(detected, boxes).max(1) < 0.3
    if heads and len(boxes):
        boxes = np.stack([_face_in_head(head, detected) for head in boxes])
    boxes = np.concatenate((boxes, detected[free & (scores >= SURE)]))
    return Photo(path, boxes, detected[free & (scores >= MAYBE) & (scores < SURE)])


@dataclass(frozen=True)
class Dataset:
    """Training scenes and single faces (by class), and the scenes held out."""

    scenes: list[Photo]
    singles: dict[str, list[Photo]]
    evaluation: list[Scene]


def read_scenes(annotations: Path, images: Path, detections: dict[str, tuple[Boxes, NDArray[np.float32]]]) -> list[
    tuple[str, Scene, Photo]
]:  # fmt: skip
    """Every scene as (origin, for evaluation, for training).

    Raises:
        ConvertError: a line cannot be understood.
    """
    scenes = []
    for number, entry in tables.lines(annotations):
        try:
            boxes = _boxes([face["box"] for face in entry["faces"]])
            labels = tuple(face["label"] for face in entry["faces"])
            path, source = images / entry["file"], entry.get("source", "")
        except (KeyError, TypeError, ValueError) as error:
            raise ConvertError(f"{annotations}, line {number}: not an annotated scene ({error!r})") from error
        nothing = (_boxes([]), np.zeros(0, np.float32))
        detected, scores = detections.get(f"scenes/images/{entry['file']}", nothing)
        photo = _training_photo(path, boxes, source in HEAD_SOURCES, detected, scores)
        free = detected[overlaps(detected, boxes).max(1) < 0.3] if len(boxes) and len(detected) else detected
        scenes.append((entry.get("orig") or entry["file"], Scene(path, boxes, labels, free, source), photo))
    return scenes


def read_dataset(dataset: Path, *, share: float = 0.15) -> Dataset:
    """Read a data folder (scenes/, mask/, gender/, faces.jsonl, manifest.csv) and split it by photo.

    Raises:
        ConvertError: a file is missing or cannot be understood.
    """
    for needed in (NAME, "manifest.csv", "scenes/annotations.jsonl"):
        if not (dataset / needed).is_file():
            raise ConvertError(f"{dataset / needed} is missing; give the folder that holds it with --dataset")
    detections = _read_detections(dataset)
    scenes = read_scenes(dataset / "scenes/annotations.jsonl", dataset / "scenes/images", detections)
    singles: dict[str, list[Photo]] = {"with_mask": [], "without_mask": [], "incorrect": [], "fairface": []}
    rows = _manifest(dataset / "manifest.csv")
    kept_aside = _groups_held_out(rows, share)
    for row in rows:
        if row["task"] == "mask" and row["group"] in kept_aside:
            continue
        detected, scores = detections.get(row["file"], (_boxes([]), np.zeros(0, np.float32)))
        if not len(scores) or scores.max() < 0.5:
            continue
        label = row["label"] if row["task"] == "mask" else "fairface"
        if label not in singles:
            raise ConvertError(f"{dataset / 'manifest.csv'}: {row['file']} has the unknown label '{label}'")
        faces, rest = detected[scores >= 0.5], detected[scores < 0.5]
        singles[label].append(Photo(dataset / row["file"], faces, rest))
    return Dataset(
        scenes=[photo for origin, _, photo in scenes if not held_out(origin, share)],
        singles=singles,
        evaluation=[scene for origin, scene, _ in scenes if held_out(origin, share)],
    )


def singles_held_out(manifest: Path, *, share: float = 0.15) -> frozenset[str]:
    """The single faces that the face net is not trained on, as `class/file`."""
    rows = _manifest(manifest)
    groups = _groups_held_out(rows, share)
    kept = (Path(row["file"]) for row in rows if row["task"] == "mask" and row["group"] in groups)
    return frozenset(f"{path.parent.name}/{path.name}" for path in kept)


def _manifest(path: Path) -> list[dict[str, str]]:
    return tables.rows(path, ("file", "task", "label", "orig", "group"))


def _groups_held_out(rows: Sequence[dict[str, str]], share: float) -> set[str]:
    """Groups of near-duplicate single faces of which one comes from a photo that is held out."""
    return {
        row["group"] for row in rows if row["task"] == "mask" and held_out(row["orig"].split("+")[-1], share)
    }


def evaluation_scenes(folder: Path, *, everything: bool = False, share: float = 0.15) -> list[Scene]:
    """The held-out scenes of a folder with annotations.jsonl and images/, or all of them.

    Detections of another detector (faces.jsonl in the folder above, if there) tell which faces nobody labelled.

    Raises:
        ConvertError: the folder has no annotations.jsonl, or one that cannot be understood.
    """
    annotations = folder / "annotations.jsonl"
    if not annotations.is_file():
        raise ConvertError(f"{annotations} is missing; give the folder that holds it and images/ with --scenes")
    detections = _read_detections(folder.parent) if (folder.parent / NAME).is_file() else {}
    scenes = read_scenes(annotations, folder / "images", detections)
    return [scene for origin, scene, _ in scenes if everything or held_out(origin, share)]

"""A cache of face patches: each face with room around it, small, decoded and ready to be jittered.

Decoding a scene for each of its faces in each epoch would cost more than the training step. The patches are
kept in one flat array on disk (memory-mapped, so worker threads share it) with an index beside it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from convert import images
from convert.detections import Box, Points
from convert.errors import ConvertError
from convert.mask.records import Record
from convert.progress import track
from edge_agent.vision.crops import face_crop

_log = logging.getLogger(__name__)

#: Room kept around a face, in box sides: enough for every jitter of box and margin.
ROOM = 0.55
#: Longest side of a stored patch in pixels; the box takes about half of it.
LONGEST = 184


@dataclass(frozen=True)
class Patch:
    """Where a face lies in its patch (``box`` and ``landmarks`` in patch pixels) and where it came from.

    ``side`` is the shorter side of the face's box in its photo, in pixels; ``detector_box`` is the box a face
    detector put on the same face, where it found it and the labelled box is another; ``place`` is its record's.
    """

    height: int
    width: int
    offset: int
    box: Box
    detector_box: Box | None
    landmarks: Points | None
    label: int
    source: str
    origin: str
    synthetic: bool
    group: str
    side: float
    file: str
    place: int = 0


class PatchSet(Sequence[Patch]):
    """The patches of a dataset; ``pixels(i)`` is the i-th as ``(height, width, 3)`` uint8 BGR."""

    def __init__(self, patches: list[Patch], data: NDArray[np.uint8]) -> None:
        self._patches = patches
        self._data = data

    def __len__(self) -> int:
        return len(self._patches)

    def __getitem__(self, index: int) -> Patch:  # type: ignore[override]  # no slices
        return self._patches[index]

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """The patch's pixels, a view that must not be written to."""
        patch = self._patches[index]
        end = patch.offset + patch.height * patch.width * 3
        return self._data[patch.offset : end].reshape(patch.height, patch.width, 3)

    def relabelled(self, patches: list[Patch]) -> PatchSet:
        """The same pixels under other descriptions, one for one."""
        return PatchSet(patches, self._data)


def stamp(records: Sequence[Record]) -> str:
    """A hash of everything that decides what ``build`` makes of ``records``, but for the photos' pixels."""
    digest = hashlib.sha256(f"{ROOM} {LONGEST}".encode())
    for record in records:
        digest.update(json.dumps(asdict(record) | {"path": str(record.path.absolute())}).encode())
    return digest.hexdigest()


def build(records: Sequence[Record], folder: Path) -> PatchSet:
    """Cut the patches of ``records`` and store them in ``folder`` (``patches.bin``, ``patches.jsonl``).

    Photos that cannot be decoded, and faces whose box holds nothing of their photo, are left out with a warning.
    If it is stopped, what was stored before is still there and whole.

    Raises:
        ConvertError: not a single face could be cut.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pixels_part, index_part = folder / "patches.bin.part", folder / "patches.jsonl.part"
    patches: list[Patch] = []
    offset = 0
    image_path: Path | None = None
    image: NDArray[np.uint8] | None = None
    with pixels_part.open("wb") as stream:
        for record in track(records, "cutting faces"):
            if record.path != image_path:
                image_path, image = record.path, read_image(record.path)
            if image is None or face_box(record, image) is None:
                continue
            pixels, patch = cut(image, record, offset)
            stream.write(pixels.tobytes())
            offset += pixels.size
            patches.append(patch)
    if not patches:
        raise ConvertError("none of the dataset's faces could be cut; the warnings say why")
    with index_part.open("w", encoding="utf-8") as index:
        for patch in patches:
            index.write(json.dumps(asdict(patch)) + "\n")
    # Never new pixels under an old index: between the two there is none.
    (folder / "patches.jsonl").unlink(missing_ok=True)
    pixels_part.replace(folder / "patches.bin")
    index_part.replace(folder / "patches.jsonl")
    return load(folder)


def load(folder: Path) -> PatchSet:
    """Open what ``build`` stored.

    Raises:
        ConvertError: the folder holds no cache.
    """
    index = folder / "patches.jsonl"
    if not index.is_file():
        raise ConvertError(f"{folder} holds no patches.jsonl")
    patches = []
    for line in index.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        for name in ("box", "detector_box"):
            entry[name] = tuple(entry[name]) if entry[name] else None
        if entry["landmarks"]:
            entry["landmarks"] = tuple(tuple(point) for point in entry["landmarks"])
        patches.append(Patch(**entry))
    return PatchSet(patches, np.memmap(folder / "patches.bin", dtype=np.uint8, mode="r"))


def read_image(path: Path) -> NDArray[np.uint8] | None:
    """Decode a photo to BGR uint8; None, with a warning, if it cannot be."""
    try:
        return images.read(path)
    except ConvertError as error:
        _log.warning("%s; left out", error)
        return None


def face_box(record: Record, image: NDArray[np.uint8]) -> Box | None:
    """The box to cut a face at in its photo; None, with a warning, if there is nothing in it to be seen."""
    height, width = image.shape[:2]
    box = record.box or whole_image_box(width, height)
    inside = box[0] < width and box[1] < height and box[2] > 0 and box[3] > 0
    if inside and box[0] < box[2] and box[1] < box[3] and all(math.isfinite(value) for value in box):
        return box
    _log.warning(
        "%s: the box %s has no area or lies outside the %d x %d pixels; left out", record.path, box, width, height
    )
    return None


def whole_image_box(width: int, height: int) -> Box:
    """The box assumed when no detector found a face in a photo of a single face."""
    return 0.08 * width, 0.08 * height, 0.92 * width, 0.92 * height


def cut(image: NDArray[np.uint8], record: Record, offset: int = 0) -> tuple[NDArray[np.uint8], Patch]:
    """Cut one face with its room from a decoded photo (BGR uint8) and say where it lies in the patch.

    Its box must be one that ``face_box`` accepts.
    """
    height, width = image.shape[:2]
    box = record.box or whole_image_box(width, height)
    box_width, box_height = box[2] - box[0], box[3] - box[1]
    left, top = int(box[0] - ROOM * box_width), int(box[1] - ROOM * box_height)
    right, bottom = int(box[2] + ROOM * box_width) + 1, int(box[3] + ROOM * box_height) + 1
    inner = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    over = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    region = cv2.copyMakeBorder(inner, *over, borderType=cv2.BORDER_REPLICATE)
    scale = min(LONGEST / max(region.shape[:2]), 1.0)
    if scale < 1.0:
        size = (max(round(region.shape[1] * scale), 1), max(round(region.shape[0] * scale), 1))
        region = cv2.resize(region, size, interpolation=cv2.INTER_AREA)

    def moved(values: Sequence[float]) -> tuple[float, ...]:
        return tuple((v - (top if i % 2 else left)) * scale for i, v in enumerate(values))

    landmarks = tuple(moved(point) for point in record.landmarks) if record.landmarks else None
    patch = Patch(
        height=region.shape[0],
        width=region.shape[1],
        offset=offset,
        box=moved(box),  # type: ignore[arg-type]
        detector_box=moved(record.detector_box) if record.detector_box else None,  # type: ignore[arg-type]
        landmarks=landmarks,  # type: ignore[arg-type]  # pairs stay pairs
        label=record.label,
        source=record.source,
        origin=record.origin,
        synthetic=record.synthetic,
        group=record.group,
        side=min(box_width, box_height),
        file=record.path.name,
        place=record.place,
    )
    return np.asarray(region, dtype=np.uint8), patch


def central_crops(patches: PatchSet, indices: list[int], size: int) -> NDArray[np.uint8]:
    """The crops the device would cut, ``(count, size, size, 3)`` uint8 RGB."""
    crops = np.empty((len(indices), size, size, 3), dtype=np.uint8)
    for row, index in enumerate(indices):
        face_crop(patches.pixels(index), patches[index].box, size, out=crops[row])
    return crops

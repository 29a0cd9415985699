"""Portraits from a folder of labelled single faces, the one that the mask network is trained from or another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.scenes.portraits import Portrait
from convert.faces.records import singles_held_out
from convert.mask import doubles, faces, reviewed
from convert.mask.records import in_validation
from edge_agent.types import LABELS, Box, Verdict


def folder_portraits(
    folder: Path,
    *,
    validation_only: bool = True,
    least_face: float = 60.0,
    least_margin: float = 0.12,
) -> Iterator[Portrait]:
    """Photos that show one whole face with some room around it and no painted mask.

    Where a look at a photo found its label wrong (:mod:`convert.mask.reviewed`), the film's truth is what was seen.

    Args:
        folder: has ``with_mask/``, ``without_mask/`` and, perhaps, ``incorrect/``; face boxes come from the
            ``faces.jsonl`` in it or beside it, or are those that the bundled face net finds.
        validation_only: by the manifest in the folder or beside it leave out the photos that the mask network or
            the face network is trained on, or, without a manifest, those that ``convert train`` would train on.
        least_face: least height of the face in pixels of the photo.
        least_margin: least room between face and photo's edge, in fractions of the face's longer side.

    Raises:
        ConvertError: the folder lacks a class or holds no image.
    """
    manifests = (folder / "manifest.csv", folder.parent / "manifest.csv")
    manifest = next((path for path in manifests if path.is_file()), None)
    unseen = singles_held_out(manifest) if manifest else None
    looked_at = reviewed.read()
    for record in faces.found(faces.listed(folder, None), folder):
        name = f"{record.path.parent.name}/{record.path.name}"
        if record.box is None or record.synthetic:
            continue
        unknown = in_validation(record.group) and not doubles.is_double(record)
        if validation_only and not (unknown and (unseen is None or name in unseen)):
            continue
        worn = looked_at.get(name, LABELS[record.label])
        if worn == reviewed.DROP:
            continue
        image = cv2.imread(str(record.path), cv2.IMREAD_COLOR)
        if image is None:
            continue
        box = Box(*record.box)
        height, width = image.shape[:2]
        room = min(box.x1, box.y1, width - box.x2, height - box.y2) / max(box.width, box.height)
        if box.height >= least_face and room >= least_margin:
            yield Portrait(name, image.astype(np.uint8), box, Verdict(worn))

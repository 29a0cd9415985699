"""Boxes as the device's own face net finds them: for photos that come without any, and beside those they have."""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence
from dataclasses import replace

import numpy as np

from convert import images
from convert.errors import ConvertError
from convert.finder import Finder, nearest
from convert.mask.records import Record
from convert.progress import track

_log = logging.getLogger(__name__)


def boxes(records: Sequence[Record], known: Container[tuple[str, ...]] = ()) -> list[Record]:
    """The records with a box for each single face that has none: the largest one that the detector finds.

    Photos that are ``known`` (:func:`convert.mask.records.known`) stay as they are: another detector was asked.
    Photos in which it finds none keep None and are taken whole; one warning counts them. Landmarks are not found:
    the detector gives none.

    Raises:
        ModelError: the detector's files are missing or altered.
    """
    wanted = sum(_lacks(record, known) for record in records)
    if not wanted:
        return list(records)
    _log.info("looking for the face in each of %d photos that no faces.jsonl tells of", wanted)
    finder = Finder()
    done: list[Record] = []
    whole = 0
    for record in track(records, "finding faces"):
        if not _lacks(record, known):
            done.append(record)
            continue
        try:
            image = images.read(record.path)
        except ConvertError:  # said when the face is cut
            done.append(record)
            continue
        box = finder.largest(image)
        whole += box is None
        done.append(replace(record, box=box))
    if whole:
        _log.warning("no face was found in %d of %d photos; they are taken whole", whole, wanted)
    return done


def by_device(records: Sequence[Record]) -> list[Record]:
    """The records with the bundled detector's own box of the face as ``detector_box``, where it finds the face.

    The device cuts there; boxes that come with photos, or another detector's, end elsewhere.

    Raises:
        ModelError: the detector's files are missing or altered.
    """
    finder = Finder()
    done: list[Record] = []
    path, boxes = None, np.empty((0, 4), np.float32)
    for record in track(records, "finding faces as the device does"):
        if record.path != path:
            path = record.path
            try:
                boxes = finder.boxes(images.read(path))
            except ConvertError:  # said when the face is cut
                boxes = np.empty((0, 4), np.float32)
        near = None if record.box is None else nearest(boxes, np.array(record.box, np.float32))
        if near is not None:
            x1, y1, x2, y2 = (float(value) for value in near)
            record = replace(record, detector_box=(x1, y1, x2, y2))
        done.append(record)
    return done


def _lacks(record: Record, known: Container[tuple[str, ...]]) -> bool:
    unknown = (record.path.parent.name, record.path.name) not in known
    return record.origin == "single" and record.box is None and unknown

"""The patches of a training, cut once and kept as long as they are of the same dataset."""

from __future__ import annotations

import logging
from pathlib import Path

from convert.finder import fingerprint
from convert.mask import faces, find, patches
from convert.mask.records import read_bare

_log = logging.getLogger(__name__)


def patches_for(
    out: Path, dataset: Path, scenes: Path | None = None, bare: Path | None = None, bare_limit: int = 6000
) -> patches.PatchSet:
    """The patches in ``out/faces``, cut anew if they are not those of this dataset.

    Args:
        out: the training's folder.
        dataset, scenes: as for :func:`convert.mask.faces.read`.
        bare, bare_limit: as for :func:`convert.mask.records.read_bare`.

    Raises:
        ConvertError: the dataset cannot be used.
    """
    folder = out / "faces"
    records = faces.listed(dataset, scenes)
    if bare is not None:
        records += read_bare(bare, bare_limit)
    stamp, stamp_file = f"{patches.stamp(records)} {fingerprint()}", folder / "stamp"
    index = folder / "patches.jsonl"
    if index.is_file() and stamp_file.is_file() and stamp_file.read_text(encoding="utf-8") == stamp:
        return patches.load(folder)
    before = index.read_bytes() if index.is_file() else None
    if before is not None:
        _log.warning("%s holds the faces of another dataset, or nobody knows of which; they are cut anew", folder)
    stamp_file.unlink(missing_ok=True)
    built = patches.build(find.by_device(faces.found(records, dataset)), folder)
    doubted = out / "doubted.json"
    if before is not None and index.read_bytes() != before and doubted.is_file():
        # It names faces by their place in the cache.
        _log.warning("%s was of other faces and is removed", doubted)
        doubted.unlink()
    # Last: an interrupted run cuts again.
    part = folder / "stamp.part"
    part.write_text(stamp, encoding="utf-8")
    part.replace(stamp_file)
    return built

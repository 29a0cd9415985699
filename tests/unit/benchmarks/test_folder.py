"""Portraits for the made films from a folder that knows nothing but its three names."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edge_agent.types import Verdict

data = pytest.importorskip("skimage.data", reason="needs the test extra")

from benchmarks.scenes.folder import folder_portraits  # noqa: E402  # after the check for the extra
from convert.mask.faces import listed  # noqa: E402
from convert.mask.records import in_validation  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six times a face with room around it in each of two folders; no manifest and no boxes."""
    image = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)[:320, 60:380]
    for name in ("with_mask", "without_mask"):
        (tmp_path / name).mkdir()
        for number in range(6):
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), cv2.convertScaleAbs(image, beta=3 * number))
    return tmp_path


def test_faces_are_looked_for(folder: Path) -> None:
    found = list(folder_portraits(folder, validation_only=False))
    assert [portrait.worn for portrait in found] == [Verdict.MASK] * 6 + [Verdict.NO_MASK] * 6
    assert all(80 < portrait.box.height < 200 for portrait in found)


def test_what_a_training_would_take_is_kept_back(folder: Path) -> None:
    assert len(list(folder_portraits(folder))) < 12


def test_a_manifest_keeps_back_what_was_trained_on(folder: Path) -> None:
    names = [f"mask/{name}/{number}.png" for name in ("with_mask", "without_mask") for number in range(6)]
    rows = [f"{name},mask,{name.split('/')[1]},made,0,,{number}" for number, name in enumerate(names)]
    (folder / "manifest.csv").write_text("\n".join(["file,task,label,source,synthetic,orig,group", *rows]) + "\n")
    assert len(list(folder_portraits(folder))) < len(list(folder_portraits(folder, validation_only=False))) == 12


def test_badly_worn_masks_are_kept_back_by_the_groups_that_were_trained_on(folder: Path) -> None:
    """Their group is joined with that of the photo they were cut from, and the joined name decides."""
    image = cv2.imread(str(folder / "with_mask/0.png"))
    (folder / "incorrect").mkdir()
    rows = ["file,task,label,source,synthetic,orig,group"]
    for number in range(120):
        cv2.imwrite(str(folder / f"incorrect/{number}.png"), cv2.convertScaleAbs(image, beta=number % 40))
        rows.append(f"mask/incorrect/{number}.png,mask,incorrect,made,0,{number}.jpg,{number}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    trained = {record.path.name for record in listed(folder, None) if not in_validation(record.group)}
    shown = {Path(portrait.name).name for portrait in folder_portraits(folder) if "incorrect" in portrait.name}
    assert shown
    assert not shown & trained

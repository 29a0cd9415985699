"""The gender network on photos named as UTKFace's are; what is in them was made here."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.cli import main
from convert.errors import ConvertError
from convert.gender import utkface
from convert.gender.records import AGES

NAMES = ("1_1_0_2017.jpg.chip.jpg", "34_1_0_2017.jpg", "36_0_2_2017.jpg", "116_1_2017.jpg")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four portraits of one woman, of which one is called a man, a photo of nobody, and one with another name."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    portrait = cv2.cvtColor(data.astronaut()[:300, 60:380], cv2.COLOR_RGB2BGR)
    for name in NAMES:
        cv2.imwrite(str(tmp_path / name), portrait)
    cv2.imwrite(str(tmp_path / "50_0_0_2017.jpg"), np.full((100, 100, 3), 90, np.uint8))
    (tmp_path / "51_0_0_2017.jpg").write_bytes(b"damaged")
    cv2.imwrite(str(tmp_path / "61_3_2017.jpg"), portrait)
    return tmp_path


def test_names_tell_age_and_gender(photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = {photo.path.name: (photo.age, photo.sex) for photo in utkface.read(photos)}
    assert [found[name] for name in NAMES] == [(1, 1), (34, 1), (36, 0), (116, 1)]
    assert len(found) == 6
    assert "1 of 7 photos" in caplog.text


def test_ages_lie_in_the_groups_of_fairface() -> None:
    assert [utkface.age_group(age) for age in (0, 2, 3, 9, 10, 69, 70, 116)] == [
        "0-2", "0-2", "3-9", "3-9", "10-19", "60-69", "70+", "70+",
    ]  # fmt: skip


def test_it_is_measured_by_age_with_intervals(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate-gender", "--utkface", str(photos), "--json"]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert (report["dataset"], report["photos"], report["found"]) == ("UTKFace", 6, 4)
    assert "found in 4 of 6" in err
    assert list(report["conditions"]) == ["bare"]
    groups = report["conditions"]["bare"]["groups"]
    assert list(groups["age"]) == list(AGES)
    assert groups["age"]["30-39"]["right"]["count"] == 2
    assert groups["age"]["30-39"]["right"]["value"] == 0.5  # the same face, called a woman and a man
    assert groups["age"]["30-39"]["right"]["low"] < 0.5
    assert groups["age"]["50-59"]["coverage"]["count"] == 0
    assert main(["evaluate-gender", "--utkface", str(photos)]) == 0
    assert "UTKFace, bare" in capsys.readouterr().out


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConvertError, match="is not a folder"):
        utkface.read(tmp_path / "none")
    with pytest.raises(ConvertError, match="age_gender_race_date"):
        utkface.read(tmp_path)
    assert main(["evaluate-gender"]) == 2
    assert "--dataset and --cache, or --utkface" in capsys.readouterr().err
    assert main(["evaluate-gender", "--utkface", str(tmp_path), "--card", "card.md"]) == 2
    assert "--card" in capsys.readouterr().err

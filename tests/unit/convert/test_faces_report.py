"""The table, the JSON and the card that evaluate-faces writes, and the whole command on scenes made here."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert import cli
from convert.errors import ConvertError
from convert.faces.card import renew
from convert.faces.evaluate import Measured, report, table
from convert.faces.measure import match
from convert.faces.records import Scene


def _measured(name: str, milliseconds: float) -> Measured:
    boxes = np.asarray([[0, 0, 100, 100], [200, 0, 250, 50]], np.float32)
    scene = Scene(Path("a.jpg"), boxes, ("with_mask", "without_mask"), boxes[:0], "test")
    return Measured(name, 480, 0.5, milliseconds, match([scene], [(boxes[:1], np.asarray([0.9], np.float32))]))


def test_report_compares_with_res10() -> None:
    ours, reference = report([_measured("edge_face", 8.0), _measured("res10", 32.0)])
    assert ours["relative_to_res10"] == 0.25
    assert reference["relative_to_res10"] == 1.0
    assert ours["recall"]["over 80 px"]["value"] == 1.0
    assert ours["recall"]["40-80 px"]["value"] == 0.0
    assert ours["masked_minus_bare"] == 1.0
    json.dumps(ours, allow_nan=False)


def test_table_has_a_column_for_each() -> None:
    lines = table(report([_measured("edge_face", 8.0), _measured("res10", 32.0)])).splitlines()
    assert "edge_face 480" in lines[0]
    assert "res10 480" in lines[0]
    assert {line.count("|") for line in lines} == {4}
    (recall,) = (line for line in lines if "over 80" in line)
    assert "1.000 (0.206–1.000, n=1)" in recall


def test_without_res10_nothing_is_compared() -> None:
    (row,) = report([_measured("edge_face", 8.0)])
    assert row["relative_to_res10"] is None
    assert "nan" not in table([row])


def test_the_card_keeps_its_text(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n", encoding="utf-8")
    renew(card, "new")
    text = card.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "new" in text
    assert "old" not in text


def test_a_card_without_marks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="measured: begin"):
        renew(tmp_path / "card.md", "new")


def test_the_command_measures_the_shipped_net(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = pytest.importorskip("skimage.data")
    scenes = tmp_path / "scenes"
    (scenes / "images").mkdir(parents=True)
    assert cv2.imwrite(str(scenes / "images/a.jpg"), data.astronaut()[:, :, ::-1])
    face = {"box": [173, 65, 273, 190], "label": "without_mask"}
    entry = {"file": "a.jpg", "width": 512, "height": 512, "faces": [face], "source": "test", "orig": "a.jpg"}
    (scenes / "annotations.jsonl").write_text(json.dumps(entry) + "\n", encoding="utf-8")
    written = tmp_path / "figures.json"
    command = [
        "evaluate-faces",
        "--scenes",
        str(scenes),
        "--all",
        "--detectors",
        "edge_face:480",
        "--json",
        str(written),
    ]
    assert cli.main(command) == 0
    (row,) = json.loads(written.read_text())
    assert row["recall"]["over 80 px"] == pytest.approx({"value": 1.0, "low": 0.2065, "high": 1.0, "count": 1})
    assert "edge_face 480" in capsys.readouterr().out


def test_missing_scenes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate-faces", "--scenes", str(tmp_path)]) == 2
    assert "annotations.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize("detector", ["edge_face:300", "edge_face:wide", "edge_face:0"])
def test_a_width_no_detector_takes_is_refused(detector: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["evaluate-faces", "--scenes", "anywhere", "--detectors", detector])
    assert caught.value.code == 2
    assert "multiple of 32" in capsys.readouterr().err

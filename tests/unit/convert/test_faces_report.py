"""The table, the JSON and the card that evaluate-faces writes, and the whole command on scenes made here."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert import cli
from convert.cards import BEGIN, END
from convert.faces import evaluate as evaluation
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


def test_figures_are_drawn_and_those_of_others_stay_open(tmp_path: Path) -> None:
    plt = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed (extra: convert)")
    from convert.faces.figures import draw

    plt.switch_backend("Agg")
    other = plt.figure()
    paths = draw([_measured(f"net{number}", 8.0) for number in range(8)], tmp_path / "plots")
    assert [path.name for path in paths] == ["face_recall.png", "face_precision.png"]
    assert [path.read_bytes()[:4] for path in paths] == [b"\x89PNG"] * 2
    assert plt.get_fignums() == [other.number]
    plt.close(other)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """A folder with one photo of one bare face."""
    data = pytest.importorskip("skimage.data")
    folder = tmp_path / "scenes"
    (folder / "images").mkdir(parents=True)
    assert cv2.imwrite(str(folder / "images/a.jpg"), data.astronaut()[:, :, ::-1])
    face = {"box": [173, 65, 273, 190], "label": "without_mask"}
    entry = {"file": "a.jpg", "width": 512, "height": 512, "faces": [face], "source": "test", "orig": "a.jpg"}
    (folder / "annotations.jsonl").write_text(json.dumps(entry) + "\n", encoding="utf-8")
    return folder


def test_the_command_measures_the_shipped_net(
    tmp_path: Path, scenes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written, card = tmp_path / "figures.json", tmp_path / "card.md"
    card.write_text(f"before\n{BEGIN}\n\nold\n\n{END}\nafter\n", encoding="utf-8")
    command = ["evaluate-faces", "--scenes", str(scenes), "--all", "--detectors", "edge_face:480"]
    assert cli.main([*command, "--json", str(written), "--card", str(card)]) == 0
    (row,) = json.loads(written.read_text())
    assert row["recall"]["over 80 px"] == pytest.approx({"value": 1.0, "low": 0.2065, "high": 1.0, "count": 1})
    printed = capsys.readouterr().out
    assert "edge_face 480" in printed
    assert card.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\n{printed}\n{END}\nafter\n"
    assert cli.main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0].keys() == row.keys()


@pytest.mark.parametrize(
    ("option", "place", "said"),
    [
        ("--json", "none/x.json", "no folder"),
        ("--json", "scenes", "is a folder"),
        ("--card", "none/card.md", "no folder"),
        ("--card", "card.md", "card.md cannot be read"),
        ("--plots", "scenes/annotations.jsonl", "is no folder"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path, scenes: Path, option: str, place: str, said: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if option == "--plots":
        pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: convert)")

    def refuse(*arguments: object) -> None:
        raise AssertionError("measured before the arguments were looked at")

    monkeypatch.setattr(evaluation, "measure", refuse)
    assert cli.main(["evaluate-faces", "--scenes", str(scenes), "--all", option, str(tmp_path / place)]) == 2
    assert said in capsys.readouterr().err


def test_missing_scenes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate-faces", "--scenes", str(tmp_path)]) == 2
    assert "annotations.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("detector", "said"),
    [
        ("edge_face:300", "the width should be a multiple of 32"),
        ("edge_face:wide", "the width should be a valid integer"),
        ("edge_face:0", "the width should be greater than or equal to 64"),
        ("edge_face:32", "the width should be greater than or equal to 64"),
        ("res10:1952", "the width should be less than or equal to 1920"),
        ("foo", "the name should be 'edge_face', 'res10' or 'yunet'"),
        (":320", "the name should be 'edge_face', 'res10' or 'yunet'"),
    ],
)
def test_a_detector_that_the_device_would_refuse_is_refused(
    detector: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["evaluate-faces", "--scenes", "anywhere", "--detectors", detector])
    assert caught.value.code == 2
    assert f"argument --detectors: {detector}: {said}" in capsys.readouterr().err


def test_detectors_with_and_without_their_width() -> None:
    command = ["evaluate-faces", "--scenes", "anywhere", "--detectors", "edge_face", "yunet:640"]
    assert cli.build_parser().parse_args(command).detectors == [("edge_face", 480), ("yunet", 640)]


def test_one_folder_for_the_caffe_files(capsys: pytest.CaptureFixture[str]) -> None:
    parser, command = cli.build_parser(), ["to-caffe", "--checkpoint", "a"]
    for option in ("--out", "--output"):
        assert parser.parse_args([*command, option, "b"]).out == Path("b")
    for wrong in ([], ["--out", "b", "--output", "c"]):
        with pytest.raises(SystemExit):
            parser.parse_args([*command, *wrong])
        assert "--out" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parser.parse_args(["to-caffe", "--help"])
    assert "--output" not in capsys.readouterr().out

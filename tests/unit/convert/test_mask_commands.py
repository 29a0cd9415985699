"""The mask network's commands on the file that ships: what is measured, and errors before anything takes long."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from convert.cli import build_parser, main
from convert.mask import evaluate as evaluation
from convert.mask import faces

from .test_mask_data import make_dataset, make_scenes

MODEL = Path(__file__).parents[3] / "models" / "mask_detector.tflite"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make_dataset(tmp_path)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be read to be measured."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("faces were read before the arguments were looked at")

    monkeypatch.setattr(faces, "listed", refuse)


def test_evaluate_tells_which_part_it_measured(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = len(faces.select(faces.read(dataset, None)))
    assert 0 < kept < 24
    for more, part, count in (([], "validation", kept), (["--all"], "all", 24)):
        assert main(["evaluate", str(MODEL), str(dataset), "--json", *more]) == 0
        out, err = capsys.readouterr()
        report = json.loads(out)
        assert (report["faces"], report["of"], report["part"]) == (count, 24, part)
        assert len(err.splitlines()) == 1
        assert f"{count} of 24" in err
        assert "--all" in err


def test_a_dataset_that_is_too_small_gets_a_remedy_of_its_command(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = {record.path for record in faces.select(faces.read(dataset, None))}
    for path in kept:
        path.unlink()
    assert main(["evaluate", str(MODEL), str(dataset)]) == 2
    assert "--all" in capsys.readouterr().err
    assert main(["export-card", str(MODEL), str(dataset), "--out", str(dataset / "card.md")]) == 2
    said = capsys.readouterr().err
    assert "too small" in said
    assert "--all" not in said


def test_tables_have_a_row_for_each_source(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(MODEL), str(dataset), "--all"]) == 0
    assert "macro-F1" in capsys.readouterr().out


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("content", [None, "seconds,step,size\n1,2,3\n"])
def test_a_history_that_cannot_be_plotted_is_refused_at_once(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        (tmp_path / "history.csv").write_text(content)
    command = ["evaluate", str(MODEL), str(dataset), "--plots", str(tmp_path), "--history"]
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: convert)")
    assert main([*command, str(tmp_path / "history.csv")]) == 2
    assert "history.csv" in capsys.readouterr().err


@pytest.mark.usefixtures("unmeasured")
def test_a_card_in_a_missing_folder_is_refused_at_once(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export-card", str(MODEL), str(dataset), "--out", str(tmp_path / "none" / "card.md")]) == 2
    assert "no folder" in capsys.readouterr().err


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("command", "place", "said"),
    [
        (["evaluate", str(MODEL), "DATA", "--plots"], "taken", "taken is no folder"),
        (["evaluate", str(MODEL), "DATA", "--errors"], ".", "is a folder"),
        (["export-card", str(MODEL), "DATA", "--out"], "taken", "taken is no card: it is not UTF-8"),
        (["export-card", str(MODEL), "DATA", "--out"], "manifest.csv", "measured: begin"),
        (["train", "--weights", "none", "--dataset", "DATA", "--out"], "taken", "taken is no folder"),
        (["thin", str(MODEL), "--dataset", "DATA", "--out"], "taken/small.keras", "taken is no folder"),
        (["to-tflite", "m.keras", "--dataset", "DATA", "--out"], ".", "is a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(
    tmp_path: Path, dataset: Path, command: list[str], place: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: convert)")
    (tmp_path / "taken").write_bytes(b"\xff")
    assert main([str(dataset) if part == "DATA" else part for part in command] + [str(tmp_path / place)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [(["--weights", "none.h5"], "none.h5 does not exist"), (["--alpha", "0.6"], "0.35, 0.5, 0.75, 1, 1.3, 1.4")],
)
def test_weights_that_are_not_there_are_refused_at_once(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert main(["train", "--dataset", str(dataset), "--out", str(tmp_path / "run"), *more]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_epochs_are_kept_only_if_asked() -> None:
    common = ["train", "--dataset", "a", "--out", "b"]
    assert not build_parser().parse_args(common).keep_epochs
    assert build_parser().parse_args([*common, "--keep-epochs"]).keep_epochs


@pytest.mark.parametrize(
    "command",
    [
        ["train-faces", "--dataset", "a", "--checkpoint", "b"],
        ["to-caffe", "--checkpoint", "a", "--out", "b"],
        ["train-gender", "--dataset", "a", "--cache", "b", "--out", "c"],
        ["to-caffe", "--checkpoint", "a", "--dataset", "b", "--cache", "c", "--out", "d"],
    ],
)
def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(command) == 2
    assert "this needs torch: pip install" in capsys.readouterr().err


def test_plots_show_the_faces_that_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: convert)")
    from convert import plots
    from convert.mask import figures
    from convert.mask.predict import open_predictor

    cut = faces.cut(faces.read(make_dataset(tmp_path), make_scenes(tmp_path)), 96, quiet=True)
    predictor = open_predictor(MODEL)
    monkeypatch.setattr(evaluation, "SMALLEST", 999.0)  # as if the faces of scenes were all too small
    probabilities = predictor(cut.crops)
    report = evaluation.report(cut.records, probabilities, rounds=10)
    assert len(cut.records) == 24 + 8
    shown: dict[str, int] = {}
    monkeypatch.setattr(plots, "precision_recall", lambda path, truth, *_: shown.update(recall=len(truth)))
    monkeypatch.setattr(plots, "reliability", lambda path, sure, *_: shown.update(sure=len(sure)))
    figures.draw_all(tmp_path / "plots", report, cut, probabilities)
    assert shown == {"recall": 24, "sure": 24}


@pytest.mark.parametrize(
    "wrong",
    [["train", "--teacher-share", "7"], ["train", "--teacher-share", "nan"],
     ["to-tflite", "--bare-handicap", "nan"], ["export-card", "--bare-handicap", "-1"],
     ["export-card", "--bare-handicap", "inf"], ["train-gender", "--small-part", "40"],
     ["to-caffe", "--right", "96"], ["to-caffe", "--right", "nan"],
     ["train", "--bare-limit", "-1"], ["evaluate", "--bare-limit", "-5"]],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(wrong)
    assert f"{wrong[1]}: {wrong[2]} is no" in capsys.readouterr().err


def test_an_option_without_its_partner_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = ["--dataset", str(tmp_path)], ["--out", str(tmp_path / "out.md")]
    assert main(["train", *data, *out, "--teacher-share", "0.5"]) == 2
    assert "--teacher" in capsys.readouterr().err
    assert main(["export-card", str(MODEL), str(tmp_path), *out, "--bare-handicap", "0.6"]) == 2
    assert "--float" in capsys.readouterr().err

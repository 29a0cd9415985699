"""Going on with a training of the mask network that was stopped, at whatever moment."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from convert.cli import main

from . import trainings
from .test_mask_data import make_dataset

pytestmark = trainings.MARKS


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``mask/`` and ``run/``, a training of two epochs."""
    root = tmp_path_factory.mktemp("stopped")
    make_dataset(root)
    assert main(_train(root, root / "run", epochs=2)) == 0
    return root


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    """A copy of that training, to go on with."""
    return Path(shutil.copytree(stopped / "run", tmp_path / "run"))


def _train(root: Path, out: Path, epochs: int, alpha: str = "0.35", size: str = "32") -> list[str]:
    options = ["--alpha", alpha, "--size", size, "--steps", "1", "--batch", "4", "--trust-labels"]
    return trainings.train(*options, dataset=str(root / "mask"), out=str(out), epochs=epochs)


def _epochs(run: Path) -> list[str]:
    return [line.split(",")[0] for line in (run / "history.csv").read_text().splitlines()[1:]]


def test_a_finished_training_is_not_said_to_be_ready_again(
    stopped: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = str(run / "model.keras")
    for more, said in (([], ""), (["--start", start], f" and {start} would not be used")):
        assert main([*_train(stopped, run, epochs=2), *more]) == 2
        out, err = capsys.readouterr()
        assert "ready" not in out
        assert f"nothing is left of --epochs 2{said}; give more, or an empty --out" in err


@pytest.mark.parametrize("before", [True, False])
def test_a_stop_before_the_last_network_was_saved_is_made_up_for(stopped: Path, run: Path, before: bool) -> None:
    from convert.mask import net

    result = run / "model.keras"
    if before:
        net.build(32, 0.35, None).save(result)  # that of an earlier epoch
        os.utime(result, ns=(0, 0))
    else:
        result.unlink()
    assert main(_train(stopped, run, epochs=2)) == 0
    assert _epochs(run) == ["0", "1"]
    for one, other in zip(
        net.load(stopped / "run/model.keras").get_weights(), net.load(result).get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_start_that_is_not_used_is_said(stopped: Path, run: Path, caplog: pytest.LogCaptureFixture) -> None:
    start = run / "model.keras"
    with caplog.at_level(logging.WARNING):
        assert main([*_train(stopped, run, epochs=3), "--start", str(start)]) == 0
    (said,) = [entry.getMessage() for entry in caplog.records if entry.name == "convert.mask.train"]
    assert f"{run / 'resume'} is used, not {start}" in said
    assert _epochs(run) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("alpha", "size", "kept"), [("0.5", "32", True), ("0.5", "32", False), ("0.35", "48", True)]
)
def test_another_network_does_not_go_on(
    stopped: Path, run: Path, capsys: pytest.CaptureFixture[str], alpha: str, size: str, kept: bool
) -> None:
    if not kept:
        (run / "model.keras").write_bytes(b"")
    assert main(_train(stopped, run, 3, alpha, size)) == 2
    assert f"{run / 'resume'} is of another network" in capsys.readouterr().err


@pytest.mark.parametrize("file", ["latest.weights.h5", "training_metadata.json"])
def test_a_stop_while_saving_costs_an_epoch_and_no_more(stopped: Path, run: Path, file: str) -> None:
    import inspect

    import keras

    if "double_checkpoint" not in inspect.signature(keras.callbacks.BackupAndRestore).parameters:
        pytest.skip("this Keras keeps one epoch alone")
    path = run / "resume" / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert main(_train(stopped, run, epochs=3)) == 0
    assert _epochs(run) == ["0", "1", "1", "2"]
    assert json.loads((run / "resume" / "training_metadata.json").read_text())["epoch"] == 3


@pytest.mark.parametrize("file", ["latest.weights.h5", "training_metadata.json"])
def test_damage_is_said_with_what_to_do(
    stopped: Path, run: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    for path in (run / "resume").glob("*.bkp"):
        path.unlink()
    path = run / "resume" / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert main(_train(stopped, run, epochs=3)) == 2
    said = capsys.readouterr().err
    assert f"{run / 'resume'} is damaged" in said
    assert f"--start {run / 'model.keras'}" in said


def test_labels_are_cleaned_late_where_a_stop_came_before_it(tmp_path: Path) -> None:
    from convert.mask import faces, patches
    from convert.mask.cleaning import Cleaning
    from convert.mask.sampling import Recipe, Sampler
    from convert.mask.teachers import Teachers

    built = patches.build(faces.read(make_dataset(tmp_path), None), tmp_path / "cache")
    sampler = Sampler(built, list(range(len(built))), Recipe(), 32)
    cleaning = Cleaning(sampler, built, [], tmp_path, Teachers(()), size=32, trained=False, after=2, doubt=0.9)
    cleaned: list[int] = []
    cleaning._clean = lambda: cleaned.append(1)  # type: ignore[method-assign]
    cleaning.on_epoch_end(0)
    assert not cleaned
    cleaning.on_epoch_end(2)  # the training was stopped after the second was saved
    assert cleaned
    (tmp_path / "doubted.json").write_text("[]")
    cleaning.on_epoch_end(3)
    assert len(cleaned) == 1

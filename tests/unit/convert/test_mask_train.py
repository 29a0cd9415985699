"""Training, conversion and measuring from end to end, on drawn faces and for a few steps."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.cli import main
from convert.mask import graph, sampling
from convert.mask.folds import Fold
from convert.mask.patches import PatchSet
from edge_agent.vision.tflite import available_runtimes

from . import trainings
from .test_mask_data import make_dataset, make_scenes

pytestmark = trainings.MARKS


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``mask/``, ``scenes/``, ``run/`` of a tiny training, and ``run/model.tflite``."""
    root = tmp_path_factory.mktemp("mask")
    dataset, scenes = make_dataset(root, per_class=16), make_scenes(root)
    assert main(_train(root, epochs=1)) == 0
    assert main(["to-tflite", str(root / "run/model.keras"), "--dataset", str(dataset), "--scenes", str(scenes),
                 "--out", str(root / "run/model.tflite")]) == 0  # fmt: skip
    return root


def _train(root: Path, epochs: int) -> list[str]:
    options = ["--scenes", str(root / "scenes"), "--alpha", "0.35", "--size", "32", "--steps", "3", "--batch", "8"]
    return trainings.train(*options, dataset=str(root / "mask"), out=str(root / "run"), epochs=epochs)


def test_the_file_runs_in_every_runtime_with_the_same_answers(trained: Path) -> None:
    answers = [np.array(_ask(trained / "run/model.tflite", runtime)) for runtime in available_runtimes()]
    assert answers
    assert answers[0].shape == (20, 3)
    np.testing.assert_allclose(answers[0].sum(axis=1), 1, atol=0.02)
    for other in answers[1:]:
        np.testing.assert_allclose(answers[0], other, atol=0.03)


def _ask(model: Path, runtime: str) -> list[list[float]]:
    """Probabilities of 20 drawn faces, in a process of its own: tflite-runtime fails beside TensorFlow."""
    code = (
        "import json, sys; from pathlib import Path\n"
        "from convert.mask.made import made_crops; from edge_agent.vision.tflite import TFLiteModel\n"
        "model = TFLiteModel(Path(sys.argv[1]), runtime=sys.argv[2])\n"
        "print(json.dumps([model.run(crop[None])[0].tolist() for crop in made_crops(32, 20)]))"
    )
    root = Path(__file__).parents[3]
    result = subprocess.run(
        [sys.executable, "-c", code, str(model), runtime], cwd=root, capture_output=True, text=True, check=True
    )
    answers: list[list[float]] = json.loads(result.stdout)
    return answers


def test_its_graph_is_fit_for_arm(trained: Path) -> None:
    graph.check(trained / "run/model.tflite")
    assert "DEPTHWISE_CONV_2D" in graph.operators(trained / "run/model.tflite")


@pytest.mark.parametrize("name", ["model.keras", "model.tflite"])
def test_evaluate_prints_json(trained: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    model, scenes = str(trained / "run" / name), str(trained / "scenes")
    code = main(["evaluate", model, str(trained / "mask"), "--scenes", scenes, "--all", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert report["headline"]["single faces, mask, real"]["count"] == 16
    assert report["headline"]["scenes >= 40 px, bare"]["count"] == 4
    assert set(report["classes"]) == {"mask", "no_mask", "incorrect"}
    assert np.sum(report["confusion"]["counts"]) == 48 + 8


def test_a_stopped_training_goes_on_where_it_was(trained: Path) -> None:
    assert main(_train(trained, epochs=2)) == 0
    with (trained / "run/history.csv").open(newline="") as stream:
        assert [row["epoch"] for row in csv.DictReader(stream)] == ["0", "1"]


def test_a_trained_network_settles_and_teaches(trained: Path, tmp_path: Path) -> None:
    checkpoint, shipped = str(trained / "run/model.keras"), str(trained / "run/model.tflite")
    command = [*_train(trained, epochs=1), "--start", checkpoint, "--gentle", "--teacher", checkpoint]
    command += ["--teacher", shipped]
    command[command.index("--out") + 1] = str(tmp_path)
    assert main(command) == 0
    assert (tmp_path / "model.keras").is_file()
    assert json.loads((tmp_path / "doubted.json").read_text()) == []  # an untrained network is sure of nothing


def test_labels_can_be_trusted_and_photos_left_as_they_are(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convert.mask import train

    drawn = []
    batch = train.Batches.__getitem__

    def noted(batches: train.Batches, number: int) -> object:
        drawn.append((batches.epoch, number))
        return batch(batches, number)

    monkeypatch.setattr(train.Batches, "__getitem__", noted)
    command = [*_train(trained, epochs=2), "--start", str(trained / "run/model.keras"), "--plain", "--trust-labels"]
    command[command.index("--out") + 1] = str(tmp_path)
    assert main(command) == 0
    assert (tmp_path / "model.keras").is_file()
    assert {epoch for epoch, _ in drawn} >= {0, 1}  # other faces in each
    assert not (tmp_path / "doubted.json").exists()  # nobody was asked


def test_training_goes_on_from_a_file_that_ships(trained: Path, tmp_path: Path) -> None:
    from convert.mask import net
    from convert.mask.made import made_crops
    from convert.mask.predict import open_predictor

    shipped = trained / "run/model.tflite"
    crops = made_crops(32, 20)
    logits = net.from_tflite(shipped).predict(net.as_input(crops), verbose=0)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), open_predictor(shipped)(crops), atol=0.05)
    command = [*_train(trained, epochs=1), "--start", str(shipped)]
    command[command.index("--out") + 1] = str(tmp_path)
    assert main(command) == 0
    assert (tmp_path / "model.keras").is_file()


def test_a_handicap_keeps_a_wavering_network_from_calling_faces_bare(trained: Path, tmp_path: Path) -> None:
    from convert.mask.made import made_crops
    from convert.mask.predict import open_predictor

    data = ["--dataset", str(trained / "mask"), "--scenes", str(trained / "scenes")]
    fair, handicapped = trained / "run/model.tflite", tmp_path / "handicapped.tflite"
    command = ["to-tflite", str(trained / "run/model.keras"), *data, "--out", str(handicapped)]
    assert main([*command, "--bare-handicap", "3"]) == 0
    before, after = (open_predictor(path)(made_crops(32, 40)) for path in (fair, handicapped))
    assert (after[:, 1] < before[:, 1]).all()
    assert after[:, 2].mean() > before[:, 2].mean()


def test_teachers_answer_with_one_voice(trained: Path) -> None:
    from convert.mask import net
    from convert.mask.made import made_crops
    from convert.mask.teachers import Teachers

    paths, crops = (trained / "run/model.keras", trained / "run/model.tflite"), made_crops(32, 5)
    logits = np.mean([net.load(path).predict(net.as_input(crops), verbose=0) for path in paths], axis=0)
    odds = np.exp(logits)
    np.testing.assert_allclose(Teachers(paths).tell(crops), odds / odds.sum(axis=1, keepdims=True), atol=1e-4)


def test_a_thinner_network_learns_from_the_whole_one(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from convert.mask import net, thin

    whole, small = trained / "run/model.keras", tmp_path / "small.keras"
    data = ["--dataset", str(trained / "mask"), "--scenes", str(trained / "scenes")]
    budget = thin.work(net.load(whole)) * 0.6
    command = ["thin", str(whole), *data, "--multiply-adds", str(budget), "--out", str(small)]
    assert main(command) == 0
    assert 0.8 * budget < thin.work(net.load(small)) <= budget
    command[command.index("--multiply-adds") + 1] = "1000"
    assert main(command) == 2
    assert "too few" in capsys.readouterr().err

    command = [*_train(trained, epochs=1), "--start", str(small), "--teacher", str(whole)]
    command[command.index("--out") + 1] = str(tmp_path / "run")
    assert main(command) == 0
    shipped = tmp_path / "small.tflite"
    assert main(["to-tflite", str(tmp_path / "run/model.keras"), *data, "--out", str(shipped)]) == 0
    assert graph.multiply_adds(shipped) == thin.work(net.load(small))
    assert thin.work(net.from_tflite(shipped)) == thin.work(net.load(small))


def test_channels_that_nothing_reads_are_the_first_to_go() -> None:
    from convert.mask import net, thin
    from convert.mask.made import made_crops

    model = net.build(32, 0.35, None)
    dead = {block.widen: np.arange(0, block.channels, 2) for block in thin.widenings(model)}
    for block in thin.widenings(model):
        reader = model.get_layer(block.narrow)
        kernel, bias = reader.get_weights()
        kernel[:, :, dead[block.widen]] = 0
        reader.set_weights([kernel, bias])
    crops = made_crops(32, 20)
    small = thin.thin(model, crops, np.arange(20) % 3, thin.work(model) * 0.75)
    assert thin.work(small) < thin.work(model)
    image = net.as_input(crops)
    np.testing.assert_allclose(model.predict(image, verbose=0), small.predict(image, verbose=0), atol=1e-4)


def test_batch_norm_is_folded_without_a_trace() -> None:
    import keras

    from convert.mask import net

    normed = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None)
    rng = np.random.default_rng(5)
    for layer in normed.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weights.shape) for weights in layer.get_weights()])
    folded = net.without_batch_norm(normed)
    image = rng.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    np.testing.assert_allclose(normed.predict(image, verbose=0), folded.predict(image, verbose=0), atol=1e-3)


def test_checkpoints_are_averaged(trained: Path, tmp_path: Path) -> None:
    import keras

    first = keras.models.load_model(trained / "run/model.keras", compile=False)
    other = keras.models.clone_model(first)
    other.set_weights([weights + 2 for weights in first.get_weights()])
    other.save(tmp_path / "other.keras")
    paths = [str(trained / "run/model.keras"), str(tmp_path / "other.keras")]
    assert main(["average", *paths, "--out", str(tmp_path / "mean.keras")]) == 0
    mean = keras.models.load_model(tmp_path / "mean.keras", compile=False)
    for one, middle in zip(first.get_weights(), mean.get_weights(), strict=True):
        np.testing.assert_allclose(one + 1, middle, atol=1e-5)


def test_a_missing_teacher_is_named(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*_train(trained, epochs=1), "--teacher", str(tmp_path / "none.keras")]
    assert main(command) == 2
    assert "none.keras" in capsys.readouterr().err


def test_a_start_brings_its_own_size_and_epochs_can_be_kept(trained: Path, tmp_path: Path) -> None:
    command = [*_train(trained, epochs=2), "--start", str(trained / "run/model.keras"), "--keep-epochs"]
    command[command.index("--out") + 1] = str(tmp_path)
    command[command.index("--size") + 1] = "96"  # the start takes 32
    assert main(command) == 0
    assert {path.name for path in (tmp_path / "epochs").iterdir()} == {"model-01.keras", "model-02.keras"}


def test_teachers_of_other_sizes_are_shown_crops_of_theirs(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convert.mask import net
    from convert.mask.teachers import Teachers

    shown, tell = set(), Teachers.tell

    def noted(teachers: Teachers, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        shown.add(crops.shape[1:])
        return tell(teachers, crops)

    monkeypatch.setattr(Teachers, "tell", noted)
    net.build(64, 0.35, None).save(tmp_path / "larger.keras")
    command = [*_train(trained, epochs=1), "--teacher", str(tmp_path / "larger.keras")]
    command += ["--teacher", str(trained / "run/model.keras")]
    command[command.index("--out") + 1] = str(tmp_path / "out")
    assert main(command) == 0
    assert shown == {(64, 64, 3)}  # from which the network that takes 32 gets its own
    assert net.size(net.load(tmp_path / "out/model.keras")) == 32


@pytest.mark.parametrize("command", ["to-tflite", "average", "evaluate"])
def test_a_file_that_is_no_checkpoint_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    broken, dataset, out = str(tmp_path / "broken.keras"), str(trained / "mask"), str(tmp_path / "out")
    (tmp_path / "broken.keras").write_bytes(b"nothing")
    rest = {"to-tflite": ["--dataset", dataset, "--out", out], "average": ["--out", out], "evaluate": [dataset]}
    assert main([command, broken, *rest[command]]) == 2
    assert "broken.keras cannot be read" in capsys.readouterr().err


def test_a_network_with_other_outputs_is_not_measured(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import keras

    layers = [keras.layers.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    keras.Sequential(layers).save(tmp_path / "two.keras")
    assert main(["evaluate", str(tmp_path / "two.keras"), str(trained / "mask")]) == 2
    assert "its outputs are (None, 2)" in capsys.readouterr().err


def test_plots_and_card_are_written(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: convert)")
    model, card = str(trained / "run/model.tflite"), tmp_path / "card.md"
    common = [str(trained / "mask"), "--scenes", str(trained / "scenes")]
    assert main(["evaluate", model, *common, "--all", "--plots", str(tmp_path), "--errors", str(tmp_path / "e.png"),
                 "--history", str(trained / "run/history.csv")]) == 0  # fmt: skip
    names = {path.name for path in tmp_path.glob("mask_*.png")}
    assert names == {f"mask_{kind}.png" for kind in
                     ("confusion", "precision_recall", "reliability", "headline", "history")}  # fmt: skip
    card.write_text("# by hand\n\n<!-- measured: begin -->\nold\n<!-- measured: end -->\n\nalso by hand\n")
    command = [sys.executable, "-m", "convert", "export-card", model, *common, "--out", str(card)]
    subprocess.run(command, cwd=Path(__file__).parents[3], check=True)
    text = card.read_text()
    assert "old" not in text
    assert text.startswith("# by hand")
    assert text.endswith("also by hand\n")
    assert "multiply–adds" in text


def test_a_sheet_of_faces_is_refused_in_a_checkout(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: convert)")
    (trained / ".git").mkdir(exist_ok=True)
    code = main(["evaluate", str(trained / "run/model.tflite"), str(trained / "mask"), "--all", "--json",
                 "--errors", str(trained / "errors.png")])  # fmt: skip
    assert code == 2
    assert "git checkout" in capsys.readouterr().err
    assert not (trained / "errors.png").exists()


def test_a_fold_is_left_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    drawn: list[set[str]] = []
    original = sampling.Sampler.__init__

    def remember(self: sampling.Sampler, patches: PatchSet, indices: Sequence[int], *rest: Any) -> None:
        drawn.append({patches[index].group for index in indices})
        original(self, patches, indices, *rest)

    monkeypatch.setattr(sampling.Sampler, "__init__", remember)
    dataset = make_dataset(tmp_path, per_class=16)
    for out, more in (("all", []), ("part", ["--without", "1/2"])):
        options = ["--alpha", "0.35", "--size", "32", "--steps", "1", "--batch", "8", *more]
        assert main(trainings.train(*options, dataset=str(dataset), out=str(tmp_path / out), epochs=1)) == 0
    (everyone, part), tiny = drawn, str(tmp_path / "part" / "model.keras")
    assert part == {group for group in everyone if not Fold(1, 2).has(group)}
    assert part < everyone
    capsys.readouterr()
    resumed = trainings.train("--without", "2/2", dataset=str(dataset), out=str(tmp_path / "part"), epochs=2)
    assert main(resumed) == 2
    assert "leaves out fold 1/2, not fold 2/2" in capsys.readouterr().err
    options = ["--start", tiny, "--steps", "1", "--batch", "8", "--without", "2/2"]
    assert main(trainings.train(*options, dataset=str(dataset), out=str(tmp_path / "more"), epochs=1)) == 0
    assert f"{tiny} may know the faces of fold 2/2" in caplog.text

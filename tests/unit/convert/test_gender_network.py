"""The gender network in PyTorch, and that OpenCV computes the same from its Caffe files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch", reason="needs the training extra")
h5py = pytest.importorskip("h5py", reason="needs the training extra")

from convert.calibration import temperature  # noqa: E402
from convert.cli import main  # noqa: E402
from convert.errors import ConvertError  # noqa: E402  # after the check for the extra
from convert.gender import levi_hassner  # noqa: E402
from convert.gender.evaluate import Condition, Report  # noqa: E402
from convert.gender.measure import row  # noqa: E402
from convert.gender.network import GenderNet, as_input, load_imagenet  # noqa: E402
from convert.gender.plots import draw  # noqa: E402
from convert.gender.train import Settings, train  # noqa: E402

pytestmark = pytest.mark.convert


def test_the_input_is_bgr_from_minus_one_to_one() -> None:
    crop = np.zeros((1, 2, 2, 3), np.uint8)
    crop[..., 0] = 255  # red

    fed = as_input(crop)

    assert fed.shape == (1, 3, 2, 2)
    assert fed[0, :, 0, 0].tolist() == pytest.approx([-1, -1, 1])


def test_temperature_undoes_overconfidence() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, 4000)
    truth = (rng.random(4000) > 1 / (1 + np.exp(-honest))).astype(np.int64)
    logits = np.stack([honest * 3, np.zeros(4000)], 1).astype(np.float32)

    assert temperature(logits, truth) == pytest.approx(3, rel=0.15)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file.create_group("dense")

    with pytest.raises(ConvertError, match="MobileNetV2"):
        load_imagenet(GenderNet(), path)


def test_trains_resumes_and_exports(
    tmp_path: Path, write_gender_dataset: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, out = tmp_path / "data", tmp_path / "out"
    dataset.mkdir()
    write_gender_dataset(dataset, 60, twins=False)
    settings = Settings(minutes=0.05, batch=8, seed=3)

    result = train(dataset, tmp_path / "cache", None, out, settings)
    before = torch.load(out / "checkpoint.pt", weights_only=True)
    train(dataset, tmp_path / "cache", None, out, Settings(minutes=0.08, batch=8, seed=3))
    after = torch.load(out / "checkpoint.pt", weights_only=True)

    assert after["step"] > before["step"] > 0
    data = ["--dataset", str(dataset), "--cache", str(tmp_path / "cache")]
    written = ["to-caffe", "--checkpoint", str(result), "--out", str(tmp_path / "models")]
    capsys.readouterr()
    # Noise teaches nothing, so any threshold that answers at all will do.
    assert main([*written, *data, "--right", "0"]) == 0
    (entry,) = yaml.safe_load(capsys.readouterr().out.partition("for the manifest:\n")[2])
    assert [file["file"] for file in entry["files"]] == ["gender_net.prototxt", "gender_net.caffemodel"]
    assert (tmp_path / "models" / "gender_net.caffemodel").stat().st_size < 3_000_000
    for incomplete in ([], data[:2], ["--right", "0"]):
        assert main([*written, *incomplete]) == 2
        assert "--dataset and --cache" in capsys.readouterr().err


def test_the_network_of_2015_runs_with_weights_at_random() -> None:
    net = levi_hassner.network()
    net.setInput(np.random.default_rng(0).normal(0, 50, (1, 3, 227, 227)).astype(np.float32))
    answer = net.forward()

    assert answer.shape == (1, 2)
    assert answer.sum() == pytest.approx(1.0)
    assert answer[0, 0] != pytest.approx(0.5, abs=1e-7)


def test_pictures_are_drawn_of_a_report(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the training extra")
    right = np.arange(100) % 7 != 0
    sure = np.linspace(0.5, 1.0, 100)
    rows = {"all": [row("all", right, sure, 0.8)], "age": [row("70+", right[:0], sure[:0], 0.8)]}
    conditions = tuple(Condition(name, rows, {}, 0.02, right, sure) for name in ("bare", "masked"))

    paths = draw(Report("gender_net", 0.8, conditions, None), tmp_path)

    assert [path.read_bytes()[:4] for path in paths] == [b"\x89PNG"] * 3

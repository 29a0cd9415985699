"""The gender network in PyTorch, and that OpenCV computes the same from its Caffe files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")
h5py = pytest.importorskip("h5py", reason="needs the training extra")

from convert.errors import ConvertError  # noqa: E402  # after the check for the extra
from convert.gender.export import export_gender, fit_temperature  # noqa: E402
from convert.gender.network import GenderNet, as_input, load_imagenet  # noqa: E402
from convert.gender.records import load_faces  # noqa: E402
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

    assert fit_temperature(logits, truth) == pytest.approx(3, rel=0.15)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file.create_group("dense")

    with pytest.raises(ConvertError, match="MobileNetV2"):
        load_imagenet(GenderNet(), path)


def test_trains_resumes_and_exports(tmp_path: Path, write_gender_dataset: Callable[..., None]) -> None:
    dataset, out = tmp_path / "data", tmp_path / "out"
    dataset.mkdir()
    write_gender_dataset(dataset, 60, twins=False)
    settings = Settings(minutes=0.05, batch=8, seed=3)

    result = train(dataset, tmp_path / "cache", None, out, settings)
    before = torch.load(out / "checkpoint.pt", weights_only=True)
    train(dataset, tmp_path / "cache", None, out, Settings(minutes=0.08, batch=8, seed=3))
    after = torch.load(out / "checkpoint.pt", weights_only=True)

    assert after["step"] > before["step"] > 0
    # Noise teaches nothing, so any threshold that answers at all will do.
    done = export_gender(result, load_faces(dataset, tmp_path / "cache"), tmp_path / "models", wanted=0.0)
    assert done.difference < 5e-3
    assert done.caffemodel.stat().st_size < 3_000_000
    assert done.manifest().count("sha256") == 2

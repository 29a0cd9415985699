"""Where a Caffe network is computed, and what is said when that is not to be had."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.config import VisionSettings
from edge_agent.errors import ModelError
from edge_agent.vision.dnn import load_caffe, settle
from edge_agent.vision.networks import Networks
from edge_agent.vision.store import ModelStore, bundled_directory
from edge_agent.vision.threads import fit

NET = """name: "tiny"
input: "data"
input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4
layer { name: "out" type: "Pooling" bottom: "data" top: "out" pooling_param { pool: AVE global_pooling: true } }
"""


@pytest.fixture
def net(tmp_path: Path) -> tuple[Path, Path]:
    prototxt, caffemodel = tmp_path / "n.prototxt", tmp_path / "n.caffemodel"
    prototxt.write_text(NET)
    caffemodel.write_bytes(b"")
    return prototxt, caffemodel


def test_cuda_that_is_not_there_is_one_warning_and_the_processor(
    net: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    if cv2.cuda.getCudaEnabledDeviceCount():
        pytest.skip("this machine has a CUDA device")
    with caplog.at_level(logging.WARNING):
        backend = settle("cuda")
    assert len(caplog.records) == 1
    assert "no CUDA device" in caplog.text
    assert backend == "cpu"
    loaded = load_caffe(*net, backend="cuda")
    loaded.setInput(np.ones((1, 3, 4, 4), np.float32))
    assert np.allclose(loaded.forward(), 1.0)


def test_all_networks_together_warn_once(caplog: pytest.LogCaptureFixture) -> None:
    if cv2.cuda.getCudaEnabledDeviceCount():
        pytest.skip("this machine has a CUDA device")
    settings = VisionSettings(dnn_backend="cuda_fp16")
    with caplog.at_level(logging.WARNING):
        Networks(settings, ModelStore())
    assert caplog.text.count("no CUDA device") == 1


@pytest.mark.parametrize("content", [b"", b"not a network", b"\0" * 100])
def test_what_is_no_network_is_a_model_error(tmp_path: Path, content: bytes) -> None:
    prototxt = tmp_path / "x.prototxt"
    prototxt.write_bytes(content or b"layer {")
    caffemodel = tmp_path / "x.caffemodel"
    caffemodel.write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.prototxt"):
        load_caffe(prototxt, caffemodel)


def test_a_missing_file_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        load_caffe(tmp_path / "none.prototxt", tmp_path / "none.caffemodel")


def test_threads_leave_a_core_to_the_camera() -> None:
    assert fit(4) == 4
    assert 1 <= fit(0) <= 3


def test_the_bundled_models_are_where_the_store_looks() -> None:
    assert (bundled_directory() / "manifest.yaml").is_file()

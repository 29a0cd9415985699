"""The mask classifier runs the shipped network, and refuses one of another shape."""

from __future__ import annotations

import ctypes.util
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from edge_agent.errors import ModelError
from edge_agent.types import Verdict
from edge_agent.vision.crops import CropMargins
from edge_agent.vision.manifest import InputContract, ModelEntry, ModelFile
from edge_agent.vision.mask import MaskClassifier
from edge_agent.vision.store import ModelStore, bundled_directory
from edge_agent.vision.tflite import TFLiteModel, available_runtimes, byte_values

FACE = (165.0, 70.0, 285.0, 225.0)
"""Where the face of scikit-image's astronaut (NASA, public domain) is."""


def entry() -> ModelEntry:
    return ModelStore(bundled_directory()).entry("mask_detector")


def path() -> Path:
    return ModelStore(bundled_directory()).paths("mask_detector")[0]


@pytest.mark.parametrize("runtime", available_runtimes())
def test_a_bare_face_is_bare_in_every_runtime(runtime: str) -> None:
    classifier = MaskClassifier(path(), entry(), runtime=runtime)  # type: ignore[arg-type]
    assert classifier.runtime == runtime
    scores = classifier.classify(np.ascontiguousarray(data.astronaut()[:, :, ::-1]), FACE)
    assert scores is not None
    assert scores.label is Verdict.NO_MASK
    assert scores.mask + scores.no_mask + scores.incorrect == pytest.approx(1.0, abs=0.02)
    assert classifier.net_ms > 0


def test_a_box_without_a_pixel_has_no_answer() -> None:
    classifier = MaskClassifier(path(), entry())
    image = np.zeros((100, 100, 3), np.uint8)
    assert classifier.classify(image, (200, 200, 300, 300)) is None
    assert classifier.classify(image, (10, 10, 10, 50)) is None
    assert classifier.classify(image, (-50, -50, 20, 20)) is not None


def test_at_least_one_runtime_is_installed_and_an_unknown_delegate_is_named(tmp_path: Path) -> None:
    assert available_runtimes()
    with pytest.raises(ModelError, match="delegate"):
        TFLiteModel(path(), delegate=tmp_path / "none.so")
    library = ctypes.util.find_library("c")  # a library, but no delegate
    with pytest.raises(ModelError, match="delegate"):
        TFLiteModel(path(), delegate=Path(library or "libc.so.6"))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_bytes_stand_for_what_their_quantisation_says(dtype: type) -> None:
    codes = np.array([[0, 3, 127], [-128, -1, 5]]).astype(dtype)
    values = byte_values(np.dtype(dtype), 0.25, -3)
    assert values is not None
    np.testing.assert_array_equal(values.take(codes.view(np.uint8)), (codes.astype(np.float32) + 3) * 0.25)


def test_no_table_for_what_is_no_quantised_byte() -> None:
    assert byte_values(np.dtype(np.float32), 0.0, 0) is None
    assert byte_values(np.dtype(np.int16), 0.5, 0) is None
    assert byte_values(np.dtype(np.uint8), 0.0, 0) is None


@pytest.mark.parametrize("content", [b"", b"TFL3 is not enough", b"\x1c\0\0\0TFL3" + b"\0" * 64])
def test_a_damaged_file_is_a_model_error(tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(content)
    made = ModelEntry(
        name="x",
        role="mask",
        bundled=True,
        licence="",
        source="",
        files=(ModelFile(file="broken.tflite", sha256="0" * 64),),
    )
    with pytest.raises(ModelError, match=r"broken\.tflite"):
        MaskClassifier(broken, made)


def test_the_manifest_says_in_which_order_the_network_answers() -> None:
    image = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
    turned = entry().model_copy(update={"labels": ("incorrect", "mask", "no_mask")})
    plain, other = (MaskClassifier(path(), of).classify(image, FACE) for of in (entry(), turned))
    assert plain is not None
    assert other is not None
    assert (plain.mask, plain.no_mask, plain.incorrect) == (other.incorrect, other.mask, other.no_mask)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": ("mask", "no_mask")}, "labels mask, no_mask; give mask, no_mask, incorrect"),
        ({"labels": ()}, "labels none"),
        ({"input": None}, "takes RGB of 96 x 96, the manifest's input of mask_detector says nothing"),
        ({"input": InputContract(width=224, height=224, colour="RGB")}, "says RGB of 224 x 224"),
        ({"input": InputContract(width=96, height=96, colour="BGR")}, "says BGR of 96 x 96; correct the manifest"),
    ],
)
def test_a_manifest_that_speaks_of_another_network_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        MaskClassifier(path(), entry().model_copy(update=changes))


def test_the_network_is_trained_and_measured_on_the_crop_that_the_device_cuts() -> None:
    given = entry().input
    assert given is not None
    crop, usual = given.crop, CropMargins()
    assert (crop.margin_x, crop.margin_top, crop.margin_bottom) == (usual.x, usual.top, usual.bottom)

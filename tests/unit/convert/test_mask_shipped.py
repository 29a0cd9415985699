"""The mask network that ships: its graph, and the same answers in every runtime and on every processor."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from convert.cli import main
from convert.errors import ConvertError
from convert.mask import graph
from convert.mask.made import made_labels
from edge_agent.vision.manifest import read
from edge_agent.vision.tflite import RuntimeName, available_runtimes

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "models" / "mask_detector.tflite"
DATA = ROOT / "tests" / "data"
#: Labels of the drawn faces by the shipped file, as ``python -m convert made-labels`` prints them.
EXPECTED = DATA / "mask_made_labels.json"


def test_no_operator_that_crashes_on_arm() -> None:
    graph.check(MODEL)
    assert "CONV_2D" in graph.operators(MODEL)


def test_a_dense_head_is_refused() -> None:
    with pytest.raises(ConvertError, match="FULLY_CONNECTED"):
        graph.check(DATA / "dense_head.tflite")


def test_other_files_are_refused_in_words(tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(b"no model at all")
    with pytest.raises(ConvertError, match=r"other\.tflite"):
        graph.check(other)


def test_it_is_small_enough() -> None:
    assert MODEL.stat().st_size <= 3_000_000
    assert 1_000_000 < graph.multiply_adds(MODEL) <= 100_000_000


def test_the_input_is_raw_rgb() -> None:
    interpreter = graph.interpreter_class()(model_path=str(MODEL))
    scale, zero_point = interpreter.get_input_details()[0]["quantization"]
    assert scale == pytest.approx(1 / 127.5, abs=1e-6)
    assert zero_point == 127


def test_the_manifest_describes_this_file() -> None:
    entry = read(MODEL.parent).get("mask_detector")
    assert entry.files[0].sha256 == hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert entry.labels == ("mask", "no_mask", "incorrect")
    assert entry.input is not None
    shape = graph.interpreter_class()(model_path=str(MODEL)).get_input_details()[0]["shape"]
    assert list(shape) == [1, entry.input.height, entry.input.width, 3]


@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
def test_every_runtime_gives_the_recorded_labels(runtime: RuntimeName) -> None:
    if runtime not in available_runtimes():
        pytest.skip(f"{runtime} is not installed")
    expected = json.loads(EXPECTED.read_text())
    labels = made_labels(MODEL, runtime)
    agreed = sum(one == other for one, other in zip(labels, expected, strict=True))
    assert len(labels) == 200
    assert agreed >= 199, f"{agreed} of 200 labels agree"


def test_drawn_faces_are_seen_for_what_they_are() -> None:
    """Bare, hand, scarf and beard faces mostly bare; well masked ones mostly masked: no constant answer passes."""
    labels = made_labels(MODEL)
    bare, masked = Counter(labels[0::10]), Counter(labels[1::10])
    assert bare["no_mask"] >= 18
    assert masked["mask"] + masked["incorrect"] >= 14
    assert len(set(labels)) == 3


def test_the_command_prints_them_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["made-labels", str(MODEL)]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 200


def test_a_missing_model_is_an_error_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["made-labels", str(tmp_path / "none.tflite")]) == 2
    assert capsys.readouterr().err.startswith("error: ")

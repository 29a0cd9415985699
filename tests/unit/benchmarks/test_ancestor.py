"""The networks with random weights are the ones they stand for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.ancestor import mobilenet


def test_mobilenet_has_the_size_of_the_original_and_gives_probabilities(tmp_path: Path) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    path = tmp_path / "mobilenet.tflite"
    mobilenet.write_mobilenet(path)
    # 2,223,872 weights of the body without batch normalisation's, which is folded, and the head's.
    body, head = 2_223_872, 1280 * 128 + 128 + 128 * 2 + 2
    assert path.stat().st_size / 4 == pytest.approx(body + head, rel=0.02)
    net = interpreter.Interpreter(str(path), num_threads=1)
    net.allocate_tensors()
    source, answer = net.get_input_details()[0], net.get_output_details()[0]
    assert tuple(source["shape"]) == (1, 224, 224, 3)
    net.set_tensor(source["index"], np.random.default_rng(0).random((1, 224, 224, 3), np.float32))
    net.invoke()
    assert net.get_tensor(answer["index"]).sum() == pytest.approx(1.0, abs=1e-4)


def test_the_naive_pipeline_runs_every_network_on_a_frame(tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="its portrait is the face in the frame")
    from benchmarks.naive import NaivePipeline, res10_files
    from benchmarks.scenes.portraits import bundled_portraits
    from edge_agent.errors import ModelError

    try:
        files = res10_files()
    except ModelError as error:
        pytest.skip(str(error))
    pipeline = NaivePipeline("tflite", files, tmp_path)
    face = next(portrait for portrait in bundled_portraits() if portrait.name == "collins")
    assert pipeline.process(face.image) == 1
    assert pipeline.process(np.full((480, 640, 3), 127, np.uint8)) == 0

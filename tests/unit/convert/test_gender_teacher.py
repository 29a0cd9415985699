"""A larger network as teacher of the one that ships; on weights at random and photos of noise."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from convert.cli import main  # noqa: E402  # after the check for the extra
from convert.errors import ConvertError  # noqa: E402
from convert.gender.augment import UNKNOWN, training_batches  # noqa: E402
from convert.gender.network import GenderNet  # noqa: E402
from convert.gender.records import load_faces, other_faces  # noqa: E402
from convert.gender.teacher import FaceResNet, Teachers, load_faceres, opened  # noqa: E402
from convert.gender.train import Settings, train  # noqa: E402

pytestmark = pytest.mark.convert
SHIPPED = Path(__file__).parents[3] / "models" / "gender_net.caffemodel"
CROPS = np.random.default_rng(4).integers(0, 256, (3, 112, 112, 3), np.uint8)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    torch.manual_seed(2)
    path = tmp_path / "large.pt"
    torch.save(FaceResNet().state_dict(), path)
    return path


def write_tfjs(folder: Path) -> dict[str, np.ndarray]:
    """FaceRes' names and shapes for TensorFlow.js, random weights in float16; returns what was written."""
    rng = np.random.default_rng(1)
    weights = {"conv1/convolution/merged_input": (3, 3, 3, 32), "conv1_bn/batchnorm_1/sub": (32,)}
    channels = 32
    for number, outputs in enumerate((64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024), 1):
        weights |= {
            f"conv_dw_{number}/depthwise_kernel": (3, 3, channels, 1),
            f"conv_dw_{number}_bn/batchnorm_1/mul": (channels,),
            f"conv_dw_{number}_bn/batchnorm_1/sub": (channels,),
            f"conv_pw_{number}/convolution/merged_input": (1, 1, channels, outputs),
            f"conv_pw_{number}_bn/batchnorm_1/sub": (outputs,),
        }
        channels = outputs
    arrays = {name: rng.normal(0, 0.1, shape).astype(np.float16) for name, shape in weights.items()}
    half = {"dtype": "float16", "original_dtype": "float32"}
    listed = [
        {"name": name, "shape": list(array.shape), "dtype": "float32", "quantization": half}
        for name, array in arrays.items()
    ]
    (folder / "part1.bin").write_bytes(b"".join(array.tobytes() for array in arrays.values()))
    manifest = {"weightsManifest": [{"paths": ["part1.bin"], "weights": listed}]}
    (folder / "faceres.json").write_text(json.dumps(manifest))
    return arrays


def test_weights_for_tensorflow_js_are_read(tmp_path: Path) -> None:
    written = write_tfjs(tmp_path)
    net = FaceResNet()
    load_faceres(net, tmp_path / "faceres.json")
    state = net.state_dict()
    last = written["conv_pw_13/convolution/merged_input"]
    np.testing.assert_array_equal(state["body.38.weight"][:, :, 0, 0], last[0, 0].T.astype(np.float32))
    scale = written["conv_dw_1_bn/batchnorm_1/mul"].astype(np.float32)
    first = written["conv_dw_1/depthwise_kernel"][..., 0].astype(np.float32) * scale
    np.testing.assert_allclose(state["body.1.convolution.weight"][:, 0], first.transpose(2, 0, 1), rtol=1e-6)


_IN_TENSORFLOW = """
import sys
import numpy as np
import tensorflow as tf
weights = dict(np.load(sys.argv[1]))
x = weights.pop("image")
x = tf.nn.conv2d(x, weights["conv1/convolution/merged_input"], 2, "SAME")
x = tf.nn.relu6(x + weights["conv1_bn/batchnorm_1/sub"])
for number, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1), 1):
    kernel, norm = weights[f"conv_dw_{number}/depthwise_kernel"], f"conv_dw_{number}_bn/batchnorm_1"
    x = tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")
    x = tf.nn.relu6(x * weights[f"{norm}/mul"] + weights[f"{norm}/sub"])
    x = tf.nn.conv2d(x, weights[f"conv_pw_{number}/convolution/merged_input"], 1, "SAME")
    x = tf.nn.relu6(x + weights[f"conv_pw_{number}_bn/batchnorm_1/sub"])
np.save(sys.argv[2], x.numpy().mean(axis=(0, 1, 2)))
"""


@pytest.mark.parametrize("side", [32, 33])
def test_it_computes_what_tensorflow_does(tmp_path: Path, side: int) -> None:
    """The padding of stride 2 on even and odd sides is where the two differ."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("needs the training extra")
    written = {name: array.astype(np.float32) for name, array in write_tfjs(tmp_path).items()}
    image = np.random.default_rng(side).normal(0, 50, (1, side, side, 3)).astype(np.float32)
    net = FaceResNet()
    load_faceres(net, tmp_path / "faceres.json")
    np.savez(tmp_path / "in.npz", image=image, **written)
    # In a process of its own: how many threads TensorFlow has can be said only before it computes.
    command = [sys.executable, "-c", _IN_TENSORFLOW, str(tmp_path / "in.npz"), str(tmp_path / "out.npy")]
    subprocess.run(command, check=True, capture_output=True)
    with torch.inference_mode():
        ours = net.eval().features(torch.from_numpy(image.transpose(0, 3, 1, 2))).numpy()
    np.testing.assert_allclose(ours[0], np.load(tmp_path / "out.npy"), atol=1e-3)


@pytest.mark.parametrize("damage", ["no json", "other shape", "short"])
def test_what_is_not_faceres_is_refused(tmp_path: Path, damage: str) -> None:
    write_tfjs(tmp_path)
    manifest, data = tmp_path / "faceres.json", tmp_path / "part1.bin"
    if damage == "no json":
        manifest.write_text("<html>")
    elif damage == "short":
        data.write_bytes(data.read_bytes()[:1000])
    else:
        manifest.write_text(manifest.read_text().replace("[3, 3, 3, 32]", "[3, 3, 32, 3]"))
    with pytest.raises(ConvertError, match=r"faceres\.json"):
        load_faceres(FaceResNet(), manifest)


def test_teachers_of_different_sizes_answer_as_one(large: Path) -> None:
    both, one, other = (Teachers(paths) for paths in ([large, SHIPPED], [large], [SHIPPED]))
    logits = [np.log(teacher.tell(CROPS).numpy()) for teacher in (one, other)]
    odds = np.exp(np.mean([logit - logit.mean(axis=1, keepdims=True) for logit in logits], axis=0))
    assert both.size == 112
    np.testing.assert_allclose(both.tell(CROPS).numpy(), odds / odds.sum(axis=1, keepdims=True), atol=1e-4)


def test_a_file_tells_which_network_it_holds(large: Path, tmp_path: Path) -> None:
    torch.save(GenderNet().state_dict(), tmp_path / "small.pt")
    assert isinstance(opened(large), FaceResNet)
    assert isinstance(opened(tmp_path / "small.pt"), GenderNet)
    assert isinstance(opened(SHIPPED), GenderNet)
    (tmp_path / "none.pt").write_bytes(b"nothing")
    with pytest.raises(ConvertError, match=r"none\.pt holds no weights"):
        opened(tmp_path / "none.pt")


def test_faces_without_a_label_fill_a_quarter(write_gender_dataset: Callable[..., None], tmp_path: Path) -> None:
    write_gender_dataset(tmp_path, 12)
    photo = (tmp_path / "gender/male/face_0.jpg").read_bytes()
    (tmp_path / "mask").mkdir()
    (tmp_path / "mask/a.jpg").write_bytes(photo)
    boxes = [{"box": [20, 20, 120, 130]}, {"box": [0, 0, 30, 90]}]  # the second is narrower than 40 pixels
    with (tmp_path / "faces.jsonl").open("a") as lines:
        lines.write(json.dumps({"file": "mask/a.jpg", "faces": boxes}) + "\n")

    others = other_faces(tmp_path)
    faces = load_faces(tmp_path, tmp_path / "cache")
    batch = next(training_batches(faces, np.arange(12), 32, 8, np.random.default_rng(1), others))

    assert [other.box for other in others] == [(20, 20, 120, 130)]
    assert batch.sex.tolist().count(UNKNOWN) == 2
    assert set(batch.age[-2:]) == set(batch.race[-2:]) == {UNKNOWN}
    assert batch.crops.shape == (8, 32, 32, 3)
    assert batch.crops[-1].std() > 1


def test_a_large_network_is_trained_and_teaches(
    write_gender_dataset: Callable[..., None], tmp_path: Path, large: Path
) -> None:
    write_gender_dataset(tmp_path, 24)
    cache, short = tmp_path / "cache", {"minutes": 0.05, "batch": 4, "small_part": 0.0}
    teacher = train(tmp_path, cache, large, tmp_path / "large", Settings(large=True, **short))
    assert isinstance(opened(teacher), FaceResNet)
    taught = Settings(teachers=(teacher, SHIPPED), **short)
    assert isinstance(opened(train(tmp_path, cache, SHIPPED, tmp_path / "small", taught)), GenderNet)
    with pytest.raises(ConvertError, match="see --large"):
        train(tmp_path, cache, large, tmp_path / "wrong", Settings(**short))


def test_networks_are_averaged(large: Path, tmp_path: Path) -> None:
    shipped, other, out = opened(SHIPPED), tmp_path / "other.pt", tmp_path / "mean.pt"
    torch.save({name: value + 2 for name, value in shipped.state_dict().items()}, other)
    assert main(["average-gender", str(SHIPPED), str(other), "--out", str(out)]) == 0
    mean = opened(out).body.state_dict()
    for name, value in shipped.body.state_dict().items():
        torch.testing.assert_close(mean[name], value + 1)
    assert main(["average-gender", str(SHIPPED), str(large), "--out", str(out)]) == 2

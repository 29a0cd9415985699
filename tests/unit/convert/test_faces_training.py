"""The face net, its loss, and a training that learns, stops and goes on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch", reason="needs the training extra")

from convert.cli import main  # noqa: E402
from convert.errors import ConvertError  # noqa: E402
from convert.faces import network as net_room  # noqa: E402
from convert.faces.export import to_caffe  # noqa: E402
from convert.faces.loss import Targets, loss, overlap  # noqa: E402
from convert.faces.network import FaceNet, RawInput, flatten, points  # noqa: E402
from convert.faces.train import Trainer, TrainSettings, rate_at, train  # noqa: E402
from edge_agent.vision.faces import edge_face  # noqa: E402
from edge_agent.vision.faces.edge_face import EdgeFace, decode  # noqa: E402

from .test_faces_data import make_dataset  # noqa: E402

pytestmark = pytest.mark.convert
FACE = (40.0, 30.0, 100.0, 110.0)


def _targets(boxes: list[tuple[float, ...]], ignore: list[tuple[float, ...]] | None = None) -> Targets:
    found = torch.tensor(boxes).reshape(-1, 4)
    left = torch.tensor(ignore or []).reshape(-1, 4)
    return Targets(found, torch.zeros(len(found), dtype=torch.long), left, torch.zeros(len(left), dtype=torch.long))


def _settings(tmp_path: Path) -> TrainSettings:
    return TrainSettings(dataset=tmp_path, checkpoint=tmp_path / "net.pt", minutes=1.0)


def test_the_device_decodes_as_the_trainer_does() -> None:
    torch.manual_seed(0)
    maps = tuple(torch.randn(1, 5, 64 // stride, 96 // stride) for stride in edge_face.STRIDES)
    centres, strides, priors = points(64, 96)
    raw = flatten(maps)[0]
    expected = net_room.decode(raw[:, 1:], centres, strides, priors).numpy()
    rectangles, scores = decode(raw.T.numpy(), 64, 96, -np.inf)
    boxes = np.array([(x, y, x + width, y + height) for x, y, width, height in rectangles])
    np.testing.assert_allclose(boxes, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(scores, torch.sigmoid(raw[:, 0]).numpy(), rtol=1e-5, atol=1e-6)


def test_what_the_device_is_given_is_in_the_order_of_points() -> None:
    torch.manual_seed(0)
    net, image = FaceNet().eval(), torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        given, expected = RawInput(net).eval()(255 * image), flatten(net(image))
    assert given.shape == (1, 5, len(points(64, 96)[0]))
    torch.testing.assert_close(given.transpose(1, 2), expected, rtol=1e-4, atol=1e-4)


def test_overlap_of_boxes() -> None:
    a, b = torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([[5.0, 0.0, 15.0, 10.0]])
    iou, general, distance = overlap(a, b)
    assert float(iou) == pytest.approx(1 / 3)
    assert float(general) == pytest.approx(1 / 3)  # the hull is the union
    assert float(distance) == pytest.approx(1 / 3 - 25 / 325)


def test_a_right_answer_costs_less_than_a_wrong_one() -> None:
    centres, strides, priors = points(128, 128)
    raw = torch.full((1, len(centres), 5), 0.0)
    raw[..., 0] = -6.0
    centre = torch.tensor([(FACE[0] + FACE[2]) / 2, (FACE[1] + FACE[3]) / 2])
    size = torch.tensor([FACE[2] - FACE[0], FACE[3] - FACE[1]])
    near = ((centres - centre).abs() < strides[:, None]).all(1)
    right = raw.clone()
    right[0, near, 0] = 6.0
    right[0, near, 1:3] = (centre - centres[near]) / strides[near, None]
    right[0, near, 3:] = torch.log(size / priors[near, None])
    wrong = raw.clone()
    wrong[0, ~near, 0] = 6.0
    targets = _targets([FACE])
    cost_right, parts = loss(right, targets, 128, 128)
    cost_wrong, _ = loss(wrong, targets, 128, 128)
    assert parts["positives"] >= 1
    assert parts["box"] < 0.01
    assert float(cost_right) < 0.1 * float(cost_wrong)


def test_what_is_to_be_ignored_costs_nothing() -> None:
    centres, _, _ = points(128, 128)
    raw = torch.full((1, len(centres), 5), -8.0)
    inside = ((centres > 70) & (centres < 120)).all(1)
    raw[0, inside, 0] = 5.0
    punished, _ = loss(raw, _targets([]), 128, 128)
    ignored, _ = loss(raw, _targets([], [(70.0, 70.0, 120.0, 120.0)]), 128, 128)
    assert float(punished) > 1.0
    assert float(ignored) < 0.1


def test_it_learns_one_picture_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    trainer = Trainer(_settings(tmp_path))
    image = np.zeros((2, 128, 128, 3), np.uint8)
    image[:, int(FACE[1]) : int(FACE[3]), int(FACE[0]) : int(FACE[2])] = 200
    images = torch.from_numpy(image)
    box = torch.tensor([FACE, FACE])
    targets = Targets(box, torch.tensor([0, 1]), torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    boxes = [trainer.step(images, targets, 5e-3)["box"] for _ in range(30)]
    assert boxes[-1] < 0.5 * boxes[0]
    trainer.save()
    again = Trainer(_settings(tmp_path))
    again.resume()
    assert again.steps == 30
    for name, value in trainer.average.net.state_dict().items():
        torch.testing.assert_close(again.average.net.state_dict()[name], value)


def test_a_training_leaves_its_history_and_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_dataset(tmp_path)
    monkeypatch.setattr("convert.faces.train.REPORT_EVERY", 1)
    out = tmp_path / "run"
    trainer = train(TrainSettings(tmp_path, out / "net.pt", minutes=0.02, pixels=40_000))
    rows = (out / "history.csv").read_text().split()
    assert rows[0] == "seconds,step,score,box,positives"
    assert len(rows) == trainer.steps + 1 > 1
    assert "step 1, score " in capsys.readouterr().err
    again = Trainer(TrainSettings(tmp_path, out / "net.pt", minutes=1.0))
    again.resume()
    assert again.steps == trainer.steps


def test_the_rate_rises_and_falls(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    rates = [rate_at(done, settings) for done in (0.0, 0.02, 0.5, 1.0)]
    assert rates[0] < rates[1]
    assert rates[1] > rates[2] > rates[3] > 0


def test_the_exported_net_is_the_averaged_one_and_runs_on_the_device(tmp_path: Path) -> None:
    trainer = Trainer(_settings(tmp_path))
    trainer.save()
    files = tmp_path / "face.prototxt", tmp_path / "face.caffemodel"
    done = to_caffe(tmp_path / "net.pt", *files)
    assert done.difference < 1e-4
    assert done.bytes < 1_500_000
    assert done.parameters == sum(p.numel() for p in FaceNet().parameters()) < 1_000_000
    detector = EdgeFace(*files, side=160, threshold=0.001)
    noise = np.random.default_rng(0).integers(0, 255, (100, 150, 3), dtype=np.uint8)
    assert len(detector.detect(noise)) > 0  # an untrained net sees faces everywhere


def test_the_command_prints_the_lines_for_the_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Trainer(_settings(tmp_path)).save()
    for option in ("--out", "--output"):  # the latter is what it was called before
        out = tmp_path / option.strip("-")
        assert main(["to-caffe", "--checkpoint", str(tmp_path / "net.pt"), option, str(out)]) == 0
        printed = capsys.readouterr().out
        (entry,) = yaml.safe_load(printed.partition("for the manifest:\n")[2])
        assert entry["name"] == "edge_face"
        assert [file["file"] for file in entry["files"]] == ["face_detector.prototxt", "face_detector.caffemodel"]
        for file in entry["files"]:
            written = (out / file["file"]).read_bytes()
            assert (file["sha256"], file["size"]) == (hashlib.sha256(written).hexdigest(), len(written))


def test_weights_that_suffer_from_rounding_are_told_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Trainer(_settings(tmp_path)).save()
    monkeypatch.setattr("convert.faces.export.TOLERANCE_FP16", 0.0)
    with pytest.raises(ConvertError, match="export with --no-fp16"):
        to_caffe(tmp_path / "net.pt", tmp_path / "a.prototxt", tmp_path / "a.caffemodel")


def test_another_file_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save({"weights": 1}, tmp_path / "other.pt")
    with pytest.raises(ConvertError, match="no checkpoint"):
        to_caffe(tmp_path / "other.pt", tmp_path / "a", tmp_path / "b")

"""What the exporter writes, OpenCV computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")
pytest.importorskip("google.protobuf", reason="needs the training extra")

import cv2  # noqa: E402
from torch import nn  # noqa: E402

from convert.caffe.check import largest_difference  # noqa: E402
from convert.caffe.from_torch import from_torch  # noqa: E402
from convert.caffe.graph import Graph, export  # noqa: E402
from convert.caffe.to_torch import load_caffe, settle  # noqa: E402
from convert.errors import ConvertError  # noqa: E402

pytestmark = pytest.mark.convert
TOLERANCE = 1e-4


def _used(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """A batch norm whose statistics are not the initial ones, so that folding it wrong shows."""
    nn.init.uniform_(norm.running_mean, -1.0, 1.0)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.uniform_(norm.bias, -0.5, 0.5)
    return norm


class _Everything(nn.Module):
    """One of each layer the networks use."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.norm = _used(nn.BatchNorm2d(8))
        self.depthwise = nn.Conv2d(8, 8, 3, 2, 1, groups=8)
        self.six = nn.ReLU6()
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.mean = nn.AvgPool2d(2)
        self.everywhere = nn.AdaptiveAvgPool2d(1)
        self.flat = nn.Flatten()
        self.drop = nn.Dropout(0.5)
        self.dense = nn.Linear(16, 2)
        self.prob = nn.Softmax(dim=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        near = torch.relu(self.norm(self.first(x)))
        far = self.six(self.depthwise(near))
        near = near + self.up(far)
        both = torch.cat((self.pool(near), self.mean(near)), dim=1)
        pooled = self.drop(self.flat(self.everywhere(both)))
        return torch.sigmoid(near), self.prob(self.dense(pooled))


@pytest.fixture(name="net")
def _net() -> nn.Module:
    torch.manual_seed(0)
    return _Everything().eval()


def _write(net: nn.Module, folder: Path, *, fp16: bool = False) -> tuple[Path, Path]:
    files = folder / "net.prototxt", folder / "net.caffemodel"
    export(from_torch(net, {"data": (1, 3, 64, 96)}, name="net", outputs=("map", "answer")), *files, fp16=fp16)
    return files


def test_opencv_computes_the_same(net: nn.Module, tmp_path: Path) -> None:
    files = _write(net, tmp_path)
    assert largest_difference(net, *files, (1, 3, 64, 96), outputs=("map", "answer")) < TOLERANCE


def test_a_wrong_weight_shows_in_the_check(net: nn.Module, tmp_path: Path) -> None:
    files = _write(net, tmp_path)
    with torch.no_grad():
        net.depthwise.weight.add_(0.1)
    assert largest_difference(net, *files, (1, 3, 64, 96), outputs=("map", "answer")) > TOLERANCE


def test_float16_weights_load_and_take_half_the_room(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3))
    sizes = []
    for fp16 in (False, True):
        files = tmp_path / f"{fp16}.prototxt", tmp_path / f"{fp16}.caffemodel"
        export(from_torch(net, {"data": (1, 3, 32, 32)}, name="net", outputs=("out",)), *files, fp16=fp16)
        sizes.append(files[1].stat().st_size)
    difference = largest_difference(net, *files, (1, 3, 32, 32))
    assert 0.0 < difference < 5e-3
    assert sizes[1] < 0.55 * sizes[0]


def test_a_convolutional_net_takes_other_sizes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    files = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    export(from_torch(net, {"data": (1, 3, 32, 32)}, name="net", outputs=("out",)), *files)
    assert largest_difference(net, *files, (1, 3, 96, 160)) < TOLERANCE


def test_what_opencv_does_not_know_is_refused() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU())
    with pytest.raises(ConvertError, match="GELU"):
        from_torch(net, {"data": (1, 3, 32, 32)}, name="net", outputs=("out",))


def test_flattening_some_dimensions_only_is_refused() -> None:
    class Some(nn.Module):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1, 2)

    with pytest.raises(ConvertError, match="last dimension"):
        from_torch(Some(), {"data": (1, 3, 8, 8)}, name="n", outputs=["o"])


def test_outputs_must_all_be_named(net: nn.Module) -> None:
    with pytest.raises(ConvertError, match="returns 2 tensors"):
        from_torch(net, {"data": (1, 3, 64, 96)}, name="net", outputs=("only",))


def test_weights_beyond_float16_are_refused(tmp_path: Path) -> None:
    graph = Graph("net", {"data": (1, 1, 4, 4)})
    graph.convolution("conv", "data", np.full((1, 1, 1, 1), 1e6, np.float32))
    with pytest.raises(ConvertError, match="beyond float16"):
        export(graph, tmp_path / "a", tmp_path / "b", fp16=True)


def test_a_graph_by_hand(tmp_path: Path) -> None:
    graph = Graph("net", {"data": (1, 1, 2, 2)})
    top = graph.convolution("twice", "data", np.full((1, 1, 1, 1), 2.0, np.float32), np.ones(1, np.float32))
    graph.eltwise("product", [top, "data"], "PROD")
    files = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    export(graph, *files)
    net = cv2.dnn.readNetFromCaffe(*map(str, files))
    data = np.asarray([[[[1.0, 2.0], [3.0, -4.0]]]], np.float32)
    net.setInput(data)
    np.testing.assert_allclose(net.forward(), (2 * data + 1) * data)


def test_a_layer_needs_its_input() -> None:
    graph = Graph("net", {"data": (1, 1, 2, 2)})
    with pytest.raises(ConvertError, match="no earlier layer"):
        graph.relu("relu", "nowhere")
    graph.relu("relu", "data")
    with pytest.raises(ConvertError, match="twice"):
        graph.relu("relu", "data")


def _same(ours: tuple[torch.Tensor, ...], theirs: tuple[torch.Tensor, ...], tolerance: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize(("fp16", "tolerance"), [(False, 1e-5), (True, 5e-3)])
def test_written_weights_come_back(net: nn.Module, tmp_path: Path, fp16: bool, tolerance: float) -> None:
    prototxt, caffemodel = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    graph = from_torch(net, {"data": (1, 3, 32, 32)}, name="net", outputs=("near", "prob"))
    export(graph, prototxt, caffemodel, fp16=fp16)
    again = _Everything()
    norms = load_caffe(again, caffemodel)
    assert norms == [again.norm]
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected = net.eval()(images)
        _same(again.eval()(images), expected, tolerance)
        settle(again, norms, [images])
        _same(again.eval()(images), expected, tolerance)
        again.train()
        again.drop.eval()
        _same(again(images), expected, tolerance)  # with the statistics of the batch, as a training sees it


def test_weights_of_another_network_are_refused(net: nn.Module, tmp_path: Path) -> None:
    prototxt, caffemodel = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    export(from_torch(net, {"data": (1, 3, 32, 32)}, name="net", outputs=("near", "prob")), prototxt, caffemodel)
    with pytest.raises(ConvertError, match="3 layers with weights, this network 1"):
        load_caffe(nn.Sequential(nn.Conv2d(3, 8, 3)), caffemodel)
    narrow = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(1), nn.Linear(4, 2))
    with pytest.raises(ConvertError, match="'first' is not of this network"):
        load_caffe(narrow, caffemodel)
    with pytest.raises(ConvertError, match="can't be read as a Caffe file"):
        load_caffe(net, prototxt)

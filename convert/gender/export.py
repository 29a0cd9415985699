"""From trained weights to the two Caffe files, with probabilities that mean what they say."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convert import manifest
from convert.caffe.check import largest_difference
from convert.caffe.from_torch import from_torch
from convert.caffe.graph import export
from convert.calibration import temperature
from convert.errors import ConvertError
from convert.gender.augment import MARGINS, plain_crops
from convert.gender.measure import male_scores, right_and_sure, threshold_for
from convert.gender.network import INPUT_SIZE, GenderNet, as_input
from convert.gender.records import SEXES, Faces
from convert.gender.teacher import opened
from edge_agent.vision.gender import GenderClassifier
from edge_agent.vision.manifest import CropContract, InputContract, ModelEntry

_log = logging.getLogger(__name__)
NAME = "gender_net"
_SHAPE = (1, 3, INPUT_SIZE, INPUT_SIZE)
#: float16 keeps eleven bits of each weight; what that moves a probability by.
_TOLERATED = 5e-3


@dataclass(frozen=True)
class Exported:
    """What was written and what the manifest needs to know of it."""

    prototxt: Path
    caffemodel: Path
    temperature: float
    threshold: float
    difference: float
    """Largest difference between OpenCV and PyTorch on noise, of a probability, as written."""

    def manifest(self) -> str:
        """The fields of the manifest's entry that depend on the files, as YAML."""
        return (
            f"{manifest.entry(NAME, self.prototxt, self.caffemodel)}    labels: [{', '.join(SEXES)}]\n"
            f"    threshold: {self.threshold}\n    input:\n      width: {INPUT_SIZE}\n      height: {INPUT_SIZE}\n"
            f"      colour: BGR\n      scale: {1 / 127.5:.12g}\n      mean: [127.5, 127.5, 127.5]\n"
            f"      crop:\n        margin_x: {MARGINS.x}\n        margin_top: {MARGINS.top}\n"
            f"        margin_bottom: {MARGINS.bottom}\n"
        )


def contract() -> ModelEntry:
    """What our network is fed, in the words of the manifest."""
    crop = CropContract(margin_x=MARGINS.x, margin_top=MARGINS.top, margin_bottom=MARGINS.bottom)
    fed = InputContract(
        width=INPUT_SIZE, height=INPUT_SIZE, colour="BGR", scale=1 / 127.5, mean=(127.5, 127.5, 127.5), crop=crop
    )
    return ModelEntry(
        name=NAME, role="gender", bundled=True, licence="", source="", files=(), labels=SEXES, input=fed
    )


def to_caffe(weights: Path, faces: Faces, out: Path, *, wanted: float, fp16: bool = True) -> Exported:
    """Write ``gender_net.prototxt`` and ``gender_net.caffemodel``.

    The temperature that makes probabilities honest is found on the calibration split, half of it masked, cut at
    the boxes the photos came with and at the device's own. It is divided into the last layer, so that any reader of
    the files gets calibrated answers. The threshold is then found on the same crops with the written files.

    Args:
        weights: state dict of :class:`GenderNet`, from training.
        faces: the photos trained on.
        out: folder for the files.
        wanted: share of answers that shall be right from the threshold on.
        fp16: write the weights as float16.

    Raises:
        ConvertError: the weights are of another network, OpenCV computes something else, or no threshold
            suffices.
    """
    net = opened(weights).eval()
    if not isinstance(net, GenderNet):
        raise ConvertError(f"{weights} holds no weights of this network, but of the large one, which does not ship")
    indices = faces.split("calibration")
    views = [{"masked": masked, "device": device} for masked in (False, True) for device in (False, True)]
    sex = np.tile(faces.sex[indices], len(views))
    crops = np.concatenate([plain_crops(faces, indices, INPUT_SIZE, **view) for view in views])
    divisor = temperature(_logits(net, crops), sex)
    with torch.no_grad():
        net.sex.weight.div_(divisor)
        net.sex.bias.div_(divisor)
    shipped = nn.Sequential(net.body, net.pool, nn.Flatten(1), net.sex, nn.Softmax(1))
    out.mkdir(parents=True, exist_ok=True)
    prototxt, caffemodel = out / f"{NAME}.prototxt", out / f"{NAME}.caffemodel"
    graph = from_torch(shipped, {"data": _SHAPE}, name=NAME, outputs=("prob",))
    export(graph, prototxt, caffemodel, fp16=fp16)
    difference = largest_difference(shipped, prototxt, caffemodel, _SHAPE)
    if difference > _TOLERATED:
        raise ConvertError(f"OpenCV's answer differs from PyTorch's by {difference:.4f}")
    classifier = GenderClassifier(prototxt, caffemodel, contract(), backend="cpu")
    scores = [male_scores(classifier, faces, indices, **view)[0] for view in views]
    threshold = threshold_for(*right_and_sure(np.concatenate(scores), sex), wanted)
    return Exported(prototxt, caffemodel, divisor, threshold, difference)


def _logits(net: GenderNet, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return np.concatenate([net(as_input(crops[i : i + 64])).numpy() for i in range(0, len(crops), 64)])

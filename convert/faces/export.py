"""A checkpoint of the face net as the two Caffe files the device loads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch

from convert import manifest
from convert.caffe.check import largest_difference
from convert.caffe.from_torch import from_torch
from convert.caffe.graph import export
from convert.errors import ConvertError
from convert.faces.network import FaceNet, RawInput
from edge_agent.vision.faces.edge_face import OUTPUT, STRIDES

NAME = "edge_face"
"""Of the model's entry in the manifest."""
TOLERANCE = 1e-4
"""Largest difference from PyTorch, relative to the largest output, with float32 weights."""
TOLERANCE_FP16 = 2e-2
"""The same with weights rounded to float16."""
SHAPE = (1, 3, 384, 512)


@dataclass(frozen=True)
class Exported:
    """What was written, and how far OpenCV's outputs are from PyTorch's."""

    prototxt: Path
    caffemodel: Path
    difference: float
    difference_fp16: float | None
    parameters: int
    bytes: int

    def manifest(self) -> str:
        """The fields of the manifest's entry that depend on the files, as YAML."""
        return manifest.entry(NAME, self.prototxt, self.caffemodel)


def to_caffe(checkpoint: Path, prototxt: Path, caffemodel: Path, *, fp16: bool = True) -> Exported:
    """Export the averaged net of a checkpoint and check it in OpenCV, with float32 weights first.

    Raises:
        ConvertError: no checkpoint of this net, or OpenCV computes something else.
    """
    try:
        state = torch.load(checkpoint, weights_only=True)["average"]["net"]
        net = FaceNet()
        net.load_state_dict(state)
    except (OSError, EOFError, KeyError, TypeError, RuntimeError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise ConvertError(
            f"{checkpoint} is no checkpoint of train-faces: {reason} (a gender network needs --dataset and --cache)"
        ) from error
    module = RawInput(net).eval()
    graph = from_torch(module, {"data": SHAPE}, name=NAME, outputs=[OUTPUT], rename=_short)
    shape = (1, 3, 96, 160)  # not the one it is written for: any multiple of 32 must do
    export(graph, prototxt, caffemodel)
    difference = largest_difference(module, prototxt, caffemodel, shape, outputs=[OUTPUT], amplitude=255.0)
    if difference > TOLERANCE:
        raise ConvertError(f"OpenCV differs from PyTorch by {difference:.1e}, more than {TOLERANCE:.0e}")
    halved = None
    if fp16:
        export(graph, prototxt, caffemodel, fp16=True)
        halved = largest_difference(module, prototxt, caffemodel, shape, outputs=[OUTPUT], amplitude=255.0)
        if halved > TOLERANCE_FP16:
            raise ConvertError(f"float16 weights change the outputs by {halved:.1e}; export with --no-fp16")
    count = sum(parameter.numel() for parameter in net.parameters())
    return Exported(prototxt, caffemodel, difference, halved, count, caffemodel.stat().st_size)


def _short(name: str) -> str:
    """Layer names without the wrapper's prefix; the levels' outputs after their strides."""
    name = name.removeprefix("net_")
    return f"face{STRIDES[int(name[-1])]}" if name.startswith("out_") else name

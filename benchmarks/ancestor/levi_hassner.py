"""The 227×227 gender network of Levi and Hassner with random weights, as the two files OpenCV reads.

Architecture: G. Levi and T. Hassner, "Age and Gender Classification Using Convolutional Neural Networks",
CVPR workshops 2015, section 4; the real weights are for research only and are not needed to measure speed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

SIZE = 227

_INPUT = f'name: "gender" input: "data" input_dim: 1 input_dim: 3 input_dim: {SIZE} input_dim: {SIZE}\n'
_CONVOLUTIONS = (
    # name, input channels, filters, kernel, stride, padding
    ("conv1", 3, 96, 7, 4, 0),
    ("conv2", 96, 256, 5, 1, 2),
    ("conv3", 256, 384, 3, 1, 1),
)
_DENSE = (("fc6", 384 * 7 * 7, 512), ("fc7", 512, 512), ("fc8", 512, 2))


def write_levi_hassner(prototxt: Path, caffemodel: Path, seed: int = 0) -> None:
    """Write structure and weights: BGR 227×227 in, two probabilities out."""
    rng = np.random.default_rng(seed)
    text, weights, top = [_INPUT], [], "data"
    for number, (name, depth, filters, kernel, stride, pad) in enumerate(_CONVOLUTIONS, 1):
        settings = f"num_output: {filters} kernel_size: {kernel} stride: {stride} pad: {pad}"
        text.append(_layer("Convolution", name, top, f"convolution_param {{ {settings} }}"))
        weights.append(_weights("Convolution", name, (filters, depth, kernel, kernel), rng))
        text.append(_layer("ReLU", f"relu{number}", name, "", in_place=True))
        pooling = "pooling_param { pool: MAX kernel_size: 3 stride: 2 }"
        text.append(_layer("Pooling", f"pool{number}", name, pooling))
        top = f"pool{number}"
        if number < 3:
            norm = "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"
            text.append(_layer("LRN", f"norm{number}", top, norm))
            top = f"norm{number}"
    for name, depth, units in _DENSE:
        text.append(_layer("InnerProduct", name, top, f"inner_product_param {{ num_output: {units} }}"))
        weights.append(_weights("InnerProduct", name, (units, depth), rng))
        if name != "fc8":
            text.append(_layer("ReLU", f"relu_{name}", name, "", in_place=True))
        top = name
    text.append(_layer("Softmax", "prob", top, ""))
    prototxt.write_text("\n".join(text), encoding="utf-8")
    caffemodel.write_bytes(b"".join(weights))


def _layer(kind: str, name: str, bottom: str, settings: str, *, in_place: bool = False) -> str:
    top = bottom if in_place else name
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{top}" {settings} }}'


def _weights(kind: str, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> bytes:
    """A layer of a caffemodel: all that OpenCV reads there are its name, type and numbers.

    Field numbers: https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto
    """
    layer = _field(1, name.encode()) + _field(2, kind.encode())
    for array in (rng.normal(0, 0.01, shape), np.zeros(shape[0])):
        sides = b"".join(_varint(side) for side in array.shape)
        layer += _field(7, _field(7, _field(1, sides)) + _field(5, array.astype("<f4").tobytes()))
    return _field(100, layer)


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field of protobuf's wire format (https://protobuf.dev/programming-guides/encoding)."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

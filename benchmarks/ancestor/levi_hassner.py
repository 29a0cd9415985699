"""Random weights for the 227×227 gender network of Levi and Hassner, in the binary form that OpenCV reads.

The structure is `models/levi_hassner.prototxt`; the authors' weights are for research only, and speed does not
depend on them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

SIZE = 227
PROTOTXT = Path(__file__).resolve().parents[2] / "models" / "levi_hassner.prototxt"

_SHAPES = {
    "conv1": (96, 3, 7, 7),
    "conv2": (256, 96, 5, 5),
    "conv3": (384, 256, 3, 3),
    "fc6": (512, 384 * 7 * 7),
    "fc7": (512, 512),
    "fc8": (2, 512),
}


def write_weights(caffemodel: Path, seed: int = 0) -> None:
    """Write a weights file that fits `PROTOTXT`."""
    rng = np.random.default_rng(seed)
    caffemodel.write_bytes(b"".join(_layer(name, shape, rng) for name, shape in _SHAPES.items()))


def _layer(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> bytes:
    """A layer of a caffemodel: all that OpenCV reads there are its name, type and numbers.

    Field numbers: https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto
    """
    kind = "Convolution" if len(shape) == 4 else "InnerProduct"
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

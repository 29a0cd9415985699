"""The part of Caffe's protobuf schema that our networks need.

Caffe's own Python package is no longer built for current Pythons, so the messages are described here and handed to
the `protobuf` library, which then writes both the text (prototxt) and the binary form (caffemodel).

Field numbers: https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto; the half precision fields
`raw_data_type` and `raw_data`, and `ceil_mode`, are OpenCV's own additions:
https://github.com/opencv/opencv/blob/4.x/modules/dnn/src/caffe/opencv-caffe.proto.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FLOAT16 = 2  # enum Type of opencv-caffe.proto

_PACKAGE = "edge_agent_caffe"
# message: {field: (number, type)}; "*" before the type: repeated, "[]": repeated and packed.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "BlobShape": {"dim": (1, "[]int64")},
    "BlobProto": {"shape": (7, "BlobShape"), "data": (5, "[]float"), "raw_data_type": (10, "int32"),
    "raw_data": (12, "bytes")},
    "InputParameter": {"shape": (1, "*BlobShape")},
    "ConcatParameter": {"axis": (2, "int32")},
    "ConvolutionParameter": {
        "num_output": (1, "uint32"), "bias_term": (2, "bool"), "group": (5, "uint32"),
        "pad_h": (9, "uint32"), "pad_w": (10, "uint32"), "kernel_h": (11, "uint32"), "kernel_w": (12, "uint32"),
        "stride_h": (13, "uint32"), "stride_w": (14, "uint32"), "dilation": (18, "*uint32"),
    },
    "EltwiseParameter": {"operation": (1, "EltwiseOp")},
    "FlattenParameter": {"axis": (1, "int32")},
    "InnerProductParameter": {"num_output": (1, "uint32"), "bias_term": (2, "bool")},
    "PoolingParameter": {
        "pool": (1, "PoolMethod"), "kernel_h": (5, "uint32"), "kernel_w": (6, "uint32"), "stride_h": (7, "uint32"),
        "stride_w": (8, "uint32"), "pad_h": (9, "uint32"), "pad_w": (10, "uint32"), "global_pooling": (12, "bool"),
        "ceil_mode": (13, "bool"),
    },
    "ReLUParameter": {"negative_slope": (1, "float")},
    "SoftmaxParameter": {"axis": (2, "int32")},
    "LayerParameter": {
        "name": (1, "string"), "type": (2, "string"), "bottom": (3, "*string"), "top": (4, "*string"),
        "blobs": (7, "*BlobProto"),
        "concat_param": (104, "ConcatParameter"), "convolution_param": (106, "ConvolutionParameter"),
        "eltwise_param": (110, "EltwiseParameter"), "inner_product_param": (117, "InnerProductParameter"),
        "pooling_param": (121, "PoolingParameter"), "relu_param": (123, "ReLUParameter"),
        "softmax_param": (125, "SoftmaxParameter"), "flatten_param": (135, "FlattenParameter"),
        "input_param": (143, "InputParameter"),
    },
    "NetParameter": {"name": (1, "string"), "layer": (100, "*LayerParameter")},
}  # fmt: skip
_ENUMS = {"EltwiseOp": ("PROD", "SUM", "MAX"), "PoolMethod": ("MAX", "AVE")}


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str) -> None:
    proto = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(name=name, number=number, label=proto.LABEL_OPTIONAL)
    if kind.startswith(("*", "[]")):
        field.label = proto.LABEL_REPEATED
        if kind.startswith("[]"):
            field.options.packed = True
        kind = kind.lstrip("*[]")
    if kind in _ENUMS:
        # Nested in its message, as in Caffe: MAX is a value of two enums.
        field.type, field.type_name = proto.TYPE_ENUM, f".{_PACKAGE}.{message.name}.{kind}"
        enum = message.enum_type.add(name=kind)
        for value, value_name in enumerate(_ENUMS[kind]):
            enum.value.add(name=value_name, number=value)
    elif kind in _MESSAGES:
        field.type, field.type_name = proto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = getattr(proto, f"TYPE_{kind.upper()}")


@lru_cache(maxsize=1)
def _net_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="edge_agent_caffe.proto", package=_PACKAGE, syntax="proto2")
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for name, (number, kind) in fields.items():
            _add_field(message, name, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.NetParameter"))


def new_net(name: str) -> Any:
    """An empty NetParameter message; protobuf builds its class at run time, so it has no static type."""
    return _net_class()(name=name)

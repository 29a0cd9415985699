"""PyTorch → Caffe: our own exporter, for networks that OpenCV's Caffe importer runs on the device; and back.

from convert.caffe import export, from_torch, largest_difference

graph = from_torch(module, {"data": (1, 3, 224, 224)}, name="net", outputs=("prob",))
export(graph, prototxt, caffemodel, fp16=True)
difference = largest_difference(module, prototxt, caffemodel, (1, 3, 224, 224))
"""

from __future__ import annotations

from convert.caffe.check import largest_difference
from convert.caffe.from_torch import from_torch
from convert.caffe.graph import Graph, export
from convert.caffe.to_torch import load_caffe, settle

__all__ = ["Graph", "export", "from_torch", "largest_difference", "load_caffe", "settle"]

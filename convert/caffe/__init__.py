"""PyTorch → Caffe: our own exporter, for networks that OpenCV's Caffe importer runs on the device; and back.

    from convert.caffe.check import largest_difference
    from convert.caffe.from_torch import from_torch
    from convert.caffe.graph import export

    graph = from_torch(module, {"data": (1, 3, 224, 224)}, name="net", outputs=("prob",))
    export(graph, prototxt, caffemodel, fp16=True)
    difference = largest_difference(module, prototxt, caffemodel, (1, 3, 224, 224))

Only what has torch in its name, and the check, needs PyTorch.
"""

from convert.caffe.commands import register

__all__ = ["register"]

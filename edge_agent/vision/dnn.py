"""Caffe networks in OpenCV: loading, and where they are computed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import cv2

from edge_agent.errors import ModelError

_log = logging.getLogger(__name__)

Backend = Literal["auto", "cpu", "cuda", "cuda_fp16"]


def load_caffe(prototxt: Path, caffemodel: Path, *, backend: Backend = "auto") -> cv2.dnn.Net:
    """Read a network and choose where it is computed.

    Args:
        prototxt: the structure.
        caffemodel: the weights.
        backend: `auto` takes CUDA where this OpenCV was built with it and finds a device, else the processor.
            CUDA that is asked for and not there is one warning, and the processor: a slow watch still watches.

    Raises:
        ModelError: a file is missing or no Caffe network.
    """
    try:
        net = cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel))
    except cv2.error as error:
        problem = (error.err or str(error)).strip()
        raise ModelError(f"{prototxt}, {caffemodel}: not a Caffe network that OpenCV reads: {problem}") from error
    # OpenCV without CUDA counts no devices.
    devices = cv2.cuda.getCudaEnabledDeviceCount()
    if backend in ("cuda", "cuda_fp16") and devices < 1:
        _log.warning(
            "vision.dnn_backend is %s, but this OpenCV sees no CUDA device: %s runs on the processor",
            backend,
            prototxt.name,
        )
    if backend == "cpu" or devices < 1:
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
    else:
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_CUDA)
        half = backend == "cuda_fp16"
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CUDA_FP16 if half else cv2.dnn.DNN_TARGET_CUDA)
    return net

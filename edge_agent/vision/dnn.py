"""Caffe networks in OpenCV: loading, and where they are computed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import cv2

from edge_agent.errors import ModelError

_log = logging.getLogger(__name__)

Backend = Literal["auto", "cpu", "cuda", "cuda_fp16"]


def settle(backend: Backend) -> Backend:
    """What of a wished backend is to be had, to be asked once for all networks.

    CUDA that is asked for and not there is one warning, and the processor: a slow watch still watches.
    """
    if backend not in ("cuda", "cuda_fp16") or _devices():
        return backend
    _log.warning("vision.dnn_backend is %s, but this OpenCV sees no CUDA device: the processor computes", backend)
    return "cpu"


def load_caffe(prototxt: Path, caffemodel: Path, *, backend: Backend = "auto") -> cv2.dnn.Net:
    """Read a network and choose where it is computed.

    Args:
        prototxt: the structure.
        caffemodel: the weights.
        backend: where this OpenCV sees no CUDA device it is the processor, whatever is asked for (see `settle`);
            `auto` takes CUDA where there is one.

    Raises:
        ModelError: a file is missing or no Caffe network.
    """
    try:
        net = cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel))
    except cv2.error as error:
        problem = (error.err or str(error)).strip()
        raise ModelError(f"{prototxt}, {caffemodel}: not a Caffe network that OpenCV reads: {problem}") from error
    if backend == "cpu" or not _devices():
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
    else:
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_CUDA)
        half = backend == "cuda_fp16"
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CUDA_FP16 if half else cv2.dnn.DNN_TARGET_CUDA)
    return net


def _devices() -> int:
    return max(cv2.cuda.getCudaEnabledDeviceCount(), 0)  # none if OpenCV was built without CUDA

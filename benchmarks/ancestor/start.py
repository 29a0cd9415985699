"""Start the ancestor's pipeline as a service would: imports, networks, camera, first frame; then say READY."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from benchmarks.naive import NaivePipeline, res10_files

_FRAME = 45
"""A frame of the demo clip with a face in it."""


def main(clip: Path, scratch: Path) -> None:
    """Play ``clip`` up to the first face, and wait to be ended."""
    pipeline = NaivePipeline("keras", res10_files(), scratch)
    capture = cv2.VideoCapture(str(clip))
    capture.set(cv2.CAP_PROP_POS_FRAMES, _FRAME)
    found, image = capture.read()
    if not found or pipeline.process(image.astype(np.uint8, copy=False)) < 1:
        sys.exit(f"no face in frame {_FRAME} of {clip}")
    print("READY", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

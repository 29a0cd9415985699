"""Finding faces: one interface, three implementations, chosen by the configuration.

A fourth is one file with a `detect` and a line in `factory.py`.
"""

from __future__ import annotations

from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.faces.factory import create

__all__ = ["FaceDetector", "create"]

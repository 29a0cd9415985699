"""Draws faces with their labels into a picture, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2

from edge_agent.types import Image

_COLOURS = {"mask": (80, 180, 60), "no_mask": (60, 60, 230), "incorrect": (40, 160, 250)}
_OTHER = (170, 170, 170)


def draw(image: Image, faces: Sequence[Mapping[str, Any]]) -> None:
    """Draw the `faces` of a `detect` line into `image` (BGR), in place; colours by verdict, else by label."""
    height = image.shape[0]
    scale = max(0.4, height / 900)
    thick = max(1, round(height / 300))
    for face in faces:
        x1, y1, x2, y2 = (round(value) for value in face["box"])
        word = face.get("verdict") or face["label"]
        colour = _COLOURS.get(word, _OTHER)
        cv2.rectangle(image, (x1, y1), (x2, y2), colour, thick)
        share = f" {face['label_score']:.2f}" if face["label_score"] is not None else ""
        text = f"{word}{share}"
        (width, tall), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
        top = y1 - tall - base - 2 if y1 > tall + base + 2 else y2
        cv2.rectangle(image, (x1, top), (x1 + width + 4, top + tall + base + 2), colour, cv2.FILLED)
        origin = (x1 + 2, top + tall + 1)
        cv2.putText(image, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thick, cv2.LINE_AA)

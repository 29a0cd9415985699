"""The motion gate: whether anything in front of the camera has changed, for a fraction of a millisecond."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.types import Image

_WIDTH, _HEIGHT = 96, 72


class MotionGate:
    """Compares a small grey frame with a slowly following background.

    A face that is 24 pixels high in a 480-line frame still covers a dozen cells of the small one.
    """

    def __init__(self, *, difference: int = 14, cells: int = 4, follow: float = 0.05) -> None:
        """`difference`: grey levels; `cells`: changed cells that make motion; `follow`: background's pace."""
        self._difference = difference
        self._cells = cells
        self._follow = follow
        self._background: NDArray[np.float32] | None = None
        self._small = np.empty((_HEIGHT, _WIDTH, 3), np.uint8)
        self._grey = np.empty((_HEIGHT, _WIDTH), np.uint8)
        self._seen = np.empty((_HEIGHT, _WIDTH), np.uint8)
        self._changed = np.empty((_HEIGHT, _WIDTH), np.uint8)

    def moved(self, image: Image) -> bool:
        """Whether this frame differs from the background; the first frame does.

        A change of the whole picture's brightness (a cloud, the camera's own exposure) is taken out first.
        """
        # Bilinear from a large frame reads 4 pixels a cell: noisier than averaging all, and 10 times cheaper.
        cv2.resize(image, (_WIDTH, _HEIGHT), dst=self._small, interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(self._small, cv2.COLOR_BGR2GRAY, dst=self._grey)
        cv2.blur(self._grey, (3, 3), dst=self._grey)
        if self._background is None:
            self._background = self._grey.astype(np.float32)
            return True
        cv2.convertScaleAbs(self._background, dst=self._seen)
        shift = cv2.mean(self._grey)[0] - cv2.mean(self._seen)[0]
        cv2.addWeighted(self._seen, 1.0, self._seen, 0.0, shift, dst=self._seen)
        cv2.absdiff(self._grey, self._seen, dst=self._changed)
        cv2.threshold(self._changed, self._difference, 1, cv2.THRESH_BINARY, dst=self._changed)
        cv2.accumulateWeighted(self._grey, self._background, self._follow)
        return cv2.countNonZero(self._changed) >= self._cells

    def reset(self) -> None:
        """Forget the background, as after a pause or a new camera."""
        self._background = None

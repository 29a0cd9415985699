"""What the live page shows: the newest frame, and no face that is gone."""

from __future__ import annotations

import time
from datetime import datetime, timezone

import cv2
import numpy as np

from edge_agent.types import Frame
from edge_agent.web.live_picture import LivePicture


def frame(index: int, age: float = 0.0) -> tuple[Frame, float]:
    image = np.full((48, 64, 3), 40 * index, np.uint8)
    return Frame(index, image, 0.0, datetime.now(timezone.utc)), time.monotonic() - age


def test_the_newest_frame_is_encoded_once() -> None:
    shown = [frame(1)]
    picture = LivePicture(lambda: shown[-1])
    first = picture()
    assert first is not None
    assert picture() is first
    shown.append(frame(2))
    second = picture()
    assert second is not None
    image = cv2.imdecode(np.frombuffer(second, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (48, 64, 3)
    assert abs(int(image.mean()) - 80) < 4


def test_an_old_frame_and_a_watch_that_rests_show_nothing() -> None:
    assert LivePicture(lambda: frame(1, age=3.5))() is None
    assert LivePicture(lambda: None)() is None

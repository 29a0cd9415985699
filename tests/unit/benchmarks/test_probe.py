"""The probe finds networks wherever they are kept, and times them without changing what they answer."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.ancestor import levi_hassner
from benchmarks.probe import Probe


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> cv2.dnn.Net:
    weights: Path = tmp_path_factory.mktemp("nets") / "gender.caffemodel"
    levi_hassner.write_weights(weights)
    return cv2.dnn.readNetFromCaffe(str(levi_hassner.PROTOTXT), str(weights))


def test_a_call_is_counted_timed_and_answered(net: cv2.dnn.Net) -> None:
    blob = np.random.default_rng(0).random((1, 3, 227, 227), np.float32) * 255
    net.setInput(blob)
    expected = net.forward().copy()
    holder = {"nets": [net], "other": 3, "itself": None}
    holder["itself"] = holder
    probe = Probe()
    probe.install(holder)
    assert probe.networks == 1
    timed = holder["nets"][0]  # type: ignore[index]
    timed.setInput(blob)
    assert np.array_equal(timed.forward(), expected)
    assert probe.calls == 1
    assert probe.seconds > 0


def test_installing_twice_times_a_network_once(net: cv2.dnn.Net) -> None:
    holder = {"net": net}
    probe = Probe()
    probe.install(holder)
    probe.install(holder)
    assert probe.networks == 1

"""What all networks' training does to pictures."""

from __future__ import annotations

import numpy as np
import pytest

from convert.blur import motion_kernel
from convert.images import compressed


@pytest.mark.parametrize("length", [1, 2, 5, 9])
def test_a_motion_is_a_line_along_its_angle_and_keeps_the_light(length: int) -> None:
    across = motion_kernel(length, 0.0)
    assert across.shape == (length, length)
    assert across.dtype == np.float32
    assert across[(length - 1) // 2].tolist() == pytest.approx([1 / length] * length)
    np.testing.assert_allclose(motion_kernel(length, np.pi / 2).T, across)
    assert motion_kernel(length, 0.7).sum() == pytest.approx(1.0)


def test_less_quality_leaves_less() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    rough, fine = compressed(image, 20), compressed(image, 90)
    assert rough.shape == fine.shape == image.shape
    assert rough.dtype == np.uint8
    lost = [np.abs(found.astype(int) - image).mean() for found in (rough, fine)]
    assert lost[0] > lost[1] > 0

"""Poor light, noise, blur, compression: what cameras do to pictures."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.blur import motion_kernel
from convert.images import compressed

Image = NDArray[np.uint8]


def _tone(random: np.random.Generator) -> NDArray[np.uint8]:
    """A look-up table [1, 256, 3]: exposure, contrast, gamma and a cast of colour."""
    ramp = np.arange(256, dtype=np.float32)[:, None] / 255.0
    gamma = np.exp(random.uniform(-0.5, 0.5))
    gain = random.uniform(0.7, 1.25) * random.uniform(0.92, 1.08, 3)
    if random.random() < 0.15:  # dusk, or a dark corridor
        gain = gain * random.uniform(0.15, 0.6)
    if random.random() < 0.08:  # against the light
        gain = gain * random.uniform(1.3, 1.9)
    value = gain * ramp**gamma + random.uniform(-0.08, 0.08)
    return np.asarray(np.clip(value * 255.0, 0, 255), np.uint8)[None]


def _noise(image: Image, random: np.random.Generator) -> Image:
    """Grain; drawn at random for a third of the rows and repeated with a shift, which is quicker and looks
    the same.
    """
    rows, columns = image.shape[:2]
    block = random.integers(-127, 128, (rows // 3 + 1, columns, 3), dtype=np.int8).astype(np.float32)
    grain = np.concatenate((block, np.roll(block, 7, 1), np.roll(block, 31, 1)))[:rows]
    noisy = image + grain * (random.uniform(3.0, 25.0) / 73.0)  # 73: deviation of the uniform bytes
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _blur(image: Image, random: np.random.Generator) -> Image:
    if random.random() < 0.6:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.5, 1.8)), np.uint8)
    kernel = motion_kernel(int(random.integers(3, 10)), random.uniform(0, np.pi))
    return np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)


def spoil(image: Image, random: np.random.Generator) -> Image:
    """The same picture from a worse camera in other light; BGR uint8 in and out."""
    if random.random() < 0.8:
        image = np.asarray(cv2.LUT(image, _tone(random)), np.uint8)
    if random.random() < 0.08:
        image = np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)
    if random.random() < 0.2:
        image = _blur(image, random)
    if random.random() < 0.2:
        image = _noise(image, random)
    if random.random() < 0.15:
        image = compressed(image, int(random.integers(20, 80)))
    return image

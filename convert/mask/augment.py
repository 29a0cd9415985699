"""What the camera and the detector do to a face: badly placed boxes, few pixels, blur, darkness, compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.blur import motion_kernel
from convert.detections import Box
from convert.images import compressed

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Jitter:
    """How far the cut may stray; margins in fractions of the box, chances between 0 and 1."""

    margin_x: tuple[float, float] = (-0.02, 0.22)
    margin_top: tuple[float, float] = (-0.04, 0.20)
    margin_bottom: tuple[float, float] = (0.04, 0.36)
    shift: float = 0.05
    rotation: float = 14.0
    few_pixels: float = 0.35
    fewest: float = 18.0
    motion: float = 0.12
    light: float = 0.55
    noise: float = 0.2
    compression: float = 0.25
    grey: float = 0.06


def jittered_crop(image: Image, box: Box, size: int, rng: np.random.Generator, jitter: Jitter) -> Image:
    """Cut ``box`` from a patch with random margins, place, turn and mirror; ``(size, size, 3)`` BGR."""
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    left = x1 - rng.uniform(*jitter.margin_x) * width + rng.normal(0, jitter.shift) * width
    right = x2 + rng.uniform(*jitter.margin_x) * width + rng.normal(0, jitter.shift) * width
    top = y1 - rng.uniform(*jitter.margin_top) * height + rng.normal(0, jitter.shift) * height
    bottom = y2 + rng.uniform(*jitter.margin_bottom) * height + rng.normal(0, jitter.shift) * height
    angle = np.radians(rng.uniform(-jitter.rotation, jitter.rotation)) if rng.random() < 0.5 else 0.0
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    half = np.array([max(right - left, 2.0) / 2, max(bottom - top, 2.0) / 2])
    if rng.random() < 0.5:
        half[0] = -half[0]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = [centre + turn @ (half * np.array(corner)) for corner in ((-1, -1), (1, -1), (-1, 1))]
    # Pixel centres: the outer corner of the first pixel lies half a pixel before it.
    target = np.array([[-0.5, -0.5], [size - 0.5, -0.5], [-0.5, size - 0.5]], dtype=np.float32)
    warp = cv2.getAffineTransform(np.array(corners, dtype=np.float32) - 0.5, target)
    shrink = 2 * abs(half).min() / size
    if shrink > 1.6:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.35 * shrink), dtype=np.uint8)
    return np.asarray(
        cv2.warpAffine(image, warp, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        dtype=np.uint8,
    )


def degrade(image: Image, rng: np.random.Generator, jitter: Jitter) -> Image:
    """Make a square BGR crop look as if a cheap camera had taken it from afar, in bad light."""
    size = image.shape[0]
    if rng.random() < jitter.motion:
        image = _motion_blur(image, rng)
    if rng.random() < jitter.few_pixels:
        few = int(np.exp(rng.uniform(np.log(jitter.fewest), np.log(0.75 * size))))
        small = cv2.resize(image, (few, few), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.5:
            small = compressed(np.asarray(small, dtype=np.uint8), int(rng.integers(35, 95)))
        image = np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    if rng.random() < jitter.light:
        image = _light(image, rng)
    if rng.random() < jitter.noise:
        noise = rng.normal(0, rng.uniform(2, 14), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < jitter.compression:
        image = compressed(image, int(rng.integers(20, 90)))
    if rng.random() < jitter.grey:
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        image = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    return image


def _light(image: Image, rng: np.random.Generator) -> Image:
    """Exposure down to near black, gamma, a cast of colour and a gradient of light."""
    light = image.astype(np.float32) / 255
    light = light ** np.float32(np.exp(rng.normal(0, 0.35)))
    gain = rng.uniform(0.1, 0.5) if rng.random() < 0.2 else np.exp(rng.normal(0, 0.25))
    cast = np.exp(rng.normal(0, 0.12, 3)) if rng.random() < 0.6 else np.ones(3)
    light *= (gain * cast).astype(np.float32)
    if rng.random() < 0.3:
        size = image.shape[0]
        ramp = np.linspace(1 - rng.uniform(0, 0.6), 1, size, dtype=np.float32)
        if rng.random() < 0.5:
            ramp = ramp[::-1]
        light *= ramp[None, :, None] if rng.random() < 0.7 else ramp[:, None, None]
    if rng.random() < 0.3:
        mean = light.mean()
        light = (light - mean) * np.float32(rng.uniform(0.5, 1.3)) + mean
    return np.clip(light * 255, 0, 255).astype(np.uint8)


def _motion_blur(image: Image, rng: np.random.Generator) -> Image:
    length = max(round(int(rng.integers(3, 10)) * image.shape[0] / 96), 1)
    kernel = motion_kernel(length, rng.uniform(0, np.pi))
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE), dtype=np.uint8)

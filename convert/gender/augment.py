"""What a camera at an entrance does to a face before the gender network sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from convert import images
from convert.blur import motion_kernel
from convert.gender.boxes import DeviceEye
from convert.gender.masks import paint_mask
from convert.gender.recombine import Recombiner
from convert.gender.records import Faces, Other
from edge_agent.vision.crops import CropMargins, face_crop

#: FairFace's photos end at the brow and the chin, so there is nothing to see above and below the box; beside it
#: there is hair.
MARGINS = CropMargins(x=0.15, top=0.0, bottom=0.0)
#: FairFace is almost free of faces narrower than this; a camera at an entrance is not.
_SMALLEST = 24


#: The label of a face that has none: what PyTorch's cross entropy leaves out.
UNKNOWN = -100
#: Of a batch, if there are such faces.
_OTHERS_SHARE = 0.25
#: Of the crops, those cut where the device's own face net sees the face: its boxes end lower on the brow.
_DEVICE_SHARE = 0.5


@dataclass(frozen=True)
class Batch:
    """Crops with their labels, ``n`` of each; ``UNKNOWN`` where there is none."""

    face: NDArray[np.int64]
    """Which of the photos it is."""
    crops: NDArray[np.uint8]
    """``(n, size, size, 3)`` RGB."""
    sex: NDArray[np.int64]
    age: NDArray[np.int64]
    race: NDArray[np.int64]
    partner: NDArray[np.int64]
    """The other photo of a face put together of two; else the same one."""
    share: NDArray[np.float32]
    """Part of the face that is of ``face``, 0 to 1; the rest is of ``partner``."""


def training_batches(
    faces: Faces,
    indices: NDArray[np.int64],
    size: int,
    batch: int,
    rng: np.random.Generator,
    others: Sequence[Other] = (),
    recombined: float = 0.0,
) -> Iterator[Batch]:
    """Endless batches of degraded crops, every second face masked; each face once per round.

    If there are ``others``, faces without a label, each fourth crop is of one of them, as it is. The part
    ``recombined`` of the faces is put together of two of one sex, as far as there is a fitting second one.

    Raises:
        ConvertError: a photo of the others cannot be read.
    """
    waiting: list[int] = []
    known = batch - int(batch * _OTHERS_SHARE) if others else batch
    recombiner = Recombiner(faces, indices) if recombined else None
    while True:
        while len(waiting) < known:
            waiting.extend(rng.permutation(indices).tolist())
        chosen = np.array(waiting[:known])
        del waiting[:known]
        crops = np.empty((batch, size, size, 3), np.uint8)
        unknown = np.full(batch - known, UNKNOWN)
        sex, age, race = (np.concatenate((of[chosen], unknown)) for of in (faces.sex, faces.age, faces.race))
        partner, share = np.concatenate((chosen, unknown)), np.ones(batch, np.float32)
        for row, index in enumerate(chosen):
            image = np.array(faces.pixels[index])
            two = recombiner.combine(int(index), rng) if recombiner and rng.random() < recombined else None
            if two is not None:
                image, partner[row], share[row] = two.image, two.partner, two.share
                if not two.alike:
                    age[row] = race[row] = UNKNOWN
            if rng.random() < 0.5:
                image = worn(faces, int(index), rng, image)
            box = faces.cut_at(int(index), device=rng.random() < _DEVICE_SHARE)
            crops[row] = degraded_crop(image, np.array(box, np.float32), size, rng)
        for row in range(known, batch):
            other = others[int(rng.integers(len(others)))]
            crops[row] = degraded_crop(images.read(other.path), np.array(other.box, np.float32), size, rng)
        yield Batch(np.concatenate((chosen, unknown)), crops, sex, age, race, partner, share)


def plain_crops(
    faces: Faces, indices: NDArray[np.int64], size: int, *, masked: bool, seed: int = 0, device: bool = False
) -> NDArray[np.uint8]:
    """Crops to measure on, ``(n, size, size, 3)`` RGB uint8: as they are, or each with its own painted mask.

    With ``device`` cut where the device's face net sees the face, if it does.

    The mask of a face depends on ``seed`` and the face alone, whichever others are measured with it.
    """
    crops = np.empty((len(indices), size, size, 3), np.uint8)
    for row, (image, box, _) in enumerate(seen(faces, indices, masked=masked, seed=seed, device=device)):
        face_crop(image, box, size, MARGINS, out=crops[row])
    return crops


def seen(
    faces: Faces, indices: NDArray[np.int64], *, masked: bool, seed: int = 0, device: bool = False
) -> Iterator[tuple[NDArray[np.uint8], list[float], bool]]:
    """Photos as they are to be measured, each with the box to cut it at and whether that is the one asked for.

    With ``device`` that is where the device's face net sees the face, a masked one with its mask on: that is all
    that a device ever sees. Where it sees none it is the box that came with the photo.

    Raises:
        ModelError: the face net's files are missing or altered.
    """
    eye = DeviceEye() if masked and device else None
    for index in map(int, indices):
        image = np.asarray(faces.pixels[index])
        if masked:
            image = worn(faces, index, np.random.default_rng((seed, index)))
        if eye is None:
            known = not device or bool(np.isfinite(faces.device_boxes[index, 0]))
            yield image, faces.cut_at(index, device=device), known
            continue
        found = eye.box(image, faces.boxes[index])
        yield image, (faces.boxes[index] if found is None else found).tolist(), found is not None


def worn(
    faces: Faces, index: int, rng: np.random.Generator, image: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """The photo with a painted mask, 160×160 BGR; unchanged if no landmarks were found in it.

    With an ``image``, that one, whose landmarks must be the photo's.
    """
    image = np.array(faces.pixels[index]) if image is None else image
    if np.isnan(faces.landmarks[index]).any():
        return image
    return paint_mask(image, faces.boxes[index].tolist(), faces.landmarks[index], rng)


def degraded_crop(
    image_bgr: NDArray[np.uint8], box: NDArray[np.float32], size: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """One crop for training, ``(size, size, 3)`` RGB uint8, with everything a camera may do to it.

    Args:
        image_bgr: ``(height, width, 3)`` uint8, BGR.
        box: x1, y1, x2, y2 in pixels, as a good detector finds it; it is shifted, scaled and stretched here.
        size: side of the result in pixels.
        rng: source of every choice.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    x = (box[0] + box[2]) / 2 + rng.normal(0, 0.04) * width
    y = (box[1] + box[3]) / 2 + rng.normal(0, 0.04) * height
    scale = np.exp(rng.normal(0, 0.08))
    stretch = np.exp(rng.normal(0, 0.05))
    half_width = width * scale * stretch / 2
    # A mask often shortens the detector's box from below.
    half_height = height * scale / stretch / 2
    if rng.random() < 0.4:
        angle = rng.normal(0, 8)
        turn = cv2.getRotationMatrix2D((float(x), float(y)), angle, 1.0)
        image_bgr = np.asarray(
            cv2.warpAffine(image_bgr, turn, image_bgr.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8
        )
    detail = size
    if rng.random() < 0.35:
        detail = int(np.exp(rng.uniform(np.log(_SMALLEST), np.log(size))))
    jittered = (x - half_width, y - half_height, x + half_width, y + half_height)
    crop = face_crop(image_bgr, jittered, detail, MARGINS)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    crop = _light(crop, rng)
    if rng.random() < 0.2:
        crop = _blur(crop, rng)
    if rng.random() < 0.25:
        crop = _noise(crop, rng)
    if rng.random() < 0.3:
        # RGB where the codec expects BGR: chroma is lost alike.
        crop = images.compressed(crop, int(rng.integers(20, 85)))
    if detail != size:
        crop = np.asarray(cv2.resize(crop, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.ascontiguousarray(crop)


def _light(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, gamma, contrast, a colour cast, and now and then no colour at all or hardly any light."""
    if rng.random() < 0.08:
        crop = np.asarray(cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    levels = np.linspace(0, 1, 256)[:, None]
    gain = np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.07, 3))
    if rng.random() < 0.12:
        gain = gain * rng.uniform(0.2, 0.6)
    curve = (levels ** np.exp(rng.normal(0, 0.2)) - 0.5) * np.exp(rng.normal(0, 0.12)) + 0.5
    table = np.clip(curve * gain * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(np.ascontiguousarray(crop), table[:, None, :]), np.uint8)


def _blur(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Motion along a random direction, or a lens out of focus."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.5, 1.8)), np.uint8)
    kernel = motion_kernel(int(rng.integers(3, 8)), rng.uniform(0, np.pi))
    return np.asarray(cv2.filter2D(crop, -1, kernel), np.uint8)


def _noise(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    grain = rng.standard_normal(crop.shape, dtype=np.float32) * rng.uniform(2, 12)
    return np.clip(crop + grain, 0, 255).astype(np.uint8)

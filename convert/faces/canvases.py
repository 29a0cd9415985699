"""Training images: scenes and single faces placed at many sizes on canvases of many sizes.

What is seldom in the data and frequent at an entrance (close-ups, masks, poor light) is made frequent here.
Everything works on uint8 BGR arrays; boxes are x1, y1, x2, y2 in pixels of the canvas.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from convert import images
from convert.faces.canvas import Canvas, Image, show
from convert.faces.light import spoil
from convert.faces.records import Boxes, Dataset, Photo, overlaps

SIZES: tuple[tuple[int, int], ...] = (
    (320, 320), (288, 384), (320, 416), (320, 480), (384, 384), (384, 480), (448, 352), (480, 384), (384, 512),
)  # fmt: skip
"""Heights and widths of canvases."""
MOST_SINGLES = 4000
"""Single faces of a kind that are used: FairFace has more than a training gets to see, or memory holds."""
KEPT_BYTES = 2_500_000_000
"""Memory for decoded photos."""


class CanvasMaker:
    """Makes canvases from a dataset; one generator, so a seed repeats a run."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self._data = dataset
        self._random = np.random.default_rng(seed)
        self._scene_weight = self._weights(dataset.scenes)
        self._kept: dict[Path, Image] = {}
        self._kept_bytes = 0

    @staticmethod
    def _weights(scenes: list[Photo]) -> NDArray[np.float64]:
        weights = np.asarray([1.0 + min(len(photo.boxes), 4) * 0.25 for photo in scenes])
        return np.asarray(weights / weights.sum())

    def make(self, height: int, width: int) -> tuple[Image, Boxes, Boxes]:
        """A canvas: image [height, width, 3], faces [N, 4], areas to ignore [K, 4]."""
        random = self._random
        colour = (0, 0, 0) if random.random() < 0.5 else tuple(int(v) for v in random.integers(0, 256, 3))
        canvas = Canvas(height, width, colour)
        kind = random.random()
        if kind < 0.55:
            self._place(canvas, self._scene(), (0, 0, width, height))
        elif kind < 0.85:
            x, y = int(width * random.uniform(0.3, 0.7)), int(height * random.uniform(0.3, 0.7))
            for window in ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)):
                self._place(canvas, self._scene() if random.random() < 0.65 else self._single(), window)
        elif kind < 0.93:
            self._place(canvas, self._single(), (0, 0, width, height))
        else:
            self._background(canvas)
        if random.random() < 0.35:
            for _ in range(int(random.integers(1, 4))):
                self._paste_nothing(canvas)
        if random.random() < 0.35 or kind >= 0.93:
            for _ in range(int(random.integers(1, 4))):
                self._paste_face(canvas)
        image, boxes, ignore = canvas.image, canvas.boxes, canvas.ignore
        if random.random() < 0.2:
            image, boxes, ignore = self._turn(image, boxes, ignore)
        return spoil(image, random), boxes, ignore

    def _scene(self) -> Photo:
        return self._data.scenes[int(self._random.choice(len(self._scene_weight), p=self._scene_weight))]

    def _single(self) -> Photo:
        kind = self._random.choice(("with_mask", "without_mask", "incorrect", "fairface"), p=(0.45, 0.2, 0.15, 0.2))
        photos = self._data.singles[str(kind)][:MOST_SINGLES]
        return photos[int(self._random.integers(len(photos)))]

    def _read(self, path: Path) -> Image:
        """A photo's pixels, not to be written to; kept in memory, since decoding costs more than all the rest."""
        kept = self._kept.get(path)
        if kept is not None:
            return kept
        pixels = images.read(path)
        if self._kept_bytes + pixels.nbytes <= KEPT_BYTES:
            self._kept[path] = pixels
            self._kept_bytes += pixels.nbytes
        return pixels

    def _load(self, photo: Photo) -> tuple[Image, Boxes, Boxes]:
        image = self._read(photo.path)
        boxes, ignore = photo.boxes.copy(), photo.ignore.copy()
        if self._random.random() < 0.5:
            image = np.ascontiguousarray(image[:, ::-1])
            for given in (boxes, ignore):
                given[:, [0, 2]] = image.shape[1] - given[:, [2, 0]]
        return image, boxes, ignore

    def _face_height(self, room: float) -> float:
        """A height for a face, pixels: mostly what an entrance shows, some far ones, some filling the picture."""
        low, high = (11.0, 60.0) if self._random.random() < 0.28 else (34.0, max(0.92 * room, 36.0))
        return float(np.exp(self._random.uniform(np.log(low), np.log(high))))

    def _place(self, canvas: Canvas, photo: Photo, window: tuple[int, int, int, int]) -> None:
        """Show a photo in a window, scaled so that one of its faces has a chosen height and is in view."""
        random = self._random
        image, boxes, ignore = self._load(photo)
        room_x, room_y = window[2] - window[0], window[3] - window[1]
        height, width = image.shape[:2]
        fit = min(room_x / width, room_y / height)
        scale = fit * random.uniform(0.8, 1.6)
        across = down = None
        stretch = float(np.exp(random.uniform(-0.12, 0.12)))
        focus = boxes[int(random.integers(len(boxes)))] if len(boxes) else None
        if focus is not None and random.random() < 0.65:  # else about as the photo was taken
            scale = self._face_height(min(room_x, room_y)) / max(float(focus[3] - focus[1]), 4.0)
        scale = float(np.clip(scale, 0.6 * fit, max(2.5, fit)))
        zoom = (scale * stretch, scale / stretch)
        if focus is not None:
            across, down = focus[[0, 2]] * zoom[0], focus[[1, 3]] * zoom[1]
        offset = (self._offset(room_x, width * zoom[0], across), self._offset(room_y, height * zoom[1], down))
        shown = show(canvas.image, image, window, offset, zoom)
        shift = np.asarray([window[0] + offset[0], window[1] + offset[1]] * 2, np.float32)
        factor = np.asarray(zoom * 2, np.float32)
        canvas.add(boxes * factor + shift, ignore * factor + shift, shown)

    def _offset(self, room: float, size: float, face: NDArray[np.float32] | None) -> float:
        """Where a photo of this size starts in the room: fills it if it can, and shows the face."""
        low, high = min(0.0, room - size), max(0.0, room - size)
        if face is not None:
            nearest, farthest = -float(face[0]), room - float(face[1])  # the face touches one edge or the other
            if nearest < farthest:
                low, high = max(low, min(nearest, high)), min(high, max(farthest, low))
        return float(self._random.uniform(low, high)) if low < high else low

    def _free_patch(self) -> Image | None:
        """A part of a scene without any face: what a face must not be taken for."""
        for _ in range(4):
            photo = self._scene()
            image = self._read(photo.path)
            height, width = image.shape[:2]
            side = int(self._random.uniform(0.2, 0.8) * min(height, width))
            x, y = int(self._random.integers(0, width - side + 1)), int(self._random.integers(0, height - side + 1))
            window = np.asarray([[x, y, x + side, y + side]], np.float32)
            known = np.concatenate((photo.boxes, photo.ignore))
            if not len(known) or overlaps(window, known).max() == 0.0:
                return image[y : y + side, x : x + side]
        return None

    def _background(self, canvas: Canvas) -> None:
        patch = self._free_patch()
        if patch is not None:
            height, width = canvas.image.shape[:2]
            canvas.image[:] = cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR)

    def _lay(self, canvas: Canvas, patch: Image, x: int, y: int) -> None:
        """Lay a patch over the canvas: a rectangle, or an ellipse with soft edges."""
        height, width = patch.shape[:2]
        target = canvas.image[y : y + height, x : x + width]
        if self._random.random() < 0.4:
            target[:] = patch
            return
        alpha = np.zeros((height, width), np.uint8)
        cv2.ellipse(
            alpha, (width // 2, height // 2), (int(width * 0.46), int(height * 0.46)), 0, 0, 360, (255,), -1
        )
        soft = cv2.blur(alpha, (max(1, width // 10), max(1, height // 10)))[..., None].astype(np.float32) / 255.0
        target[:] = (patch * soft + target * (1.0 - soft)).astype(np.uint8)

    def _spot(self, canvas: Canvas, width: int, height: int) -> tuple[int, int] | None:
        """A corner for a patch that covers no face, after some tries."""
        rows, columns = canvas.image.shape[:2]
        if width >= columns or height >= rows:
            return None
        taken = np.concatenate((canvas.boxes, canvas.ignore))
        for _ in range(6):
            x, y = int(self._random.integers(columns - width)), int(self._random.integers(rows - height))
            window = np.asarray([[x, y, x + width, y + height]], np.float32)
            if not len(taken) or overlaps(window, taken).max() < 0.01:
                return x, y
        return None

    def _paste_face(self, canvas: Canvas) -> None:
        random = self._random
        image, boxes, ignore = self._load(self._single())
        face = boxes[int(np.argmax((boxes[:, 2:] - boxes[:, :2]).prod(1)))]
        grow = random.uniform(0.15, 0.6) * float(face[3] - face[1])
        limits = np.asarray(image.shape[1::-1] * 2)
        left, top, right, bottom = np.clip(face + np.asarray([-grow, -grow, grow, grow]), 0, limits).astype(int)
        scale = self._face_height(min(canvas.image.shape[:2]) * 0.8) / max(float(face[3] - face[1]), 4.0)
        scale = min(scale, 3.0)
        width, height = int((right - left) * scale), int((bottom - top) * scale)
        spot = self._spot(canvas, width, height) if min(width, height) >= 10 else None
        if spot is None:
            return
        how = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
        self._lay(
            canvas, np.asarray(cv2.resize(image[top:bottom, left:right], (width, height), interpolation=how)), *spot
        )
        shift = np.asarray([spot[0] - left * scale, spot[1] - top * scale] * 2, np.float32)
        canvas.add(boxes * scale + shift, ignore * scale + shift, (*spot, spot[0] + width, spot[1] + height))

    def _paste_nothing(self, canvas: Canvas) -> None:
        """Lay over something that is no face, so that an edge of a patch says nothing."""
        patch = self._free_patch()
        if patch is None:
            return
        height = int(self._face_height(min(canvas.image.shape[:2]) * 0.7) * 1.3)
        width = int(height * self._random.uniform(0.6, 1.1))
        spot = self._spot(canvas, width, height) if min(width, height) >= 10 else None
        if spot is not None:
            self._lay(canvas, np.asarray(cv2.resize(patch, (width, height), interpolation=cv2.INTER_AREA)), *spot)

    def _turn(self, image: Image, boxes: Boxes, ignore: Boxes) -> tuple[Image, Boxes, Boxes]:
        """Turn by up to 12°; boxes keep their size around their turned centre, those turned out of view are
        dropped.
        """
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(self._random.uniform(-12, 12)), 1.0)
        turned = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
        canvas = Canvas(1, 1, (0, 0, 0))
        moved = []
        for given in (boxes, ignore):
            centre = 0.5 * (given[:, :2] + given[:, 2:]) @ matrix[:, :2].T + matrix[:, 2]
            half = 0.5 * (given[:, 2:] - given[:, :2])
            moved.append(np.concatenate((centre - half, centre + half), 1).astype(np.float32))
        canvas.add(moved[0], moved[1], (0, 0, width, height))
        return np.asarray(turned, np.uint8), canvas.boxes, canvas.ignore

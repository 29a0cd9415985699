"""Which faces the network sees how often, and what is painted on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.errors import ConvertError
from convert.mask import paint
from convert.mask.augment import Jitter, degrade, jittered_crop
from convert.mask.patches import Patch, PatchSet
from convert.mask.records import FOLDERS, INCORRECT, MASK, NO_MASK
from edge_agent.types import LABELS


@dataclass(frozen=True)
class Recipe:
    """Shares of the classes and weights of the sources within them.

    ``incorrect`` is shown more often than it is met, and yet rarely enough that a strange bare face is not
    called incorrect. The painted shares are parts of their class.
    """

    classes: tuple[float, float, float] = (0.38, 0.44, 0.18)
    synthetic: float = 0.3
    hard: float = 4.0
    scene: float = 1.2
    bare_scene: float = 3.5
    small_scene: float = 0.5
    extra_bare: float = 0.15
    painted_mask: float = 0.08
    painted_incorrect: float = 0.18
    painted_chin: float = 0.06
    painted_bare: float = 0.22
    smoothing: float = 0.07
    detector_box: float = 0.5
    jitter: Jitter = field(default_factory=Jitter)

    def gentle(self) -> Recipe:
        """The same data less distorted and less painted on, to settle on what the device mostly sees."""
        jitter = replace(
            self.jitter, margin_x=(0.0, 0.2), margin_top=(0.0, 0.16), margin_bottom=(0.1, 0.3), shift=0.03,
            rotation=8.0, few_pixels=0.22, motion=0.06, light=0.35, noise=0.1, compression=0.15, grey=0.03,
        )  # fmt: skip
        return replace(
            self, classes=(0.42, 0.41, 0.17), painted_mask=0.04, painted_incorrect=0.06, painted_chin=0.03,
            painted_bare=0.14, jitter=jitter,
        )  # fmt: skip

    def plain(self) -> Recipe:
        """The photos as they are, little distorted, and nothing painted but what leaves bare faces bare.

        (And badly worn masks, if no photo shows one: the class would be empty.)

        A network trained so is right about as often as with all the paint, but wrong on other faces: together they
        teach a third one that is better than both.
        """
        jitter = replace(
            self.jitter, margin_x=(0.0, 0.2), margin_top=(0.0, 0.2), margin_bottom=(0.0, 0.25), shift=0.04,
            rotation=10.0, few_pixels=0.25, motion=0.08, light=0.35, noise=0.12, compression=0.2, grey=0.04,
        )  # fmt: skip
        return replace(
            self, classes=(0.38, 0.37, 0.25), painted_mask=0.0, painted_incorrect=0.0, painted_chin=0.0,
            painted_bare=0.1, jitter=jitter,
        )  # fmt: skip

    def weight(self, patch: Patch) -> float:
        """How often a face is drawn, relative to others of its class."""
        if patch.origin == "bare":
            return self.extra_bare
        weight = self.synthetic if patch.synthetic else 1.0
        if "hard" in patch.source:
            weight *= self.hard
        if patch.origin == "scene":
            weight *= self.bare_scene if patch.label == NO_MASK else self.scene
            if patch.side < 40:
                weight *= self.small_scene * 0.5 if patch.label == NO_MASK else self.small_scene
        return weight


class Sampler:
    """Draws training examples; the same ``rng`` state gives the same example.

    Raises (constructor):
        ConvertError: a class that every dataset must have has no face.
    """

    def __init__(self, patches: PatchSet, indices: Sequence[int], recipe: Recipe, size: int) -> None:
        self._patches = patches
        self._recipe = recipe
        self._size = size
        self._weights = {index: recipe.weight(patches[index]) for index in indices}
        self._paintable = [
            index
            for index in indices
            if patches[index].label == NO_MASK and patches[index].landmarks and patches[index].side >= 48
        ]
        # In profile, what is painted below the nose tip of a frontal face would cover the nose.
        self._frontal = [index for index in self._paintable if _looks_ahead(patches[index])]
        self._draw()

    def forget(self, indices: Sequence[int]) -> None:
        """Never draw these faces again: their labels are doubted."""
        for index in indices:
            self._weights.pop(index, None)
        doubted = set(indices)
        self._paintable = [index for index in self._paintable if index not in doubted]
        self._frontal = [index for index in self._frontal if index not in doubted]
        self._draw()

    def _draw(self) -> None:
        self._pools: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
        for label, name in enumerate(LABELS):
            pool = np.array([i for i in self._weights if self._patches[i].label == label], dtype=np.int64)
            weights = np.array([self._weights[int(i)] for i in pool], dtype=np.float64)
            if label != INCORRECT and not len(pool):
                raise ConvertError(
                    f"no face of the class {name} is left to train on: {FOLDERS[label]}/ is empty, or all of it "
                    "lies in the part kept to measure on; add photos"
                )
            self._pools.append((pool, np.cumsum(weights / weights.sum()) if len(pool) else weights))
        shares = np.array(self._recipe.classes)
        if not len(self._pools[INCORRECT][0]) and not self._paintable:
            shares[INCORRECT] = 0.0
        self._shares = shares / shares.sum()

    def example(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """One crop, ``(size, size, 3)`` uint8 RGB, and its smoothed target over the three classes."""
        label = int(rng.choice(3, p=self._shares))
        index, painter, target = self._choose(label, rng)
        patch = self._patches[index]
        image = self._patches.pixels(index)
        if painter is not None and patch.landmarks:
            image = image.copy()
            painter(image, paint.Face(patch.landmarks, patch.box), rng)
        box = patch.box
        if patch.detector_box and rng.random() < self._recipe.detector_box:
            box = patch.detector_box
        crop = jittered_crop(image, box, self._size, rng, self._recipe.jitter)
        crop = degrade(crop, rng, self._recipe.jitter)
        smoothing = self._recipe.smoothing
        target = target * (1 - smoothing) + smoothing / len(LABELS)
        return np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB), dtype=np.uint8), target.astype(np.float32)

    def batch(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """``count`` examples: ``(count, size, size, 3)`` uint8 RGB and ``(count, 3)`` float32."""
        images, targets = zip(*(self.example(rng) for _ in range(count)), strict=True)
        return np.stack(images), np.stack(targets)

    def _choose(
        self, label: int, rng: np.random.Generator
    ) -> tuple[int, paint.Painter | None, NDArray[np.float64]]:
        recipe = self._recipe
        target = np.eye(3)[label]
        chance = rng.random()
        if label == NO_MASK:
            index = self._pick(NO_MASK, rng)
            painted = chance < recipe.painted_bare and self._patches[index].side >= 40
            painter = paint.BARE_PAINTERS[int(rng.integers(len(paint.BARE_PAINTERS)))] if painted else None
            return index, painter, target
        if self._paintable:
            bare = self._paintable[int(rng.integers(len(self._paintable)))]
            frontal = self._frontal[int(rng.integers(len(self._frontal)))] if self._frontal else bare
            if label == MASK and chance < recipe.painted_mask:
                return bare, paint.mask_on, target
            alone = label == INCORRECT and not len(self._pools[INCORRECT][0])
            if label == INCORRECT and (alone or chance < recipe.painted_incorrect):
                return frontal, paint.mask_under_nose, target
            if label == INCORRECT and chance < recipe.painted_incorrect + recipe.painted_chin:
                # People disagree on what a mask under the chin is; a crop may not even show it.
                return frontal, paint.mask_under_chin, np.array([0.0, 0.4, 0.6])
        return self._pick(label, rng), None, target

    def _pick(self, label: int, rng: np.random.Generator) -> int:
        pool, cumulated = self._pools[label]
        return int(pool[min(int(np.searchsorted(cumulated, rng.random())), len(pool) - 1)])


def _looks_ahead(patch: Patch) -> bool:
    if not patch.landmarks:
        return False
    face = paint.Face(patch.landmarks, patch.box)
    return abs(face.turn) < 0.25 * face.width

"""All the networks behind two questions: where are faces, and what do the networks say of these."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.config import VisionSettings
from edge_agent.types import Box, Face, Image, Look, Observation
from edge_agent.vision import faces as face_detectors
from edge_agent.vision.dnn import settle
from edge_agent.vision.gender import GenderClassifier
from edge_agent.vision.mask import MaskClassifier
from edge_agent.vision.motion import MotionGate
from edge_agent.vision.store import ModelStore
from edge_agent.vision.threads import apply as apply_threads

Keep = Callable[[Box, int, int], bool]
"""Whether a box in pixels of a frame (width, height) lies in the watched area."""

_GENDER_THRESHOLD = 0.8
"""For a network whose manifest names none."""


@dataclass(slots=True)
class StageTimes:
    """Milliseconds each stage took for one frame; None where it did not run. Whoever owns the frame owns them."""

    motion: float | None = None
    faces: float | None = None
    mask: float | None = None
    gender: float | None = None
    track: float | None = None
    net: float = 0.0
    """Milliseconds of the bare networks that ran: what the rest of the frame's time is measured against."""
    mask_calls: int = 0
    gender_calls: int = 0


class Found(NamedTuple):
    """The faces of one frame."""

    faces: list[Face]
    """Of the configured size and inside the watched area: whom the watch is about."""
    everybody: tuple[Box, ...]
    """Every face, watched or not: whoever must not be recognised in a picture of somebody else."""


class Networks:
    """The face, mask and gender networks. Used by one thread only.

    Raises ModelError if a model is missing, altered or of the wrong shape.
    """

    def __init__(self, settings: VisionSettings, store: ModelStore, *, keep: Keep | None = None) -> None:
        threads = apply_threads(settings.threads)
        self._settings = settings
        self._keep = keep
        backend = settle(settings.dnn_backend)
        self._detector = face_detectors.create(settings.face, store, backend=backend)
        (mask_path,) = store.paths("mask_detector", ".tflite")
        self._mask = MaskClassifier(
            mask_path,
            store.entry("mask_detector"),
            runtime=settings.tflite_runtime,
            threads=threads,
            delegate=settings.delegate,
        )
        self._gender: GenderClassifier | None = None
        self.gender_threshold = 1.0
        if settings.gender.enabled:
            entry = store.entry(settings.gender.model)
            self._gender = GenderClassifier.load(store, settings.gender.model, backend=backend)
            chosen = settings.gender.threshold if settings.gender.threshold is not None else entry.threshold
            self.gender_threshold = chosen if chosen is not None else _GENDER_THRESHOLD
        self._gate = MotionGate() if settings.motion_gate else None

    def moved(self, image: Image, times: StageTimes, *, present: bool = False) -> bool:
        """Whether anything has changed.

        Always so without the motion gate, and while somebody is `present`: the schedule looks at them anyway,
        and who stands there for long must not become part of the background.
        """
        if self._gate is None or present:
            return True
        begin = time.perf_counter()
        moved = self._gate.moved(image)
        times.motion = _since(begin)
        return moved

    def detect(self, image: Image, times: StageTimes) -> Found:
        """Where faces are, boxes in pixels of `image`."""
        begin = time.perf_counter()
        faces = self._detector.detect(image)
        times.net += self._detector.net_ms
        everybody = tuple([face.box for face in faces])
        least, most = self._settings.face.min_size, self._settings.face.max_size
        found = [face for face in faces if least <= face.box.height <= most]
        if self._keep is not None:
            found = [face for face in found if self._keep(face.box, image.shape[1], image.shape[0])]
        times.faces = _since(begin)
        return Found(found, everybody)

    def look(self, image: Image, looks: Sequence[Look], times: StageTimes) -> list[Observation]:
        """Run the mask and gender networks where a look asks for them."""
        observations = []
        for look in looks:
            mask = gender = None
            if look.mask:
                begin = time.perf_counter()
                mask = self._mask.classify(image, look.face.box)
                times.mask = (times.mask or 0.0) + _since(begin)
                times.net += self._mask.net_ms
                times.mask_calls += 1
            if look.gender and self._gender is not None:
                begin = time.perf_counter()
                gender = self._gender.classify(image, look.face.box, mirrored=look.mirrored)
                times.gender = (times.gender or 0.0) + _since(begin)
                times.net += self._gender.net_ms
                times.gender_calls += 1
            if mask is not None or gender is not None:
                observations.append(Observation(look.face, mask, gender, look.face.quality, look.person_id))
        return observations

    def describe(self) -> str:
        """One line for a person: what runs, and in which runtime."""
        gender = self._settings.gender.model if self._gender is not None else "no gender"
        return f"{self._settings.face.detector}, mask_detector in {self._mask.runtime}, {gender}"

    def reset(self) -> None:
        """Forget the background of the motion gate, after a pause or with another camera."""
        if self._gate is not None:
            self._gate.reset()


def _since(begin: float) -> float:
    return (time.perf_counter() - begin) * 1e3

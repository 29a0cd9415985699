"""Files through the networks: what `edge-agent detect` does, one line for each picture."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_agent import films, photos
from edge_agent.annotate import draw
from edge_agent.chain import Chain
from edge_agent.config import Settings
from edge_agent.errors import InputError
from edge_agent.types import Frame, Image, Look, Observation, Person
from edge_agent.vision.networks import StageTimes

_log = logging.getLogger(__name__)

_NOMINAL_FPS = 25.0
"""Where a video does not tell its rate."""
_WHOLE = 0.9
"""Part of the pictures and of the length that OpenCV expects of a film, beneath which it is worth a word. No more:
it counts what a trimmed film hides, and guesses from the length of the sound where the number is not told."""
_SMALLEST = 8
"""Pixels of the smallest face that is judged, in films as on photos: the least `vision.mask.min_face` may be. What
`vision.face` leaves out, by its `min_size` say, is no face here either."""


@dataclass(frozen=True, slots=True)
class Result:
    """One picture and its line."""

    path: Path
    video: bool
    fps: float
    image: Image
    line: dict[str, Any]


class Detection:
    """Looks at every face that the face net finds in every picture: none is passed over to save time.

    Raises ModelError if a model is missing, altered or of the wrong shape.
    """

    def __init__(self, settings: Settings) -> None:
        mask = settings.vision.mask.model_copy(update={"min_face": _SMALLEST})
        vision = settings.vision.model_copy(update={"power": "full", "motion_gate": False, "mask": mask})
        self._settings = settings.model_copy(update={"vision": vision})
        self._chain = Chain(self._settings)
        self._used = False

    def image(self, path: Path) -> Iterator[Result]:
        """The one picture of an image file. Raises InputError if it can't be used."""
        image = photos.read(path)
        networks = self._chain.networks
        times = StageTimes()
        faces, _ = networks.detect(image, times)
        looks = [Look(number, face, mask=True, gender=True) for number, face in enumerate(faces)]
        observations = networks.look(image, looks, times)
        yield Result(path, False, 0.0, image, self._line(path, 0, image, observations, None))

    def video(self, path: Path) -> Iterator[Result]:
        """Every frame of a video, and a warning if there seem to be too few. Raises InputError if it can't be
        opened or holds no frame."""
        if self._used:  # people of another film are other people
            self._chain = Chain(self._settings)
        self._used = True
        with contextlib.ExitStack() as stack:
            capture = cv2.VideoCapture(str(stack.enter_context(films.name_for_opencv(path))))
            stack.callback(capture.release)
            fps = films.rate(capture, _NOMINAL_FPS)
            told = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            begin = datetime.now(timezone.utc)
            index, seconds = 0, 0.0
            while True:
                good, image = capture.read()
                if not good:
                    break
                now = index / fps
                frame = Frame(index, np.asarray(image, np.uint8), now, begin + timedelta(seconds=now))
                result = self._chain.process(frame)
                seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                line = self._line(path, index, frame.image, result.observations, result.persons)
                yield Result(path, True, fps, frame.image, line)
                index += 1
        if index == 0:
            raise InputError(f"{path}: neither an image nor a video, or a damaged one")
        if index < _WHOLE * told and seconds < _WHOLE * told / fps:
            _log.warning(
                "%s: %d of the %.0f pictures it says it has were found: trimmed, or damaged?", path, index, told
            )

    def _line(
        self,
        path: Path,
        index: int,
        image: Image,
        observations: Sequence[Observation],
        persons: Sequence[Person] | None,
    ) -> dict[str, Any]:
        by_id = {person.id: person for person in persons or ()}
        return {
            "file": films.shown(path.name),
            "frame": index,
            "width": image.shape[1],
            "height": image.shape[0],
            "faces": [
                self._face(observation, by_id, persons is not None)
                for observation in observations
                if observation.mask is not None
            ],
        }

    def _face(self, observation: Observation, by_id: dict[int, Person], video: bool) -> dict[str, Any]:
        scores = observation.mask
        assert scores is not None
        person = by_id.get(observation.person_id or 0)
        gender, gender_score = "unknown", 0.0
        if video and person is not None:
            gender, gender_score = person.gender, person.gender_score
        elif observation.gender is not None:
            found = observation.gender
            likelier, gender_score = (
                ("male", found.male) if found.male >= found.female else ("female", found.female)
            )
            gender = likelier if gender_score >= self._chain.networks.gender_threshold else "unknown"
        face = {
            "box": [round(value, 1) for value in observation.face.box],
            "score": round(observation.face.score, 4),
            "label": scores.label.value,
            "label_score": round(scores.confidence, 4),
            "scores": {
                "mask": round(scores.mask, 4),
                "no_mask": round(scores.no_mask, 4),
                "incorrect": round(scores.incorrect, 4),
            },
            "gender": gender,
            "gender_score": round(gender_score, 4),
        }
        if video:
            face["person"] = observation.person_id
            face["verdict"] = person.verdict.value if person else "undecided"
        return face


@dataclass(frozen=True, slots=True)
class Source:
    """A file to look at."""

    path: Path
    name: Path
    """As seen from the folder that was given, or the file's name."""
    video: bool


def refuse_input(target: Path, sources: Iterable[Source]) -> None:
    """Raise InputError if what is to be written is one of the inputs, by whatever path, link or spelling."""
    try:
        found = target.stat()
    except OSError:
        return  # nothing there that could be lost
    for source in sources:
        try:
            same = os.path.samestat(found, source.path.stat())
        except OSError:
            continue
        if same:
            raise InputError(f"{target} is one of the inputs, and would be overwritten: choose another place")


class Annotator:
    """Writes annotated pictures, and for a video one annotated film, to a folder.

    They have the names of the inputs, as far as these differ: x.jpg, x-2.jpg, b/x.jpg.

    Raises InputError if the folder can't be written, or a file to be written is an input.
    """

    def __init__(self, directory: Path, sources: Sequence[Source]) -> None:
        self._writer: cv2.VideoWriter | None = None
        self._film: Path | None = None
        self._names = contextlib.ExitStack()
        self._targets: dict[Path, Path] = {}
        taken: set[Path] = set()
        for source in sources:
            if source.path in self._targets:
                continue
            plain = source.name.with_suffix(".mp4" if source.video else ".jpg")
            name, number = plain, 1
            while name in taken:
                number += 1
                name = plain.with_name(f"{plain.stem}-{number}{plain.suffix}")
            taken.add(name)
            self._targets[source.path] = directory / name
        # before anything is written
        for target in self._targets.values():
            refuse_input(target, sources)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--annotate {directory}: can't be written: {error.strerror}") from None

    def add(self, result: Result) -> None:
        """Draw one result and write it. Raises InputError if it can't be written."""
        picture = result.image.copy()
        draw(picture, result.line["faces"])
        target = self._targets[result.path]
        if result.video:
            if self._film != result.path:
                self._begin(result, target)
            assert self._writer is not None
            self._writer.write(picture)
            return
        good, jpeg = cv2.imencode(".jpg", picture)
        if not good:
            raise InputError(f"{target}: can't be written: no JPEG can be made of it")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(jpeg.tobytes())  # unlike cv2.imwrite, it says why it failed
        except OSError as error:
            raise InputError(f"{target}: can't be written: {error.strerror}") from None

    def _begin(self, result: Result, target: Path) -> None:
        self.close()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{target}: can't be written: {error.strerror}") from None
        height, width = result.image.shape[:2]
        name = str(self._names.enter_context(films.name_for_opencv(target)))
        writer = cv2.VideoWriter(name, cv2.VideoWriter.fourcc(*"mp4v"), result.fps, (width, height))
        if not writer.isOpened():
            film = f"a film of {width}×{height} at {result.fps:g} frames/s"
            raise InputError(f"{target}: can't be written: {film}")
        self._writer = writer
        self._film = result.path

    def close(self) -> None:
        """Finish the film that is being written."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        self._names.close()

"""Files through the networks: what `edge-agent detect` does, one line for each picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_agent.annotate import draw
from edge_agent.chain import Chain
from edge_agent.config import Settings
from edge_agent.errors import InputError
from edge_agent.types import Frame, Image, Look, Observation, Person

_NOMINAL_FPS = 25.0
"""Where a video does not tell its rate."""


@dataclass(frozen=True, slots=True)
class Result:
    """One picture and its line."""

    path: Path
    video: bool
    fps: float
    image: Image
    line: dict[str, Any]


class Detection:
    """Looks at every face of every picture: nothing is left out to save time.

    Raises ModelError if a model is missing, altered or of the wrong shape.
    """

    def __init__(self, settings: Settings) -> None:
        vision = settings.vision.model_copy(update={"power": "full", "motion_gate": False})
        self._settings = settings.model_copy(update={"vision": vision})
        self._chain = Chain(self._settings)
        self._used = False

    def image(self, path: Path) -> Iterator[Result]:
        """The one picture of an image file. Raises InputError if it can't be used."""
        image = read_image(path)
        networks = self._chain.networks
        faces = networks.detect(image)
        looks = [Look(number, face, mask=True, gender=True) for number, face in enumerate(faces)]
        observations = networks.look(image, looks)
        yield Result(path, False, 0.0, image, self._line(path, 0, image, observations, None))

    def video(self, path: Path) -> Iterator[Result]:
        """Every frame of a video. Raises InputError if it can't be opened or holds no frame."""
        if self._used:  # people of another film are other people
            self._chain = Chain(self._settings)
        self._used = True
        capture = cv2.VideoCapture(str(path))
        try:
            fps = capture.get(cv2.CAP_PROP_FPS)
            fps = fps if 0.1 < fps < 1000 else _NOMINAL_FPS
            begin = datetime.now(timezone.utc)
            index = 0
            while True:
                good, image = capture.read()
                if not good:
                    break
                now = index / fps
                frame = Frame(index, np.asarray(image, np.uint8), now, begin + timedelta(seconds=now))
                result = self._chain.process(frame)
                line = self._line(path, index, frame.image, result.observations, result.persons)
                yield Result(path, True, fps, frame.image, line)
                index += 1
        finally:
            capture.release()
        if index == 0:
            raise InputError(f"{path}: not a video, or one without a frame")

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
            "file": path.name,
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


def read_image(path: Path) -> Image:
    """A picture as BGR, whatever its depth, colours or alpha. Raises InputError if it can't be used."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from None
    if data.size == 0:
        raise InputError(f"{path}: the file is empty")
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise InputError(f"{path}: can't be decoded: {error.err}") from None
    if image is None:
        raise InputError(f"{path}: not an image, or a damaged one")
    return np.asarray(image, np.uint8)


class Annotator:
    """Writes annotated pictures, and for a video one annotated film, to a folder.

    Raises InputError if the folder can't be written.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writer: cv2.VideoWriter | None = None
        self._film: Path | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--annotate {directory}: can't be written: {error.strerror}") from None

    def add(self, result: Result) -> None:
        """Draw one result and write it."""
        picture = result.image.copy()
        draw(picture, result.line["faces"])
        if not result.video:
            target = self._directory / f"{result.path.stem}.jpg"
            if not cv2.imwrite(str(target), picture):
                raise InputError(f"{target}: can't be written")
            return
        if self._film != result.path:
            self.close()
            size = (picture.shape[1], picture.shape[0])
            target = self._directory / f"{result.path.stem}.mp4"
            self._writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), result.fps, size)
            self._film = result.path
        assert self._writer is not None
        self._writer.write(picture)

    def close(self) -> None:
        """Finish the film that is being written."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None

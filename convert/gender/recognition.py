"""What networks that tell people apart make of the faces: more to learn from than the one bit of a label.

They know nothing of gender; what they answer is near for faces that look alike. From it follow two lessons for each
photo: a point that the gender network learns to find from every degraded or masked crop of it, and how male and how
female such a face is, said by classifiers that have never seen this photo.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from convert.errors import ConvertError
from convert.gender.augment import plain_crops
from convert.gender.records import AGES, RACES, SEXES, Faces
from convert.gender.teacher import FaceResNet, load_faceres
from convert.progress import track

_log = logging.getLogger(__name__)

#: Numbers of a point.
POINT = 256
#: Side of the crops FaceRes is given: between the 224 it was trained on and what FairFace's photos hold.
_FACERES_SIDE = 144
_DLIB_SIDE = 150
#: Where dlib has the eyes, the nose's tip and the mouth's corners (as the landmarks) in a chip of side 1: the means
#: of its mean face's points (dlib/image_transforms/interpolation.h, get_face_chip_details), and a quarter of room.
_DLIB_FACE = np.array(((0.226, 0.216), (0.755, 0.216), (0.490, 0.516), (0.254, 0.780), (0.726, 0.780)))
_DLIB_ROOM = 0.25
_BATCH = 64
#: Classifiers of as many parts are asked of the part that each has not seen, so many times from other weights.
_FOLDS, _VOICES, _EPOCHS, _HIDDEN = 5, 3, 24, 256


@dataclass(frozen=True)
class Lessons:
    """Of every photo of :class:`convert.gender.records.Faces`, in its order."""

    points: NDArray[np.float32]
    """``(n, POINT)`` of length 1."""
    answers: NDArray[np.float32]
    """``(n, 2)`` probabilities of male and female."""

    def trust(self, faces: Faces) -> NDArray[np.float32]:
        """How far each answer may stand for the label, ``(n,)`` from 0 to 1.

        By age group, from guessing (0) to always right (1) on the photos trained on, which the classifiers had not
        seen: networks that tell grown people apart say little of toddlers.
        """
        trusted, train = np.zeros(len(faces.files), np.float32), faces.split("train")
        right = self.answers.argmax(axis=1) == faces.sex
        for age in np.unique(faces.age):
            known = train[faces.age[train] == age]
            if len(known):
                trusted[faces.age == age] = max(2 * float(right[known].mean()) - 1, 0.0)
        return trusted

    def save(self, path: Path, faces: Faces) -> None:
        """Write them, with a mark of the photos they are of."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez(file, points=self.points, answers=self.answers, photos=_mark(faces))

    @classmethod
    def load(cls, path: Path, faces: Faces) -> Lessons:
        """Read what :meth:`save` wrote.

        Raises:
            ConvertError: the file is missing or damaged, or of other photos.
        """
        try:
            with np.load(path) as stored:
                points, answers, mark = stored["points"], stored["answers"], str(stored["photos"])
        except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
            raise ConvertError(f"{path} holds no lessons of describe-gender: {error}") from error
        count = len(faces.files)
        if mark != _mark(faces) or points.shape != (count, POINT) or answers.shape != (count, len(SEXES)):
            raise ConvertError(f"{path} is of other photos; run: python -m convert describe-gender")
        return cls(points, answers)


def learn(faces: Faces, faceres: Path, dlib_weights: Path) -> Lessons:
    """Ask both networks of every photo, half an hour for 20,000, and draw the lessons from what they say.

    Args:
        faces: photos with landmarks; one without is taken to have them where the others have.
        faceres: ``models/faceres.json`` of the npm package ``@vladmandic/human``.
        dlib_weights: ``dlib_face_recognition_resnet_model_v1.dat`` of the PyPI package ``face-recognition-models``
            (CC0).

    Raises:
        ConvertError: a file is missing or holds another network, or dlib is not installed.
    """
    ask_faceres, ask_dlib = _faceres(faceres), _dlib(dlib_weights)  # a wrong file is told at once
    described = (ask_dlib(faces), ask_faceres(faces))
    train = faces.split("train")
    scaled = [
        (part - part[train].mean(0)) / ((part[train].std(0) + 1e-6) * np.sqrt(part.shape[1])) for part in described
    ]
    together = np.concatenate(scaled, axis=1).astype(np.float32)
    return Lessons(points(together, train), answers(together, faces))


def points(described: NDArray[np.float32], train: NDArray[np.int64]) -> NDArray[np.float32]:
    """Principal components of descriptions ``(n, d)``, ``(n, POINT)`` of length 1.

    Half whitened: as they come, the first few components would be all there is to learn; wholly white, noise would.
    """
    from sklearn.decomposition import PCA

    pca = PCA(min(POINT, *described[train].shape), whiten=True, random_state=0).fit(described[train])
    share = pca.explained_variance_ / pca.explained_variance_[0]
    found = pca.transform(described) * share**0.25
    found = np.pad(found, ((0, 0), (0, POINT - found.shape[1])))
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9), np.float32)


def answers(described: NDArray[np.float32], faces: Faces) -> NDArray[np.float32]:
    """Probabilities ``(n, 2)`` of classifiers of descriptions ``(n, d)`` that were trained without the photo."""
    train, found = faces.split("train"), np.zeros((len(faces.files), len(SEXES)), np.float32)
    inputs = torch.from_numpy(described) * 8.0  # to numbers around 1: each part was scaled to length 1
    for fold in track(range(_FOLDS), "classifiers"):
        asked = train[faces.bucket[train] % _FOLDS == fold]
        found[asked] = _voices(inputs, faces, np.setdiff1d(train, asked), asked)
    others = np.setdiff1d(np.arange(len(found)), train)
    found[others] = _voices(inputs, faces, train, others)
    right = float((found[train].argmax(1) == faces.sex[train]).mean())
    _log.info("classifiers of descriptions are right on %.3f of photos they have not seen", right)
    return found


def _voices(
    inputs: torch.Tensor, faces: Faces, train: NDArray[np.int64], asked: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Probabilities for ``asked``: the mean of the logits of small networks trained on ``train``."""
    if not len(asked):
        return np.zeros((0, len(SEXES)), np.float32)
    if not len(train):
        raise ConvertError("these are too few photos to learn from: some classifiers would see none")
    labels = [torch.from_numpy(of) for of in (faces.sex, faces.age, faces.race)]
    known = torch.from_numpy(train)
    losses = nn.CrossEntropyLoss(label_smoothing=0.05)
    steps = max(_EPOCHS * len(train) // 256, 1)
    logits = []
    for seed in range(_VOICES):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(inputs.shape[1], _HIDDEN), nn.GELU(), nn.Dropout(0.5),
            nn.Linear(_HIDDEN, len(SEXES) + len(AGES) + len(RACES)),
        )  # fmt: skip
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            rows = known[torch.randint(len(known), (256,))]
            said = net(inputs[rows]).split((len(SEXES), len(AGES), len(RACES)), dim=1)
            sex, age, race = (losses(one, label[rows]) for one, label in zip(said, labels, strict=True))
            optimizer.zero_grad()
            (sex + 0.3 * (age + race)).backward()
            optimizer.step()
            schedule.step()
        net.eval()
        with torch.no_grad():
            logits.append(net(inputs[torch.from_numpy(asked)])[:, : len(SEXES)])
    return np.asarray(functional.softmax(torch.stack(logits).mean(0), dim=1).numpy(), np.float32)


def _faceres(manifest: Path) -> Callable[[Faces], NDArray[np.float32]]:
    """Asks FaceRes for its last features, ``(n, 1024)``."""
    net = FaceResNet()
    load_faceres(net, manifest)
    net = net.eval().to(memory_format=torch.channels_last)

    def ask(faces: Faces) -> NDArray[np.float32]:
        found = []
        for begin in track(range(0, len(faces.files), _BATCH), "FaceRes"):
            rows = np.arange(begin, min(begin + _BATCH, len(faces.files)))
            crops = plain_crops(faces, rows, _FACERES_SIDE, masked=False)
            with torch.inference_mode():
                found.append(net.features(net.prepare(crops)).numpy())
        return np.concatenate(found)

    return ask


def _dlib(weights: Path) -> Callable[[Faces], NDArray[np.float32]]:
    """Asks dlib for its face descriptors, ``(n, 128)``."""
    try:
        import dlib
    except ImportError as error:  # not in the extra: few need it, and where there is no wheel it takes an hour
        raise ConvertError(f"this needs dlib: pip install dlib-bin ({error})") from error
    try:
        network: Any = dlib.face_recognition_model_v1(str(weights))
    except RuntimeError as error:
        raise ConvertError(f"{weights} is no face recognition network of dlib: {error}") from error

    def ask(faces: Faces) -> NDArray[np.float32]:
        known = faces.landmarks[np.isfinite(faces.landmarks).all(axis=(1, 2))]
        if not len(known):
            raise ConvertError("no face has landmarks in faces.jsonl: dlib can't be shown where they are")
        usual, found = known.mean(axis=0), []
        for begin in track(range(0, len(faces.files), _BATCH), "dlib"):
            rows = range(begin, min(begin + _BATCH, len(faces.files)))
            chips = [chip(np.asarray(faces.pixels[row]), faces.landmarks[row], usual) for row in rows]
            found.append(np.array(network.compute_face_descriptor(chips), np.float32))
        return np.concatenate(found)

    return ask


def chip(
    image_bgr: NDArray[np.uint8], landmarks: NDArray[np.float32], usual: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """A face turned and scaled as dlib's network knows faces, ``(150, 150, 3)`` uint8 RGB.

    Args:
        image_bgr: the photo, ``(height, width, 3)`` uint8 BGR.
        landmarks: ``(5, 2)`` pixels; where they are NaN or no face could have them so, those ``usual`` are taken.
        usual: the like.
    """
    turn = _turn(landmarks)
    if turn is None:
        turn = _turn(usual)
    assert turn is not None, "the usual landmarks are those of a face"
    cut = cv2.warpAffine(image_bgr, turn, (_DLIB_SIDE, _DLIB_SIDE), borderMode=cv2.BORDER_REFLECT)
    return np.ascontiguousarray(cut[:, :, ::-1])


def _turn(landmarks: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """The turn and scale ``(2, 3)`` that bring landmarks to where dlib has them; None if none does."""
    if not np.isfinite(landmarks).all():
        return None
    wanted = ((_DLIB_FACE + _DLIB_ROOM) / (1 + 2 * _DLIB_ROOM) * _DLIB_SIDE).astype(np.float32)
    turn, _ = cv2.estimateAffinePartial2D(np.ascontiguousarray(landmarks, np.float32), wanted, method=cv2.LMEDS)
    return None if turn is None else np.asarray(turn, np.float64)


def _mark(faces: Faces) -> str:
    return hashlib.sha256("\n".join(faces.files).encode("utf-8", "surrogateescape")).hexdigest()

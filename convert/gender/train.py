"""Training of the gender network against the clock: it stops when its minutes are over, wherever it runs."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from convert.errors import ConvertError
from convert.gender.augment import UNKNOWN, Batch, plain_crops, training_batches
from convert.gender.network import Classifier, GenderNet, load_imagenet
from convert.gender.objective import Objective, Taught
from convert.gender.recognition import POINT, Lessons
from convert.gender.records import Faces, Other, load_faces, other_faces
from convert.gender.teacher import FaceResNet, Teachers, load_faceres, opened
from convert.images import scaled
from convert.timed import REPORT_EVERY, History, Progress

_log = logging.getLogger(__name__)
_CHECKPOINT_EVERY = 120.0


@dataclass(frozen=True)
class Settings:
    """How to train. The defaults alone did not make the shipped model: its card names the commands that did."""

    minutes: float = 25.0
    batch: int = 64
    rate: float = 5e-4
    weight_decay: float = 0.02
    smoothing: float = 0.05
    other_heads: float = 0.15
    """Weight of the age and race losses, each."""
    average: float = 0.998
    """Decay of the running average of the weights, which is what is kept."""
    small_size: int = 65
    """Odd at every stride (65, 33, 17, 9, 5), where Keras pads both sides alike as Caffe always does: the ImageNet
    weights begin on the grid they were trained on."""
    small_part: float = 0.4
    """Small crops for this part of the time: three times as many faces are seen in it."""
    seed: int = 1
    threads: int = 1
    large: bool = False
    """Train a teacher, :class:`FaceResNet`, instead of the network that ships."""
    teachers: tuple[Path, ...] = ()
    teacher_share: float = 0.7
    """What the teachers say counts for so much, the label for the rest. With teachers, faces without a label
    are learnt from, too."""
    lessons: Path | None = None
    """Of ``describe-gender``: what face recognition makes of the photos, to learn from besides the labels."""
    answers_share: float = 0.55
    """What the lessons answer counts for so much, times :meth:`Lessons.trust`; the label for the rest."""
    recombined: float = 0.0
    """Part of the faces that are put together of two of one sex (:mod:`convert.gender.recombine`)."""
    bfloat16: bool = False
    """Multiply in 16 bits in large networks and teachers: twice as fast on a processor that has units for it (AMX),
    slower on others. The network that ships is too narrow to gain by it."""


class _Stream(IterableDataset):  # type: ignore[misc]  # torch is not followed by mypy
    def __init__(self, faces: Faces, size: int, seed: int, others: Sequence[Other], settings: Settings) -> None:
        self.faces = faces
        self._arguments = (faces, faces.split("train"), size, settings.batch)
        self._seed = seed
        self._others = others
        self._recombined = settings.recombined

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng(self._seed)
        return training_batches(*self._arguments, rng, self._others, self._recombined)


class _State:
    """What a checkpoint holds."""

    def __init__(self, weights: Path | None, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.net = _built(weights, large=settings.large).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).eval()
        self.point = nn.Linear(self.net.sex.in_features, POINT)
        """Reads the point of a lesson from the features; does not ship."""
        self._parts = ("net", "average", *(("point",) if settings.lessons else ()), "optimizer")
        trained = [*self.net.parameters(), *(self.point.parameters() if settings.lessons else ())]
        decayed = [p for p in trained if p.ndim > 1]
        plain = [p for p in trained if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=settings.rate,
            fused=True,
        )
        self.step = 0
        self.elapsed = 0.0

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        state = {name: getattr(self, name).state_dict() for name in self._parts}
        torch.save({**state, "step": self.step, "elapsed": self.elapsed}, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        try:
            state = torch.load(path, weights_only=True)
            if ("point" in state) != ("point" in self._parts):
                how = "with" if "point" in state else "without"
                raise ConvertError(f"{path} was trained {how} --lessons; go on so, or choose an empty --out")
            for name in self._parts:
                getattr(self, name).load_state_dict(state[name])
            self.step, self.elapsed = state["step"], state["elapsed"]
        except (OSError, RuntimeError, KeyError, EOFError, TypeError, ValueError, UnpicklingError) as error:
            raise ConvertError(f"{path} is not a checkpoint of this network; choose an empty --out") from error


def _built(weights: Path | None, *, large: bool) -> Classifier:
    """A network with the weights to start from in it."""
    net: Classifier = FaceResNet() if large else GenderNet()
    if weights is None:
        return net
    if weights.suffix == ".h5" and isinstance(net, GenderNet):
        load_imagenet(net, weights)
    elif weights.suffix == ".json" and isinstance(net, FaceResNet):
        load_faceres(net, weights)
    else:
        before = opened(weights)
        if type(before) is not type(net):
            raise ConvertError(f"{weights} is the {'small' if large else 'large'} network; see --large")
        return before
    return net


def train(dataset: Path, cache: Path, weights: Path | None, out: Path, settings: Settings) -> Path:
    """Train, or go on from the checkpoint in ``out``.

    Args:
        dataset, cache: folders for :func:`convert.gender.records.load_faces`.
        weights: to start from: Keras' ImageNet weights (.h5; for the large network FaceRes, .json), a .pt of an
            earlier training, or a .caffemodel that was exported; None starts from chance.
        out: folder for ``checkpoint.pt``, ``history.csv`` (seconds, step, size, loss, right) and the result.
        settings: how to train.

    Returns:
        The result, ``out/gender_net.pt``: the averaged weights as a state dict of the network.

    Raises:
        ConvertError: the dataset, the weights, a teacher or the checkpoint can't be used, or nothing is left to
            train.
    """
    if settings.teachers and settings.lessons is not None:
        raise ConvertError("a network learns from teachers or from lessons, not from both; leave one out")
    torch.set_num_threads(settings.threads)
    # OpenCV's pool of threads does not survive the fork that makes the process which cuts faces: it would hang.
    cv2.setNumThreads(0)
    torch.set_flush_denormal(True)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, result = out / "checkpoint.pt", out / "gender_net.pt"
    total = settings.minutes * 60
    # Before the photos are decoded, which takes minutes the first time.
    state = _begun(checkpoint, result, weights, settings)
    teachers = Teachers(settings.teachers)
    others = other_faces(dataset) if teachers else []
    faces = load_faces(dataset, cache)
    taught: Taught | None = None
    if settings.lessons is not None:
        lessons = Lessons.load(settings.lessons, faces)
        taught = Taught(lessons, faces, settings.answers_share, state.point)
    with Progress(total) as progress, History(out / "history.csv", ("size", "loss", "right")) as history:
        for size, end in ((settings.small_size, settings.small_part), (state.net.size, 1.0)):
            if state.elapsed < end * total:
                seed = settings.seed * 1_000_003 + state.step
                stream = _Stream(faces, max(size, teachers.size), seed, others, settings)
                _phase(state, stream, teachers, taught, size, end * total, settings, checkpoint, history, progress)
                _log.info("%d px done: %s", size, _validate(state.average, faces))
    torch.save(state.average.state_dict(), result)
    return result


def _begun(checkpoint: Path, result: Path, weights: Path | None, settings: Settings) -> _State:
    """The state to go on from: of the checkpoint if there is one, else the weights."""
    resumed = checkpoint.is_file()
    state = _State(None if resumed else weights, settings)
    if not resumed:
        return state
    state.load(checkpoint)
    done = state.elapsed / 60
    if done >= settings.minutes and result.is_file():
        unused = f" and {weights} would not be used" if weights is not None else ""
        raise ConvertError(
            f"{checkpoint} was trained for {done:.1f} minutes: nothing is left of --minutes {settings.minutes:g}"
            f"{unused}; give more --minutes to go on, or an empty --out to begin anew"
        )
    if weights is not None:
        _log.warning("%s is used, not %s; to begin with that, give an empty --out", checkpoint, weights)
    _log.info("going on at step %d, minute %.1f", state.step, done)
    return state


def _phase(
    state: _State,
    stream: _Stream,
    teachers: Teachers,
    taught: Taught | None,
    size: int,
    until: float,
    settings: Settings,
    checkpoint: Path,
    history: History,
    progress: Progress,
) -> None:
    """Train on crops of one size until ``state.elapsed`` reaches ``until`` seconds."""
    # One process cuts faces ahead of those that train.
    batches = iter(DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=8, collate_fn=_untouched))
    objective = Objective(settings.smoothing, settings.other_heads, settings.teacher_share)
    total = settings.minutes * 60
    state.net.train()
    saved = before = time.monotonic()
    recent: list[tuple[float, float, float]] = []
    while state.elapsed < until:
        batch: Batch = next(batches)
        for group in state.optimizer.param_groups:
            group["lr"] = settings.rate * _schedule(state.elapsed / total)
        told = None
        if teachers:
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
                told = teachers.tell(batch.crops)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16 and settings.large):
            answers = state.net.all_heads(state.net.prepare(scaled(batch.crops, size)))
        sex, age, race, features = (answer.float() for answer in answers)
        loss = objective((sex, age, race, features), batch, told, taught)
        state.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(state.net.parameters(), 5.0)
        state.optimizer.step()
        state.step += 1
        decay = min(settings.average, (1 + state.step) / (10 + state.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(state.average.parameters()), list(state.net.parameters()), 1 - decay)
        right = sex.detach().argmax(1).numpy() == batch.sex  # never so where it is not known
        recent.append((float(loss.detach()), float(right.sum()), float((batch.sex != UNKNOWN).sum())))
        now = time.monotonic()
        state.elapsed += now - before
        before = now
        progress.at(state.elapsed)
        if state.step % REPORT_EVERY == 0:
            losses, rights, known = np.sum(recent, axis=0)
            loss_mean, right_mean = losses / len(recent), rights / max(known, 1)
            history.add(state.elapsed, state.step, (size, loss_mean, right_mean))
            progress.say(state.elapsed, state.step, f"{size} px: loss {loss_mean:.3f}, right {right_mean:.3f}")
            recent.clear()
        if now - saved > _CHECKPOINT_EVERY:
            state.save(checkpoint)
            saved = now
    state.save(checkpoint)


def _untouched(batch: Batch) -> Batch:
    return batch


def _schedule(progress: float) -> float:
    """Share of the full learning rate: a short rise, then half a cosine."""
    warm = 0.03
    if progress < warm:
        return max(progress / warm, 0.02)
    return 0.5 * (1 + math.cos(math.pi * min((progress - warm) / (1 - warm), 1.0)))


def _validate(net: Classifier, faces: Faces) -> str:
    """Accuracy on the calibration split, bare and masked, for the log."""
    indices = faces.split("calibration")
    if not len(indices):
        return "no face in the calibration split"
    rights = []
    for masked in (False, True):
        scores = predict(net, plain_crops(faces, indices, net.size, masked=masked))
        rights.append(float((scores.argmax(axis=1) == faces.sex[indices]).mean()))
    return f"calibration split right: bare {rights[0]:.3f}, masked {rights[1]:.3f}"


def predict(net: Classifier, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities ``(n, 2)``, male and female, of RGB uint8 crops ``(n, size, size, 3)``."""
    net.eval()
    with torch.inference_mode():
        parts = [torch.softmax(net(net.prepare(crops[i : i + 64])), 1).numpy() for i in range(0, len(crops), 64)]
    return np.concatenate(parts)

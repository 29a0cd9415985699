"""Training of the gender network against the clock: it stops when its minutes are over, wherever it runs."""

from __future__ import annotations

import copy
import csv
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from convert.caffe import load_caffe
from convert.errors import ConvertError
from convert.gender.augment import Batch, plain_crops, training_batches
from convert.gender.network import INPUT_SIZE, GenderNet, as_input, load_imagenet
from convert.gender.records import Faces, load_faces

_log = logging.getLogger(__name__)
_CHECKPOINT_EVERY = 120.0


@dataclass(frozen=True)
class Settings:
    """How to train; the defaults made the shipped model."""

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
    mixup: float = 0.0
    """Both parameters of the beta distribution from which the shares of two mixed faces are drawn; 0 mixes none."""
    mixup_until: float = 0.85
    """Part of the time after which faces are no longer mixed: the end is trained on what will be asked."""
    drop_path: float = 0.0
    """Chance that the last residual block is skipped for a face; earlier ones in proportion to their place."""
    seed: int = 1
    threads: int = 1


class _Stream(IterableDataset):  # type: ignore[misc]  # torch is not followed by mypy
    def __init__(self, faces: Faces, size: int, batch: int, seed: int) -> None:
        self._arguments = (faces, faces.split("train"), size, batch)
        self._seed = seed

    def __iter__(self) -> Iterator[Batch]:
        return training_batches(*self._arguments, np.random.default_rng(self._seed))


class _State:
    """What a checkpoint holds."""

    def __init__(self, weights: Path | None, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.net = GenderNet(drop_path=settings.drop_path)
        if weights is not None and weights.suffix == ".caffemodel":
            load_caffe(nn.Sequential(self.net.body, self.net.pool, nn.Flatten(1), self.net.sex).eval(), weights)
        elif weights is not None:
            load_imagenet(self.net, weights)
        self.net = self.net.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).eval()
        decayed = [p for p in self.net.parameters() if p.ndim > 1]
        plain = [p for p in self.net.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=settings.rate,
            fused=True,
        )
        self.step = 0
        self.elapsed = 0.0

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        state = {name: getattr(self, name).state_dict() for name in ("net", "average", "optimizer")}
        torch.save({**state, "step": self.step, "elapsed": self.elapsed}, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        try:
            state = torch.load(path, weights_only=True)
            for name in ("net", "average", "optimizer"):
                getattr(self, name).load_state_dict(state[name])
        except (RuntimeError, KeyError, EOFError) as error:
            raise ConvertError(f"{path} is not a checkpoint of this network; choose an empty --out") from error
        self.step, self.elapsed = state["step"], state["elapsed"]


def train(dataset: Path, cache: Path, weights: Path | None, out: Path, settings: Settings) -> Path:
    """Train, or go on from the checkpoint in ``out``.

    Args:
        dataset, cache: folders for :func:`convert.gender.records.load_faces`.
        weights: Keras' ImageNet weights to start from, or a .caffemodel that was exported; None starts from chance.
        out: folder for ``checkpoint.pt``, ``history.csv`` and the result.
        settings: how to train.

    Returns:
        The result, ``out/gender_net.pt``: the averaged weights as a state dict of :class:`GenderNet`.

    Raises:
        ConvertError: the dataset, the weights or the checkpoint can't be used.
    """
    torch.set_num_threads(settings.threads)
    # OpenCV's pool of threads does not survive the fork that makes the process which cuts faces: it would hang.
    cv2.setNumThreads(0)
    torch.set_flush_denormal(True)
    out.mkdir(parents=True, exist_ok=True)
    faces = load_faces(dataset, cache)
    checkpoint = out / "checkpoint.pt"
    resumed = checkpoint.is_file()
    state = _State(None if resumed else weights, settings)
    if resumed:
        state.load(checkpoint)
        _log.info("going on at step %d, minute %.1f", state.step, state.elapsed / 60)
    total = settings.minutes * 60
    with (out / "history.csv").open("a", newline="", encoding="utf-8") as file:
        history = csv.writer(file)
        for size, end in ((settings.small_size, settings.small_part), (INPUT_SIZE, 1.0)):
            if state.elapsed < end * total:
                _phase(state, faces, size, end * total, settings, checkpoint, history)
                file.flush()
                _log.info("%d px done: %s", size, _validate(state.average, faces))
    result = out / "gender_net.pt"
    torch.save(state.average.state_dict(), result)
    return result


def _phase(
    state: _State, faces: Faces, size: int, until: float, settings: Settings, checkpoint: Path, history: Any
) -> None:
    """Train on crops of one size until ``state.elapsed`` reaches ``until`` seconds."""
    stream = _Stream(faces, size, settings.batch, settings.seed * 1_000_003 + state.step)
    # One process cuts faces ahead of those that train.
    batches = iter(DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=8, collate_fn=_untouched))
    losses = nn.CrossEntropyLoss(label_smoothing=settings.smoothing)
    total = settings.minutes * 60
    draws = np.random.default_rng((settings.seed, state.step))
    state.net.train()
    saved = before = time.monotonic()
    recent: list[tuple[float, float]] = []
    while state.elapsed < until:
        batch: Batch = next(batches)
        for group in state.optimizer.param_groups:
            group["lr"] = settings.rate * _schedule(state.elapsed / total)
        inputs = as_input(batch.crops)
        labels = [torch.from_numpy(column) for column in (batch.sex, batch.age, batch.race)]
        share = 1.0
        if settings.mixup and state.elapsed < settings.mixup_until * total:
            # Zhang et al., "mixup", ICLR 2018; the batch is mixed with itself in reverse: its order is random.
            share = float(draws.beta(settings.mixup, settings.mixup))
            inputs = inputs.lerp(inputs.flip(0), 1 - share)
        loss: Any = 0.0
        outputs = state.net.all_heads(inputs)
        weights = (1.0, settings.other_heads, settings.other_heads)
        for output, target, weight in zip(outputs, labels, weights, strict=True):
            one = losses(output, target)
            if share < 1:
                one = share * one + (1 - share) * losses(output, target.flip(0))
            loss = loss + weight * one
        state.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(state.net.parameters(), 5.0)
        state.optimizer.step()
        state.step += 1
        decay = min(settings.average, (1 + state.step) / (10 + state.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(state.average.parameters()), list(state.net.parameters()), 1 - decay)
        leading = labels[0] if share >= 0.5 else labels[0].flip(0)
        recent.append((float(loss.detach()), float((outputs[0].argmax(1) == leading).float().mean())))
        now = time.monotonic()
        state.elapsed += now - before
        before = now
        if state.step % 50 == 0:
            loss_mean, right_mean = np.mean(recent, axis=0)
            history.writerow([f"{state.elapsed:.0f}", state.step, size, f"{loss_mean:.4f}", f"{right_mean:.4f}"])
            _log.info("%4.1f min, step %d, %d px: loss %.3f, right %.3f", state.elapsed / 60, state.step, size,
                      loss_mean, right_mean)  # fmt: skip
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


def _validate(net: GenderNet, faces: Faces) -> str:
    """Accuracy on the calibration split, bare and masked, for the log."""
    indices = faces.split("calibration")
    rights = []
    for masked in (False, True):
        scores = predict(net, plain_crops(faces, indices, INPUT_SIZE, masked=masked))
        rights.append(float((scores.argmax(axis=1) == faces.sex[indices]).mean()))
    return f"calibration split right: bare {rights[0]:.3f}, masked {rights[1]:.3f}"


def predict(net: GenderNet, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities ``(n, 2)``, male and female, of RGB uint8 crops ``(n, size, size, 3)``."""
    net.eval()
    with torch.inference_mode():
        parts = [torch.softmax(net(as_input(crops[i : i + 64])), 1).numpy() for i in range(0, len(crops), 64)]
    return np.concatenate(parts)

"""Train the face net on a workstation's processor, for a given time, in one go or in several."""

from __future__ import annotations

import copy
import itertools
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from convert.caffe.to_torch import load_caffe, settle
from convert.errors import ConvertError
from convert.faces.canvases import SIZES, CanvasMaker
from convert.faces.loss import LOSSES, Targets, loss
from convert.faces.network import FaceNet, RawInput, flatten
from convert.faces.records import Dataset, read_dataset
from convert.timed import REPORT_EVERY, History, Progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainSettings:
    """How to train.

    `minutes` is the whole training's time, over all its sittings; the learning rate falls along it. `sitting`
    ends this one earlier; the next goes on from the checkpoint.
    """

    dataset: Path
    checkpoint: Path
    minutes: float
    start: Path | None = None
    """A written caffemodel to begin with where there is no checkpoint yet; None begins with chance."""
    sitting: float | None = None
    rate: float = 2e-3
    decay: float = 0.02
    pixels: int = 900_000
    """Pixels in a batch: small canvases come in larger batches."""
    threads: int = 1
    seed: int = 0


class _Batches(IterableDataset):  # type: ignore[misc]  # torch is not followed by mypy
    """Endless batches (images uint8 [N, H, W, 3], targets) of one canvas size each."""

    def __init__(self, dataset: Dataset, pixels: int, seed: int) -> None:
        self._dataset, self._pixels, self._seed = dataset, pixels, seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, Targets]]:
        cv2.setNumThreads(1)
        maker, random = CanvasMaker(self._dataset, self._seed), np.random.default_rng(self._seed)
        while True:
            height, width = SIZES[int(random.integers(len(SIZES)))]
            made = [maker.make(height, width) for _ in range(max(2, round(self._pixels / (height * width))))]
            yield torch.from_numpy(np.stack([image for image, _, _ in made])), _targets(made)


def _targets(made: list[Any]) -> Targets:
    def flat(which: int) -> tuple[torch.Tensor, torch.Tensor]:
        boxes = [entry[which] for entry in made]
        image = np.repeat(np.arange(len(made)), [len(b) for b in boxes])
        return torch.from_numpy(np.concatenate(boxes).astype(np.float32)), torch.from_numpy(image)

    return Targets(*flat(1), *flat(2))


class _Average:
    """The exponential average of a net's weights, which finds more than the net itself."""

    def __init__(self, net: FaceNet) -> None:
        self.net = copy.deepcopy(net).eval()
        self._steps = 0

    def update(self, net: FaceNet) -> None:
        self._steps += 1
        rate = 1.0 - min(0.9985, (1.0 + self._steps) / (20.0 + self._steps))
        with torch.no_grad():
            for ours, theirs in zip(self.net.state_dict().values(), net.state_dict().values(), strict=True):
                if ours.dtype.is_floating_point:
                    ours.lerp_(theirs, rate)
                else:
                    ours.copy_(theirs)

    def state(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "steps": self._steps}

    def load(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self._steps = state["steps"]


def rate_at(done: float, settings: TrainSettings) -> float:
    """The learning rate when a share `done` (0..1) of the time is over: a short rise, then a cosine."""
    return (
        settings.rate
        * min(1.0, 0.05 + done / 0.02)
        * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0))))
    )


class Trainer:
    """The state of a training; everything a checkpoint keeps."""

    def __init__(self, settings: TrainSettings) -> None:
        self._settings = settings
        torch.manual_seed(settings.seed)
        self.net = FaceNet().to(memory_format=torch.channels_last)
        self.average = _Average(self.net)
        decayed = [p for p in self.net.parameters() if p.ndim > 1]
        plain = [p for p in self.net.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": settings.decay}, {"params": plain, "weight_decay": 0.0}]
        self._optimiser = torch.optim.AdamW(groups, lr=settings.rate)
        self.seconds = 0.0
        self.steps = 0

    def save(self) -> None:
        """Write the checkpoint; the old one stays whole until the new one is."""
        state = {
            "net": self.net.state_dict(), "average": self.average.state(), "optimiser":
            self._optimiser.state_dict(),
            "seconds": self.seconds, "steps": self.steps,
        }  # fmt: skip
        path = self._settings.checkpoint
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(path)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one.

        Raises:
            ConvertError: it is none of this training.
        """
        path = self._settings.checkpoint
        if not path.exists():
            return
        try:
            state = torch.load(path, weights_only=True)
            self.net.load_state_dict(state["net"])
            self.average.load(state["average"])
            self._optimiser.load_state_dict(state["optimiser"])
            self.seconds, self.steps = state["seconds"], state["steps"]
        except (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, UnpicklingError) as error:
            raise ConvertError(f"{path} is no checkpoint of train-faces; give another --checkpoint") from error
        _log.info("resumed at step %d, minute %.1f", self.steps, self.seconds / 60)

    def start(self, caffemodel: Path, images: list[torch.Tensor]) -> None:
        """Begin with the weights of a written file; `images`: batches, uint8 [N, H, W, 3]."""
        raw = RawInput(self.net)
        norms = load_caffe(raw, caffemodel)
        settle(raw, norms, (batch.permute(0, 3, 1, 2).float() for batch in images))
        self.net.load_state_dict(raw.net.state_dict())
        with torch.no_grad():
            self.net.stem[0][0].weight.mul_(255.0)  # what RawInput put into it
        self.average = _Average(self.net)
        _log.info("begun with %s", caffemodel)

    def step(self, images: torch.Tensor, targets: Targets, rate: float) -> dict[str, float]:
        """One batch: images uint8 [N, H, W, 3]."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        height, width = images.shape[1:3]
        self.net.train()
        batch = images.permute(0, 3, 1, 2).float().div_(255.0)
        with torch.autocast("cpu", torch.bfloat16):
            features = self.net.features(batch)
        maps = tuple(out(level.float()) for out, level in zip(self.net.out, features, strict=True))
        cost, parts = loss(flatten(maps), targets, height, width)
        self._optimiser.zero_grad(set_to_none=True)
        cost.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        self._optimiser.step()
        self.average.update(self.net)
        self.steps += 1
        return parts


def train(settings: TrainSettings) -> Trainer:
    """Train until the time is over, saving every two minutes; ``history.csv`` grows beside the checkpoint.

    Raises:
        ConvertError: the data folder is incomplete, or the checkpoint or the file to start from can't be used.
    """
    if settings.start is not None and not settings.start.is_file():
        raise ConvertError(f"--start {settings.start} does not exist")
    torch.set_num_threads(settings.threads)
    dataset = read_dataset(settings.dataset)
    trainer = Trainer(settings)
    trainer.resume()
    if trainer.steps == 0 and settings.start is not None:
        sample = itertools.islice(_Batches(dataset, settings.pixels, settings.seed), 12)
        trainer.start(settings.start, [images for images, _ in sample])
    batches = _Batches(dataset, settings.pixels, settings.seed + trainer.steps)
    begun, before, saved = time.monotonic(), trainer.seconds, 0.0
    recent: list[dict[str, float]] = []
    until = min(settings.minutes * 60, before + (settings.sitting or math.inf) * 60)
    kept = settings.checkpoint.with_name("history.csv")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with Progress(settings.minutes * 60) as progress, History(kept, LOSSES) as history:
        for images, targets in DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=6):
            recent.append(trainer.step(images, targets, rate_at(trainer.seconds / 60 / settings.minutes, settings)))
            trainer.seconds = before + time.monotonic() - begun
            progress.at(trainer.seconds)
            if trainer.steps % REPORT_EVERY == 0:
                means = [float(np.mean([parts[name] for parts in recent])) for name in LOSSES]
                history.add(trainer.seconds, trainer.steps, means)
                told = ", ".join(f"{name} {mean:.3f}" for name, mean in zip(LOSSES, means, strict=True))
                progress.say(trainer.seconds, trainer.steps, told)
                recent.clear()
            if trainer.seconds - saved > 120 or trainer.seconds >= until:
                saved = trainer.seconds
                trainer.save()
            if trainer.seconds >= until:
                break
    return trainer

"""Transfer learning of the mask network: the head first, then everything, with a running weight average."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from convert.errors import ConvertError
from convert.images import scaled
from convert.mask import doubles, folds, net, resume, reviewed
from convert.mask.cleaning import Cleaning
from convert.mask.folds import Fold
from convert.mask.patches import PatchSet, central_crops
from convert.mask.records import in_validation
from convert.mask.sampling import Recipe, Sampler
from convert.mask.teachers import Teachers
from edge_agent.types import LABELS

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How to train; times and counts, not what the data is.

    ``weights`` are ImageNet's; ``start`` is a checkpoint, or a file that ships, to go on from instead, with its
    own width and size. ``teachers`` are asked together. ``keep_epochs`` keeps the network of each epoch, to choose
    among or to average. ``trust_labels`` leaves :class:`convert.mask.cleaning.Cleaning` out. ``without`` is a fold
    of the training part that is not trained on; additional bare faces lie in none.
    """

    size: int = 96
    alpha: float = 1.0
    weights: Path | str | None = None
    start: Path | None = None
    epochs: int = 12
    steps: int = 250
    batch: int = 64
    rate: float = 4e-4
    decay: float = 0.02
    average: float = 0.998
    head_batches: int = 80
    clean_after: int = 4
    doubt: float = 0.9
    threads: int = 1
    seed: int = 20261122
    teachers: tuple[Path, ...] = ()
    teacher_share: float = 0.7
    keep_epochs: bool = False
    trust_labels: bool = False
    without: Fold | None = None


@dataclass(frozen=True)
class Networks:
    """The network to train, those that teach it, and the settings with the size that it takes."""

    model: keras.Model
    teachers: Teachers
    settings: Settings

    @property
    def size(self) -> int:
        """Side of the crops to cut: the largest that any of them takes."""
        return max(self.settings.size, self.teachers.size)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Endless random batches; ``(seed, epoch, number)`` decides what is in one.

    With teachers, their probabilities make up ``teacher_share`` of the targets (Hinton et al., 2015).
    """

    def __init__(self, sampler: Sampler, settings: Settings, teachers: Teachers) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self.sampler = sampler
        self.epoch = 0
        self._settings = settings
        self._teachers = teachers

    def __len__(self) -> int:
        return self._settings.steps

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rng = np.random.default_rng((self._settings.seed, self.epoch, number))
        images, targets = self.sampler.batch(self._settings.batch, rng)
        if self._teachers:
            share = self._settings.teacher_share
            targets = share * self._teachers.tell(images) + (1 - share) * targets
        return net.as_input(scaled(images, self._settings.size)), targets


class Epoch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Tells the batches which epoch it is, also after training was taken up again."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self._batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches.epoch = epoch


def split(patches: PatchSet, without: Fold | None = None) -> tuple[list[int], list[int]]:
    """Indices to train on and to measure on; additional bare faces are always trained on, doubles and the fold to
    leave out are in neither."""
    training: list[int] = []
    validation: list[int] = []
    for index, patch in enumerate(patches):
        if patch.origin == "bare":
            training.append(index)
        elif in_validation(patch.group):
            if not doubles.is_double(patch):
                validation.append(index)
        elif without is None or not without.has(patch.group):
            training.append(index)
    return training, validation


def begin(settings: Settings, out: Path) -> Networks:
    """Load or build what is to be trained, before anything that takes long.

    Raises:
        ConvertError: a file is missing or of another network, or the training in ``out`` cannot be gone on with:
            nothing is left of it, it leaves out another fold, or it is damaged or of another network.
    """
    cv2.setNumThreads(1)  # the trainer is given one core beside TensorFlow's
    tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(settings.seed)
    teachers = Teachers(settings.teachers)
    resumed = _going_on(settings, out)
    _check_fold(settings, out if resumed else None)
    if settings.start is not None:
        model = net.load(settings.start)
    else:
        model = net.build(settings.size, settings.alpha, None if resumed else settings.weights)
    if resumed:
        _check_same(model, out)
    return Networks(model, teachers, replace(settings, size=net.size(model)))


def _going_on(settings: Settings, out: Path) -> bool:
    """Whether the training in ``out`` is gone on with, and not what the settings name."""
    done = resume.epochs_done(out)
    if done is None:
        return False
    folder = out / resume.FOLDER
    unused = settings.start
    if unused is None and settings.weights is not None and str(settings.weights) != "imagenet":
        unused = Path(settings.weights)
    if done >= settings.epochs and resume.result_saved(out):
        would = f" and {unused} would not be used" if unused is not None else ""
        raise ConvertError(
            f"{folder} has {done} epochs behind it: nothing is left of --epochs {settings.epochs}{would}; give "
            "more, or an empty --out"
        )
    if unused is not None:
        _log.warning("%s is used, not %s; to begin with that, give an empty --out", folder, unused)
    return True


def _check_fold(settings: Settings, resumed: Path | None) -> None:
    """See that a fold is left out from the beginning, and warn of networks that may know it."""
    without = settings.without
    if resumed is not None and (before := folds.noted(resumed / resume.RESULT)) != without:
        left_out, wanted = (f"fold {fold}" if fold else "none" for fold in (before, without))
        raise ConvertError(f"the training in {resumed} leaves out {left_out}, not {wanted}; give an empty --out")
    if without is None:
        return
    for path in filter(None, (settings.start, *settings.teachers)):
        if folds.noted(path) != without:
            _log.warning("%s may know the faces of fold %s: they would measure too well", path, without)


def _check_same(model: keras.Model, out: Path) -> None:
    """See that ``model`` is the network that ``out`` holds, as far as that can be told before the faces are cut.

    The size is not in what is restored: a training would go on with another, and nobody would know.
    """
    try:
        before = net.load(out / resume.RESULT)
    except ConvertError:  # damaged by the same stop, or moved away; the weights are compared when they are restored
        return
    one, other = ((net.size(m), *(weights.shape for weights in m.get_weights())) for m in (before, model))
    if one != other:
        raise resume.another(out / resume.FOLDER)


def fit(patches: PatchSet, out: Path, networks: Networks, recipe: Recipe) -> keras.Model:
    """Train on the training groups of ``patches`` and return the averaged network (three logits).

    ``out`` receives ``history.csv``, ``model.keras`` after each epoch and what is needed to resume; if they are to
    be kept, the networks of the epochs, too: ``epochs/model-01.keras``, …

    Raises:
        ConvertError: a class has no face to train on, or what is to be resumed is damaged or of another network.
    """
    model, settings = networks.model, networks.settings
    out.mkdir(parents=True, exist_ok=True)
    folds.note(out, settings.without)
    patches, dropped = reviewed.apply(patches, reviewed.read())
    training, validation = split(patches, settings.without)
    left_out = set(dropped)
    training = [index for index in training if index not in left_out]
    batches = Batches(Sampler(patches, training, recipe, networks.size), settings, networks.teachers)
    measured = [index for index in validation if patches[index].side >= 40 or patches[index].origin == "single"]
    validation_data = (
        net.as_input(central_crops(patches, measured, settings.size)),
        np.eye(len(LABELS), dtype=np.float32)[[patches[index].label for index in measured]],
    )
    done = resume.epochs_done(out)
    if settings.start is None and done is None:
        _fit_head(model, batches, settings)
    net.freeze_batch_norm(model)
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.rate * 0.1,
        settings.epochs * settings.steps,
        alpha=0.01,
        warmup_target=settings.rate,
        warmup_steps=min(200, settings.epochs * settings.steps // 10),
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(
            schedule, weight_decay=settings.decay, clipnorm=1.0, use_ema=True, ema_momentum=settings.average
        ),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    cleaning = Cleaning(
        batches.sampler, patches, training, out, networks.teachers,
        size=settings.size, trained=settings.start is not None, after=settings.clean_after, doubt=settings.doubt,
    )  # fmt: skip
    model.fit(
        batches,
        epochs=settings.epochs,
        validation_data=validation_data if measured else None,
        validation_batch_size=128,
        callbacks=[
            # Before the swap: training resumes from the weights being trained, not from their average.
            resume.Backup(out),
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.ModelCheckpoint(out / resume.RESULT),
            *_kept(out, settings),
            keras.callbacks.CSVLogger(out / "history.csv", append=True),
            Epoch(batches),
            *([] if settings.trust_labels else [cleaning]),
        ],
    )
    if done is not None and done >= settings.epochs:  # stopped between the last backup and what is made of it
        model.save(out / resume.RESULT)
    return model


def _kept(out: Path, settings: Settings) -> list[keras.callbacks.Callback]:
    if not settings.keep_epochs:
        return []
    (out / "epochs").mkdir(exist_ok=True)
    return [keras.callbacks.ModelCheckpoint(out / "epochs" / "model-{epoch:02d}.keras")]


def _fit_head(model: keras.Model, batches: Batches, settings: Settings) -> None:
    """Fit the last convolution on cached features, so that random logits don't shake the base."""
    features_model = keras.Model(model.input, model.get_layer("pool").output)
    features, targets = [], []
    for number in range(settings.head_batches):
        images, target = batches[-1 - number + 2**31]
        features.append(features_model.predict_on_batch(images))
        targets.append(target)
    head = keras.Sequential([keras.layers.Flatten(), keras.layers.Dropout(0.2), keras.layers.Dense(len(LABELS))])
    head.compile(optimizer=keras.optimizers.Adam(1e-3), loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    head.fit(np.concatenate(features), np.concatenate(targets), epochs=15, batch_size=64, verbose=0)
    kernel, bias = head.layers[-1].get_weights()
    model.get_layer("logits_conv").set_weights([kernel[None, None], bias])

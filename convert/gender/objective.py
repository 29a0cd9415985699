"""What the gender network is to learn of a batch, in one number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from convert.gender.augment import UNKNOWN, Batch
from convert.gender.recognition import Lessons
from convert.gender.records import Faces


class Taught:
    """Lessons as they are learnt: how far each answer stands for the label, and the layer that reads the point."""

    def __init__(self, lessons: Lessons, photos: Faces, most: float, point: nn.Linear) -> None:
        """``photos``: those of the lessons; ``most``: that an answer stands for the label; ``point``: finds the
        point in the features."""
        self._lessons = lessons
        self._shares = most * torch.from_numpy(lessons.trust(photos))
        self._point = point

    def answers(self, batch: Batch) -> torch.Tensor:
        """Probabilities of male and female, ``(n, 2)``."""
        return _blended(self._lessons.answers, batch)

    def shares(self, batch: Batch) -> torch.Tensor:
        """What they count for, ``(n,)``; the label for the rest."""
        return self._shares[torch.from_numpy(batch.face)]

    def miss(self, features: torch.Tensor, batch: Batch) -> torch.Tensor:
        """How far from where they should be the points found in ``features`` are: one less the cosine, the mean."""
        found = self._point(features)
        return 1 - functional.cosine_similarity(found, _blended(self._lessons.points, batch)).mean()


def _blended(lessons: NDArray[np.float32], batch: Batch) -> torch.Tensor:
    """What is to be learnt of each face of a batch: of one put together of two, from both by their parts."""
    share = batch.share[:, None]
    return torch.from_numpy(share * lessons[batch.face] + (1 - share) * lessons[batch.partner])


@dataclass(frozen=True)
class Objective:
    """The loss of a batch; a label that is not known counts for nothing."""

    smoothing: float
    """Of the labels."""
    other_heads: float
    """Weight of the age and race losses, each."""
    teacher_share: float
    """What teachers say counts for so much, the label for the rest."""

    def __call__(
        self,
        heads: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
        batch: Batch,
        told: torch.Tensor | None,
        taught: Taught | None,
    ) -> torch.Tensor:
        """The loss, of a network's ``heads`` for ``n`` faces.

        ``heads``: scores of sex ``(n, 2)``, age ``(n, 9)`` and race ``(n, 7)``, and the features, ``(n, f)``.
        ``told``: what teachers say, probabilities ``(n, 2)``, or what the lessons teach, ``taught``; not both.
        """
        sex, age, race, features = heads
        if taught is not None:
            said = functional.cross_entropy(sex, taught.answers(batch), reduction="none")
            loss = torch.lerp(self._each(sex, batch.sex), said, taught.shares(batch)).mean()
            loss = loss + taught.miss(features, batch)
        else:
            loss = self._labelled(sex, batch.sex)
            if told is not None:
                loss = torch.lerp(loss, functional.cross_entropy(sex, told), self.teacher_share)
        return loss + self.other_heads * (self._labelled(age, batch.age) + self._labelled(race, batch.race))

    def _labelled(self, scores: torch.Tensor, labels: NDArray[np.int64]) -> torch.Tensor:
        """The mean over the faces whose label is known; 0 if there is none."""
        return self._each(scores, labels).sum() / max(int((labels != UNKNOWN).sum()), 1)

    def _each(self, scores: torch.Tensor, labels: NDArray[np.int64]) -> torch.Tensor:
        """Of every face, ``(n,)``; 0 where the label is not known."""
        target = torch.from_numpy(labels)
        return functional.cross_entropy(
            scores, target, label_smoothing=self.smoothing, reduction="none", ignore_index=UNKNOWN
        )

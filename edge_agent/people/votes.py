"""From single looks to a verdict: weighted votes with hysteresis."""

from __future__ import annotations

from collections import deque

from edge_agent.config import PeopleSettings
from edge_agent.types import GenderScores, MaskScores, Verdict

_UNANIMOUS = 0.95
"""Share at which everybody agrees: looks vote with probabilities, of which the mean is never quite 1."""


class MaskVotes:
    """The latest looks at one person's face, and the verdict they make.

    A look that is clear in neither way by `min_score` does not vote: an uncertain face is nobody's violation. A
    verdict needs `min_votes` looks (`incorrect_votes` for a badly worn mask, which differs from a well worn one
    by a few pixels) and a `threshold` share; once given it holds until its share falls below `release`, so that a
    hand before the mouth for a moment starts no second event.
    """

    def __init__(self, settings: PeopleSettings) -> None:
        self._settings = settings
        self._looks: deque[tuple[MaskScores, float]] = deque(maxlen=settings.window)
        self.verdict = Verdict.UNDECIDED
        self.confidence = 0.0
        """Share of the votes for the verdict; for `undecided` of the leading class."""
        self.latest = Verdict.UNDECIDED
        """What the newest look said."""
        self.sure = False
        """Whether there is a verdict and the newest look agrees with it; bare and badly worn agree."""

    def __len__(self) -> int:
        return len(self._looks)

    def add(self, scores: MaskScores, weight: float, threshold: float) -> None:
        """Count one look of `weight` (0 to 1) and judge anew; `threshold` is the share that makes a verdict."""
        # A face that is either bare or badly worn is doubtful in neither of the two things that matter.
        clearest = max(scores.mask, scores.no_mask + scores.incorrect)
        if clearest < self._settings.min_score or weight <= 0:
            return
        self._looks.append((scores, weight))
        self._judge(threshold)
        # Kept, not asked anew: every frame wants to know, and looks are seldom.
        self.latest = scores.label
        agreed = self.latest is self.verdict or (self.latest.is_violation and self.verdict.is_violation)
        self.sure = agreed and self.verdict is not Verdict.UNDECIDED

    def _judge(self, threshold: float) -> None:
        threshold = min(threshold, _UNANIMOUS)
        total = mask = no_mask = incorrect = 0.0
        for scores, weight in self._looks:
            total += weight
            mask += weight * scores.mask
            no_mask += weight * scores.no_mask
            incorrect += weight * scores.incorrect
        mask, no_mask, incorrect = mask / total, no_mask / total, incorrect / total
        worse = Verdict.NO_MASK if no_mask >= incorrect else Verdict.INCORRECT
        # Bare and badly worn are told apart only after mask and violation are: a face between those two is a
        # violation all the same.
        shares = {Verdict.MASK: mask, worse: no_mask + incorrect}
        leader = max(shares, key=shares.__getitem__)
        held = mask if self.verdict is Verdict.MASK else no_mask + incorrect
        if len(self._looks) >= self._needed(leader) and shares[leader] >= threshold:
            # From one kind of violation to the other only when its own share is as clear as a verdict's.
            own = max(no_mask, incorrect) / max(no_mask + incorrect, 1e-9)
            if not (self.verdict.is_violation and leader.is_violation) or own >= threshold:
                self.verdict = leader
        elif self.verdict is not Verdict.UNDECIDED and held < min(self._settings.release, threshold):
            self.verdict = Verdict.UNDECIDED
        # Quantised probabilities, and means of them, may sum to a little more than 1.
        self.confidence = min(
            1.0, shares.get(self.verdict, held if self.verdict.is_violation else shares[leader])
        )

    def _needed(self, leader: Verdict) -> int:
        """Looks that a verdict takes; a person already known as a violator doesn't become one again."""
        least = self._settings.min_votes
        if leader is not Verdict.INCORRECT or self.verdict.is_violation:
            return least
        return max(least, min(self._settings.incorrect_votes, self._settings.window))


class GenderVotes:
    """A few looks at a person's best pictures; the mean decides, or nothing does."""

    def __init__(self, needed: int, threshold: float) -> None:
        self._needed = needed
        self._threshold = threshold
        self._looks: list[tuple[float, float]] = []
        self._best_quality = 0.0
        self.answer: tuple[str, float] = ("unknown", 0.0)
        """`male`, `female` or `unknown`, with the probability of the likelier one (0 before any look)."""

    def wants(self, quality: float) -> bool:
        """Whether another look, at a picture of this quality, is worth its milliseconds."""
        return len(self._looks) < self._needed and quality >= 0.6 * self._best_quality

    @property
    def mirrored(self) -> bool:
        """Whether the next look is to be at the mirrored face: each second one is.

        The network's answers to a face and to its mirror image differ by chance, and their mean is likelier than
        either (log loss on the calibration part .228, alone .233; masked .291 and .298).
        """
        return len(self._looks) % 2 == 1

    def add(self, scores: GenderScores, quality: float) -> None:
        """Count one look at a picture of this quality."""
        self._looks.append((scores.male, max(quality, 0.01)))
        self._best_quality = max(self._best_quality, quality)
        self.answer = self._weigh()

    def _weigh(self) -> tuple[str, float]:
        male = sum(value * weight for value, weight in self._looks) / sum(weight for _, weight in self._looks)
        label, score = ("male", male) if male >= 0.5 else ("female", 1.0 - male)
        return (label if score >= self._threshold else "unknown"), score

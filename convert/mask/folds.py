"""Folds of the training part: networks that are each trained without one, to measure every face of it, too.

The part kept to measure on has some fifty badly worn masks; this way there are hundreds, and recipes can be
compared and chosen without looking at it.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.errors import ConvertError

#: Beside a network that was trained without a fold: which one.
_NOTE = "without.txt"


@dataclass(frozen=True)
class Fold:
    """One of ``of`` parts of the groups, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def has(self, group: str) -> bool:
        """Whether a group lies in it; depends on the group's name alone."""
        return number(group, self.of) == self.number


def fold(text: str) -> Fold:
    """``K/N``, as an option's ``type``.

    Raises:
        ArgumentTypeError: it is something else.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or int(match[2]) < 2 or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text} is no fold: give one of some, such as 2/4")
    return Fold(int(match[1]), int(match[2]))


def note(out: Path, without: Fold | None) -> None:
    """Write beside the networks of a training without which fold they are trained."""
    if without is None:
        (out / _NOTE).unlink(missing_ok=True)
    else:
        (out / _NOTE).write_text(f"{without}\n", encoding="utf-8")


def noted(model: Path) -> Fold | None:
    """Without which fold a network was trained; None: nothing says that it was without one.

    Raises:
        ConvertError: what is noted beside it is no fold.
    """
    for folder in (model.parent, model.parent.parent):  # epochs lie in a folder of their own
        path = folder / _NOTE
        if path.is_file():
            try:
                return fold(path.read_text(encoding="utf-8").strip())
            except (argparse.ArgumentTypeError, UnicodeDecodeError) as error:
                raise ConvertError(f"{path}: {error}") from error
    return None


def check(models: Sequence[Path]) -> None:
    """See that the networks were each trained without a fold, in the folds' order.

    Raises:
        ConvertError: one was not: faces would be measured that it was trained on.
    """
    for index, model in enumerate(models, start=1):
        wanted, without = Fold(index, len(models)), noted(model)
        if without != wanted:
            said = f"was trained without {without}" if without else "was trained without none, as far as is noted"
            raise ConvertError(
                f"{model} {said}; give {len(models)} networks of train --without {wanted} and so on, in this order"
            )


def number(group: str, of: int) -> int:
    """Which of ``of`` folds a group lies in, from 1 on."""
    return hashed(f"fold:{group}") % of + 1


def hashed(name: str) -> int:
    """A number below 2**64 that depends on the name alone."""
    # Names of files that are not UTF-8 come with surrogates, which stand for their bytes.
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")

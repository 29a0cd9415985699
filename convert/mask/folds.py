"""Folds of the training part: networks that are each trained without one, to measure every face of it, too.

The part kept to measure on has some fifty badly worn masks; this way there are hundreds, and recipes can be
compared and chosen without looking at it.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Fold:
    """One of ``of`` parts of the groups, counted from 1."""

    number: int
    of: int

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


def number(group: str, of: int) -> int:
    """Which of ``of`` folds a group lies in, from 1 on."""
    digest = hashlib.sha256(b"fold:" + group.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % of + 1

"""A bar for what takes a while, on standard error: standard output is for results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track as _track

Item = TypeVar("Item")


def track(items: Sequence[Item], description: str, *, quiet: bool = False) -> Iterator[Item]:
    """Go through ``items``, with a bar that vanishes at the end if standard error is a terminal."""
    console = Console(stderr=True)
    hidden = quiet or not console.is_terminal
    yield from _track(items, description=description, console=console, disable=hidden, transient=True)

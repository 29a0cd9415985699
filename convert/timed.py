"""How far a training against the clock has come: a bar or lines on standard error, and history.csv."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

#: Steps between two lines.
REPORT_EVERY = 50
_REFRESH = 0.5


class History:
    """``history.csv`` as it grows, readable at any time; an older one without a header is given one.

    Its columns are ``seconds`` trained, ``step`` and those named.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        header = ",".join(("seconds", "step", *columns))
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        if not before.startswith(header):
            path.write_text(f"{header}\r\n{before}", encoding="utf-8", newline="")
        self._file = path.open("a", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, seconds: float, step: int, values: Sequence[float]) -> None:
        """Write one row."""
        told = (value if isinstance(value, int) else f"{value:.4f}" for value in values)
        self._rows.writerow([f"{seconds:.0f}", step, *told])
        self._file.flush()


class Progress:
    """A bar over ``seconds`` of training where standard error is a terminal, else a line now and then."""

    def __init__(self, seconds: float, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar: Bar | None = None
        if console.is_terminal:
            # Drawn by hand: a thread that draws would not survive the fork which makes the process that cuts faces.
            self._bar = Bar(
                TextColumn("{task.percentage:3.0f} %"),
                BarColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
                console=console,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._task = self._bar.add_task("training", total=seconds)
        self._drawn = 0.0

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def at(self, seconds: float) -> None:
        """Move the bar to ``seconds`` of training."""
        if self._bar is None:
            return
        self._bar.update(self._task, completed=seconds)
        if time.monotonic() - self._drawn > _REFRESH:
            self._bar.refresh()
            self._drawn = time.monotonic()

    def say(self, seconds: float, step: int, told: str) -> None:
        """Show what is to be said of the latest steps, beside the bar or as a line."""
        text = f"step {step}, {told}"
        if self._bar is not None:
            self._bar.update(self._task, description=text)
        else:
            print(f"minute {seconds / 60:.1f}, {text}", file=sys.stderr, flush=True)

"""The history.csv of a training, looked at before anything that takes long; needs no matplotlib."""

from __future__ import annotations

from pathlib import Path

from convert import tables
from convert.errors import ConvertError

#: What a plot needs of it.
COLUMNS = ("epoch", "loss", "accuracy")


def check_history(path: Path) -> None:
    """See that a training's history can be plotted.

    Raises:
        ConvertError: there is no such file, or it is of something else.
    """
    if not path.is_file():
        raise ConvertError(f"--history {path} does not exist; train writes history.csv to its --out")
    tables.rows(path, COLUMNS)

"""What a stopped training goes on from: the folder ``resume/`` in ``--out``, written after each epoch."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import keras

from convert.errors import ConvertError

FOLDER = "resume"
#: What each epoch ends with, after the backup: the averaged network.
RESULT = "model.keras"
#: Keras' own names in it; it keeps those of the epoch before with this behind them.
_WEIGHTS, _METADATA, _BEFORE = "latest.weights.h5", "training_metadata.json", ".bkp"


def epochs_done(out: Path) -> int | None:
    """How many epochs the training in ``out`` has behind it; None if there is none to go on with.

    A stop between the weights and the number of their epoch takes both back by an epoch.

    Raises:
        ConvertError: the number is there but cannot be read, and that of the epoch before neither.
    """
    folder = out / FOLDER
    weights, metadata = folder / _WEIGHTS, folder / _METADATA
    if not weights.is_file():
        return None
    if not metadata.is_file():
        return 0  # stopped while the first was written
    try:
        return _epoch(metadata)
    except (OSError, ValueError, KeyError, TypeError) as error:
        before = [path.with_name(path.name + _BEFORE) for path in (weights, metadata)]
        try:
            epoch = _epoch(before[1])
            for path, kept in zip((weights, metadata), before, strict=True):
                shutil.copyfile(kept, path)
        except (OSError, ValueError, KeyError, TypeError):
            raise _damaged(folder, error) from error
        return epoch


def _epoch(metadata: Path) -> int:
    return int(json.loads(metadata.read_text(encoding="utf-8"))["epoch"])


def result_saved(out: Path) -> bool:
    """Whether the network in ``out`` is that of the last epoch in its backup, not of one before."""
    result, metadata = out / RESULT, out / FOLDER / _METADATA
    return result.is_file() and result.stat().st_mtime_ns >= metadata.stat().st_mtime_ns


class Backup(keras.callbacks.BackupAndRestore):  # type: ignore[misc]  # Keras has no types
    """Keras' own, which keeps what it wrote and says in a sentence why it cannot go on from it.

    Raises:
        ConvertError: when training begins: the files are damaged, or of another network.
    """

    def __init__(self, out: Path) -> None:
        parameters = inspect.signature(keras.callbacks.BackupAndRestore).parameters
        # It writes over the only whole file: one that is killed then has to be able to take the epoch before. Older
        # ones can't.
        twice = {"double_checkpoint": True} if "double_checkpoint" in parameters else {}
        super().__init__(out / FOLDER, delete_checkpoint=False, **twice)
        self._folder = out / FOLDER

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        try:
            super().on_train_begin(logs)
        except ValueError as error:  # other shapes, or pieces of the file that hold nothing
            raise another(self._folder) from error
        except (OSError, KeyError, RuntimeError) as error:
            raise _damaged(self._folder, error) from error


def another(folder: Path) -> ConvertError:
    """The error to raise where what is to be trained isn't what ``folder`` is of."""
    return ConvertError(
        f"{folder} is of another network, or damaged; give the --size, --alpha or --start it began with, or an "
        "empty --out"
    )


def _damaged(folder: Path, error: Exception) -> ConvertError:
    reason = str(error).strip().splitlines()[:1] or [repr(error)]
    return ConvertError(
        f"{folder} is damaged ({reason[0]}); remove it, and begin anew from the last epoch with "
        f"--start {folder.parent / RESULT}"
    )

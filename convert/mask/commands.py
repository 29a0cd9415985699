"""Commands of the mask network; nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``train``, ``to-tflite``, ``evaluate`` and ``export-card``."""
    train = subparsers.add_parser("train", help="train the mask network on a folder of photos")
    train.add_argument("--dataset", type=Path, required=True, metavar="DIR",
                       help="folder with with_mask/, without_mask/ and optionally incorrect/")
    train.add_argument("--out", type=Path, required=True, metavar="DIR",
                       help="folder for checkpoints, history.csv and plots")
    train.set_defaults(run=_train)


def _train(args: argparse.Namespace) -> int:
    from convert.mask.train import train_command

    return train_command(args)

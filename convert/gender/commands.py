"""Commands of the gender network; nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``train-gender``."""
    train = subparsers.add_parser("train-gender", help="train the gender network on FairFace photos")
    train.add_argument("--dataset", type=Path, required=True, metavar="DIR",
                       help="folder with manifest.csv, faces.jsonl and the photos they name")
    train.add_argument("--weights", type=Path, metavar="FILE",
                       help="Keras' MobileNetV2 (alpha 1.0, no top) ImageNet weights to start from, .h5")
    train.add_argument("--out", type=Path, required=True, metavar="DIR",
                       help="folder for the cache, checkpoints and history.csv; training goes on where it stopped")
    train.add_argument("--minutes", type=float, default=25.0, help="time to train in all (default: %(default)s)")
    train.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    train.set_defaults(run=_train)


def _train(args: argparse.Namespace) -> int:
    from convert.gender.train import Settings, train

    print(train(args.dataset, args.weights, args.out, Settings(minutes=args.minutes, seed=args.seed)))
    return 0

"""The options of the mask network's commands, added to their parsers."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from convert.arguments import count, share
from convert.mask.folds import fold


def train(parser: argparse.ArgumentParser) -> None:
    """Options of ``train``."""
    _add_dataset(parser)
    _add_bare(parser, "more faces without a mask, in any folders", "how many of them (%(default)s)")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the cache of faces, checkpoints and history.csv; go on there if stopped",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        default="imagenet",
        help="ImageNet weights without top; 'imagenet' downloads them, 'none' starts from nothing",
    )
    parser.add_argument("--start", type=Path, metavar="MODEL", help="go on from this .keras or .tflite instead")
    recipe = parser.add_mutually_exclusive_group()
    recipe.add_argument("--gentle", action="store_true", help="distort and paint less, to settle a trained network")
    recipe.add_argument(
        "--plain", action="store_true", help="paint no masks if there is incorrect/: for a second opinion"
    )
    parser.add_argument(
        "--trust-labels", action="store_true", help="train on all labels, also those that a sure network disputes"
    )
    parser.add_argument(
        "--without", type=fold, metavar="K/N",
        help="leave the K-th of N parts of the faces to train on out; to measure them: evaluate --fold",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=int, default=96, help="side of the input in pixels (%(default)s); --start has its own"
    )
    parser.add_argument("--alpha", type=float, default=1.0, help="width of MobileNetV2 (%(default)s)")
    parser.add_argument("--epochs", type=int, default=11, help="%(default)s")
    parser.add_argument("--steps", type=int, default=250, help="batches in an epoch (%(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="faces in a batch (%(default)s)")
    parser.add_argument("--rate", type=float, default=4e-4, help="highest learning rate (%(default)s)")
    parser.add_argument("--average", type=float, default=0.998, help="momentum of the weight average (%(default)s)")
    parser.add_argument(
        "--teacher", type=Path, action="append", default=[], metavar="FILE", dest="teachers",
        help="distil from this .keras or .tflite; of several, from their mean",
    )  # fmt: skip
    parser.add_argument(
        "--teacher-share", type=share, metavar="SHARE",
        help="of the target: what the teacher says; the rest is the label (0.7)",
    )  # fmt: skip
    parser.add_argument("--keep-epochs", action="store_true", help="keep the network of each epoch in --out/epochs")
    parser.add_argument("--seed", type=int, default=20261122, help="%(default)s")
    parser.add_argument("--threads", type=int, default=1, help="cores TensorFlow may use (%(default)s)")


def average(parser: argparse.ArgumentParser) -> None:
    """Options of ``average``."""
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="MODEL", help=".keras, or .tflite that ships")
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL.keras")


def thin(parser: argparse.ArgumentParser) -> None:
    """Options of ``thin``."""
    parser.add_argument("model", type=Path, metavar="MODEL", help=".keras, or .tflite that ships")
    _add_dataset(parser)
    parser.add_argument(
        "--multiply-adds", type=float, default=20e6, metavar="N", help="of one inference (%(default).0f)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL.keras")


def to_tflite(parser: argparse.ArgumentParser) -> None:
    """Options of ``to-tflite``."""
    parser.add_argument("checkpoint", type=Path, metavar="MODEL.keras")
    _add_dataset(parser)
    _add_handicap(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.tflite")


def evaluate(parser: argparse.ArgumentParser) -> None:
    """Options of ``evaluate``."""
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("dataset", type=Path, metavar="DIR", help="folder with with_mask/, …")
    parser.add_argument("--scenes", type=Path, metavar="DIR", help="folder with images/ and annotations.jsonl")
    _add_bare_measured(parser)
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--all", action="store_true", help="all faces, not only those kept out of the training")
    part.add_argument(
        "--fold", type=Path, action="append", default=[], metavar="OTHER", dest="folds",
        help="measure the part to train on, each face by the one of N networks that was trained without it: MODEL "
        "--without 1/N, the OTHERs in their order --without 2/N to N/N",
    )  # fmt: skip
    parser.add_argument(
        "--device-boxes", action="store_true",
        help="only faces that the device's own face net finds, cut where it finds them, as on the device",
    )  # fmt: skip
    parser.add_argument("--runtime", choices=("auto", "litert", "tflite-runtime"), default="auto")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write mask_*.png there; they show no face")
    parser.add_argument("--history", type=Path, metavar="FILE", help="history.csv to plot with them")
    parser.add_argument(
        "--errors",
        type=Path,
        metavar="FILE.png",
        help="contact sheet of the worst errors; it shows faces, keep it private",
    )


def made_labels(parser: argparse.ArgumentParser) -> None:
    """Options of ``made-labels``."""
    parser.add_argument("model", type=Path, metavar="FILE.tflite")
    parser.add_argument("--runtime", choices=("auto", "litert", "tflite-runtime"), default="auto")


def card(parser: argparse.ArgumentParser) -> None:
    """Options of ``export-card``."""
    parser.add_argument("model", type=Path, metavar="FILE.tflite")
    parser.add_argument("dataset", type=Path, metavar="DIR")
    parser.add_argument("--scenes", type=Path, metavar="DIR")
    _add_bare_measured(parser)
    parser.add_argument(
        "--float",
        type=Path,
        metavar="MODEL.keras",
        dest="checkpoint",
        help="the checkpoint it was made from, to show what int8 costs",
    )
    _add_handicap(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="CARD.md")


def _add_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder with with_mask/, without_mask/ and optionally incorrect/",
    )
    parser.add_argument("--scenes", type=Path, metavar="DIR", help="folder with images/ and annotations.jsonl")


def _add_bare(parser: argparse.ArgumentParser, folder: str, limit: str) -> None:
    parser.add_argument("--bare", type=Path, metavar="DIR", help=folder)
    parser.add_argument("--bare-limit", type=count, default=6000, metavar="N", help=limit)


def _add_bare_measured(parser: argparse.ArgumentParser) -> None:
    _add_bare(
        parser,
        "more faces without a mask, those that train --bare leaves",
        "how many of them it took (%(default)s)",
    )


def _add_handicap(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bare-handicap",
        type=_handicap,
        default=0.0,
        metavar="LOGITS",
        help="taken off no_mask: wavering between it and incorrect, say incorrect; a network that began with a "
        ".tflite has that file's (%(default)s)",
    )


def _handicap(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no handicap: give a number of logits, 0 or more")
    return value

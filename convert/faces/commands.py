"""The commands of the face network: `train-faces` and `evaluate-faces`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from convert.arguments import check_file, check_folder
from convert.cards import check_card, renew_measured

_PRINT = Path("-")


def _train(args: argparse.Namespace) -> int:
    from convert.needs import need

    need("torch", "google.protobuf")
    from convert.faces.train import TrainSettings, train

    trainer = train(
        TrainSettings(
            dataset=args.dataset, checkpoint=args.checkpoint, minutes=args.minutes, sitting=args.sitting,
            start=args.start, rate=args.rate, threads=args.threads, seed=args.seed,
        )
    )  # fmt: skip
    print(f"{trainer.steps} steps in {trainer.seconds / 60:.1f} minutes; checkpoint: {args.checkpoint}")
    return 0


def _train_arguments(subparsers: argparse._SubParsersAction[Any]) -> None:
    parser = subparsers.add_parser("train-faces", help="train the face network; resumes from its checkpoint")
    parser.add_argument(
        "--dataset", type=Path, required=True, help="folder with scenes/, mask/, gender/, faces.jsonl, manifest.csv"
    )
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="file to resume from and to save to, every two minutes"
    )
    parser.add_argument(
        "--start", type=Path, metavar="FILE", help="a .caffemodel of to-caffe to begin with, without a checkpoint"
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="the whole training's time (default: %(default)s)"
    )
    parser.add_argument(
        "--sitting", type=float, metavar="MINUTES", help="stop earlier this time; a later call goes on"
    )
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads that compute (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=_train)


def _evaluate(args: argparse.Namespace) -> int:
    import json

    from convert.needs import need

    if args.json not in (None, _PRINT):
        check_file(args.json)
    if args.card:
        check_card(args.card)
    if args.plots:
        check_folder(args.plots)
        need("matplotlib")
    from convert.faces.evaluate import measure, report, table
    from convert.faces.records import evaluation_scenes
    from edge_agent.vision.store import ModelStore

    scenes = evaluation_scenes(args.scenes, everything=args.all)
    measured = measure(args.detectors, scenes, ModelStore(args.models))
    rows = report(measured)
    text = f"{len(scenes)} scenes, {sum(len(scene.boxes) for scene in scenes)} labelled faces.\n\n{table(rows)}"
    figures = json.dumps(rows, indent=1)
    print(figures if args.json == _PRINT else text)
    if args.json not in (None, _PRINT):
        args.json.write_text(figures + "\n", encoding="utf-8")
    if args.card:
        renew_measured(args.card, text)
    if args.plots:
        from convert.faces.figures import draw

        draw(measured, args.plots)
    return 0


def _detector(text: str) -> tuple[str, int]:
    from pydantic import ValidationError

    from edge_agent.config import FaceSettings

    name, _, width = text.partition(":")
    given = {"detector": name} | ({"input_width": width} if width else {})
    try:
        settings = FaceSettings.model_validate(given)
    except ValidationError as error:
        called = {"detector": "the name", "input_width": "the width"}
        wrong = (detail["msg"].replace("Input", called[str(detail["loc"][0])], 1) for detail in error.errors())
        raise argparse.ArgumentTypeError(f"{text}: {'; '.join(wrong)}") from None
    return settings.detector, settings.input_width


def _evaluate_arguments(subparsers: argparse._SubParsersAction[Any]) -> None:
    parser = subparsers.add_parser("evaluate-faces", help="measure face detectors side by side on scenes")
    parser.add_argument(
        "--scenes", type=Path, required=True, metavar="DIR", help="folder with annotations.jsonl and images/"
    )
    parser.add_argument("--all", action="store_true", help="every scene, not only those that training leaves out")
    parser.add_argument(
        "--detectors", nargs="+", type=_detector,
        default=[("edge_face", 480), ("res10", 320), ("yunet", 320), ("yunet", 640)],
        metavar="NAME[:WIDTH]",
        help="detectors and the longer side of their input (res10 always takes 300 × 300) (default: "
        "edge_face:480 res10:320 yunet:320 yunet:640)",
    )  # fmt: skip
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="model folder with a manifest (default: the program's)"
    )
    parser.add_argument(
        "--json", type=Path, nargs="?", const=_PRINT, metavar="FILE",
        help="print JSON instead of the table; with a file, write it there besides",
    )  # fmt: skip
    parser.add_argument("--card", type=Path, metavar="FILE", help="renew the measured part of a model card")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw recall and precision there")
    parser.set_defaults(run=_evaluate)


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the face network's commands."""
    _train_arguments(subparsers)
    _evaluate_arguments(subparsers)

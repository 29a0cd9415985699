"""Commands of the mask network; nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from convert import manifest
from convert.arguments import check_file, check_folder
from convert.mask import options

if TYPE_CHECKING:
    from convert.mask.records import Record

#: What ``evaluate`` says of the part of the faces that it measured.
_PARTS = {
    "validation": "kept out of the training; --all takes every one",
    "folds": "the part to train on, each by the network that was trained without it (--fold)",
    "all": "all, with those trained on (--all)",
}


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``train``, ``average``, ``thin``, ``to-tflite``, ``evaluate``, ``made-labels`` and ``export-card``."""
    train = subparsers.add_parser("train", help="train the mask network on a folder of photos")
    options.train(train)
    train.set_defaults(run=_train)

    average = subparsers.add_parser("average", help="average the weights of checkpoints of one training")
    options.average(average)
    average.set_defaults(run=_average)

    thin = subparsers.add_parser(
        "thin", help="cut a smaller network out of a trained one; train it on with --start and --teacher"
    )
    options.thin(thin)
    thin.set_defaults(run=_thin)

    convert = subparsers.add_parser("to-tflite", help="write a checkpoint as int8 TFLite with calibrated outputs")
    options.to_tflite(convert)
    convert.set_defaults(run=_to_tflite)

    evaluate = subparsers.add_parser("evaluate", help="measure a .keras or .tflite mask network")
    options.evaluate(evaluate)
    evaluate.set_defaults(run=_evaluate)

    labels = subparsers.add_parser(
        "made-labels", help="print a network's labels of 200 drawn faces, to compare machines"
    )
    options.made_labels(labels)
    labels.set_defaults(run=_made_labels)

    card = subparsers.add_parser("export-card", help="renew the measured part of a model's card")
    options.card(card)
    card.set_defaults(run=_card)


def _train(args: argparse.Namespace) -> int:
    from convert.errors import ConvertError
    from convert.mask import shapes
    from convert.mask.cache import patches_for
    from convert.mask.sampling import Recipe
    from convert.needs import need

    weights = None if args.weights == "none" else args.weights
    if args.teacher_share is not None and not args.teachers:
        raise ConvertError("--teacher-share says nothing without a --teacher; give one, or leave it out")
    check_folder(args.out)
    if args.start is None:
        shapes.check_weights(weights, args.alpha)
    need("tensorflow", "keras")
    from convert.mask import train

    settings = train.Settings(
        size=args.size,
        alpha=args.alpha,
        weights=weights,
        epochs=args.epochs,
        steps=args.steps,
        batch=args.batch,
        rate=args.rate,
        average=args.average,
        seed=args.seed,
        threads=args.threads,
        teachers=tuple(args.teachers),
        **({} if args.teacher_share is None else {"teacher_share": args.teacher_share}),
        start=args.start,
        keep_epochs=args.keep_epochs,
        trust_labels=args.trust_labels,
        without=args.without,
    )
    networks = train.begin(settings, args.out)
    patches = patches_for(args.out, args.dataset, args.scenes, args.bare, args.bare_limit)
    recipe = Recipe().gentle() if args.gentle else Recipe().plain() if args.plain else Recipe()
    train.fit(patches, args.out, networks, recipe)
    ready = args.out / "model.keras"
    following = "evaluate --fold" if args.without else f"to-tflite {ready}"
    print(f"{ready} is ready; next: python -m convert {following} …")
    return 0


def _average(args: argparse.Namespace) -> int:
    from convert.needs import need

    need("tensorflow", "keras")
    from convert.mask import net

    net.average(args.checkpoints, args.out)
    print(f"{args.out} is the average of {len(args.checkpoints)} checkpoints")
    return 0


def _thin(args: argparse.Namespace) -> int:
    from convert.mask import faces
    from convert.needs import need

    check_file(args.out, makes_folder=True)
    need("tensorflow", "keras")
    from convert.mask import net, thin

    model = net.load(args.model)
    records = faces.read(args.dataset, args.scenes, minimum_side=40.0)
    asked = faces.cut(faces.spread(faces.select(records, training=True), 1500), int(model.input_shape[1]))
    small = thin.thin(model, asked.crops, asked.labels, args.multiply_adds)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    small.save(args.out)
    print(
        f"{args.out}: {thin.work(small) / 1e6:.1f} of {thin.work(model) / 1e6:.1f} million multiply–adds; next: "
        f"python -m convert train --start {args.out} --teacher {args.model} …"
    )
    return 0


def _to_tflite(args: argparse.Namespace) -> int:
    from convert.errors import ConvertError
    from convert.mask import faces
    from convert.mask.predict import KerasPredictor
    from convert.needs import need

    check_file(args.out, makes_folder=True)
    need("tensorflow", "keras")
    from convert.mask import export

    size = KerasPredictor(args.checkpoint).size
    records = faces.read(args.dataset, args.scenes, minimum_side=40.0)
    calibration = faces.cut(faces.spread(faces.select(records, training=True), 300), size)
    real = [record for record in faces.select(records) if not record.synthetic]
    if not real:
        raise ConvertError("all faces kept to measure on are painted; the temperature needs real ones: add photos")
    measured = faces.cut(real, size)
    found = export.to_tflite(
        args.checkpoint, args.out, calibration.crops, measured.crops, measured.labels, args.bare_handicap
    )
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB, temperature {found:.3f}")
    print("for the manifest:")
    print(manifest.entry("mask_detector", args.out), end="")
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from rich.console import Console

    from convert.mask import evaluate, faces, folds
    from convert.mask.history import check_history
    from convert.mask.predict import by_fold, open_predictor
    from convert.needs import need

    if args.plots is not None:
        check_folder(args.plots)
    if args.errors is not None:
        check_file(args.errors, makes_folder=True)
    if args.plots is not None or args.errors is not None:
        need("matplotlib")
    if args.history is not None:
        check_history(args.history)
    models = [args.model, *args.folds]
    if args.folds:
        folds.check(models)
    predictors = [open_predictor(model, args.runtime) for model in models]
    predictor = predictors[0]
    more = _more_bare(args)
    every = faces.listed(args.dataset, args.scenes)
    remedy = "add photos" if args.folds else "measure every face with --all"
    chosen = faces.select(every, everything=args.all, training=bool(args.folds), remedy=remedy)
    looked_for = faces.found(chosen, args.dataset) + more
    cut = faces.cut(faces.at_device(looked_for) if args.device_boxes else looked_for, predictor.size)
    bare = sum(record.origin == "bare" for record in cut.records)
    measured = len(cut.records) - bare
    name = "all" if args.all else "folds" if args.folds else "validation"
    part = {"faces": measured, "of": len(every), "part": name, "more_bare": bare}
    print(f"measured on {measured} of {len(every)} faces: {_PARTS[name]}", file=sys.stderr)
    if bare:
        print(f"and on {bare} more bare ones that the training leaves", file=sys.stderr)
    probabilities = by_fold(predictors, cut) if args.folds else predictor(cut.crops)
    report = evaluate.report(cut.records, probabilities)
    if args.json:
        named = {"model": args.model.name, "folds": len(models) if args.folds else None, "runtime": predictor.name}
        print(json.dumps(named | part | report.as_dict(), indent=2))
    else:
        by = f"{len(models)} networks, each asked of its fold," if args.folds else args.model.name
        evaluate.show(report, Console(), f"{by} in {predictor.name}, {len(cut.records)} faces")
    if args.plots is not None or args.errors is not None:
        from convert.mask import figures

        if args.plots is not None:
            figures.draw_all(args.plots, report, cut, probabilities, args.history)
        if args.errors is not None:
            figures.draw_errors(args.errors, cut, probabilities)
    return 0


def _more_bare(args: argparse.Namespace) -> list[Record]:
    """The faces of ``--bare`` that a training would leave."""
    from convert.mask.records import read_bare

    return read_bare(args.bare, args.bare_limit, others=True) if args.bare else []


def _made_labels(args: argparse.Namespace) -> int:
    from convert.mask.made import made_labels

    print(json.dumps(made_labels(args.model, args.runtime)))
    return 0


def _card(args: argparse.Namespace) -> int:
    from convert.errors import ConvertError
    from convert.mask.card import renew

    if args.bare_handicap and args.checkpoint is None:
        raise ConvertError("--bare-handicap is that of the --float checkpoint; give one, or leave it out")
    more = _more_bare(args)
    renew(args.out, args.model, args.dataset, args.scenes, args.checkpoint, args.bare_handicap, more)
    print(f"{args.out} is renewed")
    return 0

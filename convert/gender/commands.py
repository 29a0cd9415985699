"""Commands of the gender network; nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.arguments import check_file, check_folder, share
from convert.cards import check_card, renew_measured

if TYPE_CHECKING:
    from convert.gender.evaluate import Report
    from edge_agent.vision.gender import GenderClassifier
    from edge_agent.vision.store import ModelStore


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``describe-gender``, ``train-gender``, ``average-gender`` and ``evaluate-gender``."""
    train = subparsers.add_parser("train-gender", help="train the gender network on FairFace photos")
    _add_data(train)
    train.add_argument("--weights", type=Path, metavar="FILE",
                       help="to start from: Keras' MobileNetV2 (alpha 1.0, no top) ImageNet weights, .h5; a "
                       "network that was exported, .caffemodel, or trained, .pt; with --large FaceRes, "
                       "models/faceres.json of the npm package @vladmandic/human")
    train.add_argument("--large", action="store_true",
                       help="train a larger network, to learn from as a --teacher; it does not ship")
    train.add_argument("--teacher", type=Path, action="append", default=[], metavar="FILE", dest="teachers",
                       help="learn from what this network says, .pt or .caffemodel; may be given several times")
    train.add_argument("--lessons", type=Path, metavar="FILE.npz",
                       help="of describe-gender: learn from what face recognition makes of the photos, too")
    train.add_argument("--recombine", type=share, default=0.0, metavar="SHARE",
                       help="put so many of the faces together of two of one sex (default: %(default)s)")
    train.add_argument("--bfloat16", action="store_true",
                       help="multiply in 16 bits where networks are large: faster on a processor with AMX only")
    train.add_argument("--out", type=Path, required=True, metavar="DIR",
                       help="folder for checkpoints and history.csv; training goes on where it stopped")
    train.add_argument("--minutes", type=float, default=25.0, help="time to train in all (default: %(default)s)")
    train.add_argument("--rate", type=float, default=5e-4, help="learning rate (default: %(default)s)")
    train.add_argument("--small-part", type=share, default=0.4, metavar="SHARE",
                       help="of the time, for small crops at first; 0 for a net that knows its work "
                       "(default: %(default)s)")
    train.add_argument("--threads", type=int, default=1, help="that compute (default: %(default)s)")
    train.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    train.set_defaults(run=_train)

    describe = subparsers.add_parser("describe-gender", help="write what face recognition makes of the photos")
    _add_data(describe)
    describe.add_argument("--faceres", type=Path, required=True, metavar="FILE",
                          help="models/faceres.json of the npm package @vladmandic/human")
    describe.add_argument("--dlib", type=Path, required=True, metavar="FILE",
                          help="dlib_face_recognition_resnet_model_v1.dat of the PyPI package "
                          "face-recognition-models")
    describe.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    describe.set_defaults(run=_describe)

    average = subparsers.add_parser("average-gender", help="average the weights of gender networks")
    average.add_argument("networks", type=Path, nargs="+", metavar="FILE",
                         help=".pt of train-gender, or exported .caffemodel, one trained on from the other")
    average.add_argument("--out", type=Path, required=True, metavar="FILE.pt")
    average.set_defaults(run=_average)

    measure = subparsers.add_parser("evaluate-gender", help="figures of a gender network, group by group")
    _add_data(measure, required=False)
    measure.add_argument("--utkface", type=Path, metavar="DIR",
                         help="measure on UTKFace's photos instead, bare faces by age "
                         "(age_gender_race_date.jpg; https://susanqq.github.io/UTKFace/)")
    measure.add_argument("--model", default="gender_net", help="name in the manifest (default: %(default)s)")
    measure.add_argument("--models", type=Path, metavar="DIR",
                         help="folder of the manifest and the files (default: the project's)")
    measure.add_argument("--threshold", type=float, help="default: the manifest's")
    measure.add_argument("--plots", type=Path, metavar="DIR", help="write pictures of the figures there")
    measure.add_argument("--card", type=Path, metavar="FILE", help="write the figures into this model card")
    measure.add_argument("--json", action="store_true", help="print JSON instead of tables")
    measure.set_defaults(run=_evaluate)


def _add_data(parser: argparse.ArgumentParser, required: bool = True) -> None:
    parser.add_argument("--dataset", type=Path, required=required, metavar="DIR",
                        help="folder with manifest.csv, faces.jsonl and the photos they name")
    parser.add_argument("--cache", type=Path, required=required, metavar="DIR",
                        help="folder for the decoded photos (1.5 GB for 20,000), kept between runs")


def _train(args: argparse.Namespace) -> int:
    from convert.needs import need

    need("torch", "google.protobuf", *(["h5py"] if args.weights is not None else []))
    from convert.gender.train import Settings, train

    settings = Settings(minutes=args.minutes, rate=args.rate, seed=args.seed, threads=args.threads,
                        small_part=args.small_part, large=args.large, teachers=tuple(args.teachers),
                        lessons=args.lessons, recombined=args.recombine, bfloat16=args.bfloat16)
    print(train(args.dataset, args.cache, args.weights, args.out, settings))
    return 0


def _describe(args: argparse.Namespace) -> int:
    from convert.needs import need

    check_file(args.out, makes_folder=True)
    need("torch", "google.protobuf", "sklearn")
    from convert.gender.recognition import learn
    from convert.gender.records import load_faces

    faces = load_faces(args.dataset, args.cache)
    learn(faces, args.faceres, args.dlib).save(args.out, faces)
    print(args.out)
    return 0


def _average(args: argparse.Namespace) -> int:
    from convert.needs import need

    need("torch", "google.protobuf")
    from convert.gender.teacher import average

    average(args.networks, args.out)
    print(args.out)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from convert.errors import ConvertError
    from convert.needs import need

    if args.plots is not None:
        check_folder(args.plots)
        need("matplotlib")
    if args.utkface is not None:
        return _evaluate_utkface(args)
    if args.dataset is None or args.cache is None:
        raise ConvertError("give --dataset and --cache, or --utkface")
    if args.card is not None:
        check_card(args.card)
    from convert.gender.card import measured
    from convert.gender.evaluate import evaluate
    from convert.gender.records import load_faces

    classifier, store, threshold = _network(args)
    faces = load_faces(args.dataset, args.cache)
    need("google.protobuf")  # writes their random weights; asked for last, it hides no other error
    from convert.gender.speed import compare

    fed = store.entry(args.model).input
    assert fed is not None, "the classifier takes no network without"
    prototxt, caffemodel = store.paths(args.model, ".prototxt", ".caffemodel")
    speed = compare(prototxt, caffemodel, fed.width)
    report = evaluate(classifier, args.model, faces, threshold, speed)
    if args.card is not None:
        renew_measured(args.card, measured(report))
    _hand_out(report, report.as_dict(), args)
    return 0


def _evaluate_utkface(args: argparse.Namespace) -> int:
    import sys

    from convert.errors import ConvertError
    from convert.gender import utkface

    if args.card is not None:
        raise ConvertError("--card holds figures of --dataset; leave it out, or --utkface")
    photos = utkface.read(args.utkface)
    classifier, _, threshold = _network(args)
    measured = utkface.evaluate(classifier, args.model, photos, threshold)
    print(f"a face was found in {measured.found} of {measured.photos} photos", file=sys.stderr)
    _hand_out(measured.report, measured.as_dict(), args)
    return 0


def _network(args: argparse.Namespace) -> tuple[GenderClassifier, ModelStore, float]:
    """The classifier to measure, the models it is one of, and its threshold."""
    from convert.errors import ConvertError
    from edge_agent.vision.gender import GenderClassifier
    from edge_agent.vision.store import ModelStore

    store = ModelStore(args.models)
    classifier = GenderClassifier.load(store, args.model, backend="cpu")
    threshold = args.threshold if args.threshold is not None else store.entry(args.model).threshold
    if threshold is None:
        raise ConvertError(f"the manifest has no threshold for {args.model}; give --threshold")
    return classifier, store, threshold


def _hand_out(report: Report, plain: dict[str, Any], args: argparse.Namespace) -> None:
    """Draw and print a report."""
    import json

    from rich.console import Console

    from convert.gender.evaluate import show

    if args.plots is not None:
        from convert.gender.plots import draw

        draw(report, args.plots)
    if args.json:
        print(json.dumps(plain, indent=1))
    else:
        # Wide enough for the tables also where the output is a file.
        show(report, Console(width=max(Console().width, 110)))

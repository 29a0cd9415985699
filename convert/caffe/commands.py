"""The command that writes a trained network for Caffe: `to-caffe`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from convert.arguments import check_folder, share
from convert.errors import ConvertError


def register(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``to-caffe``."""
    parser = subparsers.add_parser(
        "to-caffe",
        help="write a trained face or gender network as Caffe files, and check them",
        description="Writes a face network or, given the photos to calibrate it on, a gender network.",
    )
    parser.add_argument(
        "--checkpoint", type=Path, required=True, metavar="FILE",
        help="of train-faces, or of train-gender or average-gender: gender_net.pt, checkpoint.pt",
    )  # fmt: skip
    folder = parser.add_mutually_exclusive_group(required=True)
    folder.add_argument("--out", type=Path, metavar="DIR", help="folder for the two files")
    folder.add_argument("--output", type=Path, dest="out", help=argparse.SUPPRESS)  # its name before
    parser.add_argument(
        "--fp16", action=argparse.BooleanOptionalAction, default=True, help="weights as float16: half the bytes"
    )
    gender = parser.add_argument_group("of a gender network")
    gender.add_argument("--dataset", type=Path, metavar="DIR", help="the photos it was trained on")
    gender.add_argument("--cache", type=Path, metavar="DIR", help="the folder of the decoded photos")
    gender.add_argument(
        "--right", type=share, metavar="SHARE", help="of the answers given, to choose the threshold by (0.96)"
    )
    parser.set_defaults(run=_export)


def _export(args: argparse.Namespace) -> int:
    from convert.needs import need

    if (args.dataset is None) != (args.cache is None) or (args.right is not None and args.dataset is None):
        raise ConvertError("a gender network is calibrated on its photos: give --dataset and --cache")
    check_folder(args.out)
    need("torch", "google.protobuf")
    return _face(args) if args.dataset is None else _gender(args)


def _face(args: argparse.Namespace) -> int:
    from convert.faces.export import to_caffe

    args.out.mkdir(parents=True, exist_ok=True)
    prototxt, caffemodel = args.out / "face_detector.prototxt", args.out / "face_detector.caffemodel"
    done = to_caffe(args.checkpoint, prototxt, caffemodel, fp16=args.fp16)
    print(f"{prototxt}, {caffemodel}: {done.parameters} parameters, {done.bytes} bytes")
    print(f"largest difference from PyTorch: {done.difference:.1e} with float32 weights")
    if done.difference_fp16 is not None:
        print(f"                                 {done.difference_fp16:.1e} with float16 weights, as written")
    print("for the manifest:")
    print(done.manifest(), end="")
    return 0


def _gender(args: argparse.Namespace) -> int:
    from convert.gender.export import to_caffe
    from convert.gender.records import load_faces

    wanted = 0.96 if args.right is None else args.right
    faces = load_faces(args.dataset, args.cache)
    done = to_caffe(args.checkpoint, faces, args.out, wanted=wanted, fp16=args.fp16)
    print(f"{done.prototxt}, {done.caffemodel}: temperature {done.temperature:.3f}")
    print(f"largest difference from PyTorch: {done.difference:.1e}")
    print("for the manifest:")
    print(done.manifest(), end="")
    return 0

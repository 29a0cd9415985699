"""`edge-agent detect`: images, folders or videos through the networks, with no outputs but files."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from edge_agent.commands.common import Commands, add_config_option, load_settings, say_no_more
from edge_agent.errors import EXIT_USAGE, InputError

if TYPE_CHECKING:
    from edge_agent.detection import Result, Source

_VIDEOS = frozenset(
    {".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mjpg", ".mjpeg", ".m2ts", ".mpg", ".mpeg"}
    | {".3gp", ".wmv", ".flv", ".ogv", ".gif"}
)
"""Of a folder's files; .ts and .mts are more often TypeScript."""
_LARGEST_IMAGE = 200_000_000
"""Bytes; what is larger is not read as a whole to find out whether it is one."""


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "detect",
        parents=[common],
        help="images, folders or videos through the networks",
        description="Find the faces in images, folders of images, or videos, and say of each how a mask is worn.",
        epilog='A line: {"file", "frame", "width", "height", "faces": [{"box": [x1, y1, x2, y2] in pixels, '
        '"score", "label": mask, no_mask or incorrect, "label_score", "scores", "gender", "gender_score"; in '
        'videos also "person" and "verdict"}]}. '
        "Without --jsonl the lines go to stdout. exit codes: 0, or 2 if an input can't be used (the others "
        "are done all the same).",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="image, folder or video")
    add_config_option(parser)
    parser.add_argument("--jsonl", type=Path, metavar="FILE", help="one JSON object per image or video frame")
    parser.add_argument(
        "--annotate",
        type=Path,
        metavar="DIR",
        help="write the pictures with boxes and labels; what is in DIR is no input of a folder around it, and is "
        "replaced",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    settings = load_settings(options)
    complaints: list[str] = []
    sources = list(_sources(options.inputs, options.annotate, complaints))
    from edge_agent.detection import Annotator, Detection, refuse_input
    from edge_agent.films import shown

    if options.jsonl:
        refuse_input(options.jsonl, sources)
    detection = Detection(settings)
    counts: Counter[str] = Counter()
    with contextlib.ExitStack() as stack:
        annotator = None
        if options.annotate:
            annotator = stack.enter_context(contextlib.closing(Annotator(options.annotate, sources)))
        sink = stack.enter_context(contextlib.closing(_Sink(options.jsonl)))
        progress = stack.enter_context(_progress())
        task = progress.add_task("detect", total=len(sources))
        for source in sources:
            path = source.path
            progress.update(task, description=shown(path.name))
            try:
                for result in detection.video(path) if source.video else detection.image(path):
                    _tell(result, sink, counts)
                    if annotator:
                        annotator.add(result)
            except _SinkError:
                raise
            except InputError as error:
                complaints.append(str(error))
            progress.advance(task)
    for complaint in complaints:
        print(f"edge-agent: {complaint}", file=sys.stderr)
    labels = ", ".join(f"{number} {label}" for label, number in sorted(counts.items()) if label != "frames")
    print(f"{counts['frames']} pictures: {labels or 'no faces'}", file=sys.stderr)
    return EXIT_USAGE if complaints else 0


def _sources(inputs: list[Path], drawn: Path | None, complaints: list[str]) -> Iterator[Source]:
    from edge_agent.detection import Source

    for path in inputs:
        try:
            if path.is_dir():
                before = len(complaints)
                inside = _inside(path, drawn, complaints)
                if not inside and len(complaints) == before:
                    complaints.append(f"{path}: no images or videos in this folder")
                for file in inside:
                    yield Source(file, file.relative_to(path), _is_video(file))
            elif path.is_file():
                yield Source(path, Path(path.name), _is_video(path))
            else:
                complaints.append(f"{path}: no such file or folder")
        except OSError as error:  # a closed folder on the way, or too long a name
            complaints.append(f"{path}: can't be read: {error.strerror}")


def _inside(folder: Path, drawn: Path | None, complaints: list[str]) -> list[Path]:
    """The images and videos of a folder, but for those in `drawn` within it: an earlier run's annotated ones.

    Folders that can't be looked into become `complaints`.
    """
    from edge_agent import photos

    def closed(error: OSError) -> None:
        complaints.append(f"{error.filename}: can't be read: {error.strerror}")

    def is_file(path: Path) -> bool:
        try:
            return path.is_file()
        except OSError as error:  # its folder may be listed, but not entered
            closed(error)
            return False

    endings = photos.SUFFIXES | _VIDEOS
    found = (Path(within, name) for within, _, names in os.walk(folder, onerror=closed) for name in names)
    files = sorted(path for path in found if path.suffix.lower() in endings and is_file(path))
    if drawn is None:
        return files
    target, top = Path(os.path.realpath(drawn)), Path(os.path.realpath(folder))
    if top == target or not target.is_relative_to(top):
        return files
    kept = [file for file in files if not Path(os.path.realpath(file.parent)).is_relative_to(target)]
    if len(kept) < len(files):
        note = f"{drawn}: {len(files) - len(kept)} files are left out, for --annotate writes there"
        print(f"edge-agent: {note}", file=sys.stderr)
    return kept


def _is_video(path: Path) -> bool:
    """By its ending; if that says nothing, by what is in it."""
    from edge_agent import photos

    ending = path.suffix.lower()
    if ending in photos.SUFFIXES | _VIDEOS:
        return ending in _VIDEOS
    try:
        if path.stat().st_size > _LARGEST_IMAGE:
            return True
        photos.read(path)
    except InputError:
        return True
    return False


class _SinkError(InputError):
    """The lines can't be written: no use in looking at further inputs."""


class _Sink:
    """Takes the lines, for a file or stdout.

    Raises _SinkError if they can't be written, and BrokenPipeError if the reader of stdout has left.
    """

    def __init__(self, path: Path | None) -> None:
        self._name = f"--jsonl {path}" if path else "stdout"
        try:
            self._file: TextIO = path.open("w", encoding="utf-8") if path else sys.stdout
        except OSError as error:
            raise self._error(error) from None

    def write(self, line: str) -> None:
        try:
            self._file.write(line + "\n")
            self._file.flush()  # a full disk is to be known now, not when the file is closed
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._file is sys.stdout:  # else the interpreter would try what is left, and complain, at its exit
                say_no_more()
            raise self._error(error) from None

    def close(self) -> None:
        if self._file is not sys.stdout:
            with contextlib.suppress(OSError):  # all is flushed, or its failure known
                self._file.close()

    def _error(self, error: OSError) -> _SinkError:
        return _SinkError(f"{self._name}: can't be written: {error.strerror}")


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description:<28.28}", markup=False),  # a name may hold what looks like it
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _tell(result: Result, sink: _Sink, counts: Counter[str]) -> None:
    counts["frames"] += 1
    counts.update(face["label"] for face in result.line["faces"])
    sink.write(json.dumps(result.line, ensure_ascii=False))

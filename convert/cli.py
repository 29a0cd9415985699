"""Command line of the workstation tools.

Every topic (mask, faces, gender) is a package that exposes ``register(subparsers)``: it adds its commands and
sets ``run`` on each, a function that takes the parsed arguments and returns the exit code. A topic's package
must be cheap to import; what is heavy is imported inside ``run``, so that ``--help`` stays immediate.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Any

import convert.caffe
import convert.faces
import convert.gender
import convert.mask
from convert.errors import ConvertError
from edge_agent.errors import EdgeAgentError

#: The topics in the order ``--help`` lists them.
_TOPICS = (convert.mask, convert.gender, convert.faces, convert.caffe)


def build_parser() -> argparse.ArgumentParser:
    """The parser with the commands of every topic."""
    parser = argparse.ArgumentParser(
        prog="python -m convert", description="Train, measure and convert the networks of edge-agent."
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log what is being done")
    subparsers: argparse._SubParsersAction[Any] = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    for topic in _TOPICS:
        topic.register(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, or 2 with one line on standard error."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if args.verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        return int(args.run(args))
    except (ConvertError, EdgeAgentError) as error:  # the latter: the networks run in the device's own code
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {_told(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _told(error: OSError) -> str:
    """The file and what is wrong with it, as far as the error knows; a library's own error is text alone."""
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename}: {reason}"

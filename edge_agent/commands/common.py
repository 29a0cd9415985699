"""What several commands share: the -c option and the settings behind it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console

    from edge_agent.config import Settings

_UNBOUNDED = 10_000

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

SYSTEM_CONFIG = Path("/etc/edge-agent/config.yaml")


def add_config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        metavar="FILE",
        help=f"configuration (default: {SYSTEM_CONFIG} if it is there, else the built-in defaults)",
    )


def whole_console() -> Console:
    """A console for tables; in a pipe or a file nothing is cut or wrapped, for there whole names are looked for."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=_UNBOUNDED)


def chosen_config(options: argparse.Namespace) -> Path | None:
    """The file of `-c FILE`, or the system's; None: neither is there."""
    given: Path | None = options.config
    return given or (SYSTEM_CONFIG if SYSTEM_CONFIG.is_file() else None)


def load_settings(options: argparse.Namespace) -> Settings:
    """The settings of `-c FILE`, of the system's file, or the defaults; sets the log level they ask for.

    Raises ConfigError.
    """
    from edge_agent.config import Settings
    from edge_agent.config_file import load

    path = chosen_config(options)
    settings = load(path) if path else Settings()
    if options.log_level is None and path is not None:
        logging.getLogger().setLevel(settings.logging.level.upper())
    return settings


def say_no_more() -> None:
    """What is left in the buffer goes nowhere: else the interpreter would try it, and complain, at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

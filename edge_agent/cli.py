"""The command line: options, logging, and errors turned into a line and an exit code."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from edge_agent import __version__
from edge_agent.commands import bench, cameras, check, demo, detect, models, purge, run, schema
from edge_agent.commands.common import say_no_more
from edge_agent.errors import EXIT_FAILURE, EdgeAgentError

_EPILOG = """\
first steps:
  edge-agent demo                         see the whole chain on this machine, no camera needed
  edge-agent cameras                      what cameras are attached
  edge-agent check -c config.yaml         is everything there, and what to do about what is not
  edge-agent run -c config.yaml           the service itself, as systemd runs it

exit codes: 0 done, 1 failed, 2 wrong options or input, 78 wrong configuration or model
"""
_SYSLOG_LEVELS = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))


class _OutputError(OSError):
    """Stdout can't be written, for a full disk behind it, say."""


class _Output(io.TextIOWrapper):
    """Stdout, whose failures can be told from those of other files: they name none.

    Raises _OutputError, and BrokenPipeError as ever.
    """

    def write(self, text: str) -> int:
        with _told():
            return super().write(text)

    def flush(self) -> None:
        with _told():
            super().flush()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _OutputError(error.errno, error.strerror) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Options that make no sense end the process with 2 (argparse)."""
    if sys.stdout is None:  # closed by whoever started us (`>&-`)
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal or pipe that knows no → or ✓
    parser = _parser()
    options = parser.parse_args(arguments)
    _set_up_logging(options.log_level)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except EdgeAgentError as error:
        print(f"edge-agent: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130  # as shells report SIGINT
    except BrokenPipeError:
        # The reader (`| head`) has gone; nothing more is to be said, not even at the interpreter's exit.
        say_no_more()
        return EXIT_FAILURE
    except _OutputError as error:
        print(f"edge-agent: the output can't be written: {error.strerror}", file=sys.stderr)
        say_no_more()
        return EXIT_FAILURE
    return code


def entry() -> NoReturn:
    """Run as a program: `main`, then out, whatever still hangs in a driver."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding, buffering = sys.stdout.encoding, sys.stdout.line_buffering
        sys.stdout = _Output(sys.stdout.detach(), encoding=encoding, line_buffering=buffering)
    code = main()
    if any(thread.daemon for thread in threading.enumerate()):
        # A thread that comes back from OpenCV while the interpreter is taken down aborts the process, and systemd
        # would see SIGABRT instead of the exit code (https://docs.python.org/3/c-api/init.html, "Cautions regarding
        # runtime finalization").
        atexit._run_exitfuncs()  # the buzzer is silenced there
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edge-agent",
        description="Face-mask watch for an entrance: camera in, buzzer and MQTT out.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edge-agent {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        help="how much is said on stderr (default: the configuration's logging.level, else warning)",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (run, demo, check, detect, bench, cameras, models, schema, purge):
        module.register(commands, common)
    return parser


class _JournalFormatter(logging.Formatter):
    """Prefixes the level as systemd's journal reads it (sd-daemon(3)); the journal adds time and name."""

    def format(self, record: logging.LogRecord) -> str:
        level = next((number for floor, number in _SYSLOG_LEVELS if record.levelno >= floor), 7)
        return "\n".join(f"<{level}>{line}" for line in super().format(record).splitlines())


def _set_up_logging(level: str | None) -> None:
    handler = logging.StreamHandler()
    if os.environ.get("JOURNAL_STREAM"):
        handler.setFormatter(_JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=(level or "warning").upper(), handlers=[handler])


if __name__ == "__main__":
    entry()

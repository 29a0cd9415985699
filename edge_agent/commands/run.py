"""`edge-agent run`: the service."""

from __future__ import annotations

import argparse
import logging
import threading

from edge_agent.commands.common import Commands, add_config_option, load_settings

_log = logging.getLogger(__name__)


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "run",
        parents=[common],
        help="the service",
        description="Watch the camera, sound the buzzer, publish violations; until SIGTERM.",
        epilog="exit codes: 0 after SIGTERM, 78 wrong configuration or model, 1 otherwise",
    )
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from edge_agent.service.signals import stop_on_signals

    stop = threading.Event()
    with stop_on_signals(stop):  # first of all: what follows takes seconds on a small board
        settings = load_settings(options)
        if options.log_level is None:
            logging.getLogger().setLevel(settings.logging.level.upper())
        for doubt in settings.doubts():
            _log.warning("configuration: %s", doubt)
        from edge_agent.agent import Agent
        from edge_agent.service.notify import Notifier

        return Agent(settings, notifier=Notifier.from_environment()).run(stop)

"""`edge-agent purge-discovery`: take this device out of Home Assistant without ghosts."""

from __future__ import annotations

import argparse

from edge_agent.commands.common import Commands, add_config_option, load_settings


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "purge-discovery",
        parents=[common],
        help="remove this device from Home Assistant",
        description="Remove this device and its entities from Home Assistant, and its retained topics from the "
        "broker. Stop the service first, or it announces itself again.",
    )
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from edge_agent.outputs.mqtt.check import purge_discovery
    from edge_agent.outputs.mqtt.credentials import with_system_password

    settings = load_settings(options)
    purge_discovery(with_system_password(settings.mqtt), settings.device)
    print(f"{settings.device.id} is removed from Home Assistant")
    return 0

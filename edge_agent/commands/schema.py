"""`edge-agent schema`: JSON Schema of the configuration and of every MQTT payload."""

from __future__ import annotations

import argparse
import json
import sys

from edge_agent.commands.common import Commands


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "schema",
        parents=[common],
        help="JSON Schema of the configuration and of every MQTT payload",
        description="Print JSON Schema: of the configuration, with those of the MQTT payloads under 'payloads'.",
        epilog="An editor with a YAML language server completes the file: edge-agent schema > schema.json, "
        "then begin config.yaml with '# yaml-language-server: $schema=schema.json'.",
    )
    parser.add_argument("name", nargs="?", help="only this one: configuration, status, violation, …")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from edge_agent.config import Settings
    from edge_agent.errors import InputError
    from edge_agent.outputs.mqtt.payloads import DIALECT, schemas

    configuration = {"$schema": DIALECT, **Settings.model_json_schema()}
    payloads = schemas()
    known = {"configuration": configuration, **payloads}
    if options.name is not None and options.name not in known:
        raise InputError(f"no schema is called {options.name!r}; there are: {', '.join(known)}")
    chosen = known[options.name] if options.name else {**configuration, "payloads": payloads}
    json.dump(chosen, sys.stdout, indent=2, ensure_ascii=False)
    print()
    return 0

"""`edge-agent check`: is everything there that the service needs, and what to do about what is not."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.commands.common import (
    SYSTEM_CONFIG,
    Commands,
    add_config_option,
    chosen_config,
    load_settings,
    whole_console,
)
from edge_agent.errors import EXIT_FAILURE, ConfigError, ModelError

if TYPE_CHECKING:
    from edge_agent.config import Settings
    from edge_agent.types import CheckLine

_MARKS = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "fail": "[red]✗[/]"}


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "check",
        parents=[common],
        help="configuration, models, camera, GPIO, broker, board: what works and what to do",
        description="Try everything the service needs, one line each, with what to do about it.",
        epilog="exit codes: 0 all well (or warnings only), 78 wrong configuration or model, 1 other failures. "
        "While the service runs, it holds the camera and the GPIO line: stop it first.",
    )
    add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON for a program")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from edge_agent.types import CheckLine

    lines: list[CheckLine] = []
    code = 0
    try:
        settings = load_settings(options)
        where = chosen_config(options) or f"there is no {SYSTEM_CONFIG}: what the program comes with"
        lines.append(CheckLine("configuration", "ok", f"{where} is valid"))
        lines += [CheckLine("configuration", "warn", doubt, "") for doubt in settings.doubts()]
    except ConfigError as error:
        lines.append(CheckLine("configuration", "fail", str(error), "correct it, then check again"))
        code = error.exit_code
    else:
        line, code = _models(settings)
        lines.append(line)
        lines += _devices(settings, options.config)
    if not code and any(line.status == "fail" for line in lines):
        code = EXIT_FAILURE
    _print(lines, code, options.json)
    return code


def _models(settings: Settings) -> tuple[CheckLine, int]:
    """The line, and the exit code that it calls for."""
    from edge_agent.types import CheckLine
    from edge_agent.vision.networks import Networks
    from edge_agent.vision.store import ModelStore

    try:
        store = ModelStore(settings.vision.models_dir)
        networks = Networks(settings.vision, store)
    except ModelError as error:
        return CheckLine("models", "fail", str(error), ""), error.exit_code
    return CheckLine("models", "ok", f"loaded: {networks.describe()}"), 0


def _devices(settings: Settings, config: Path | None) -> Iterator[CheckLine]:
    from edge_agent.agent import state_directory
    from edge_agent.camera.probe import probe as probe_camera
    from edge_agent.outputs.buzzer import probe as probe_buzzer
    from edge_agent.outputs.mqtt.clock import clock_synced
    from edge_agent.service.checks import checks
    from edge_agent.types import CheckLine

    camera = probe_camera(settings.camera)
    if camera.ok:
        text = f"{camera.source}: {camera.width}×{camera.height} after {camera.seconds:.1f} s"
        yield CheckLine("camera", "ok", text)
    else:
        hint = "`edge-agent cameras` lists what is attached" if camera.listed else ""
        yield CheckLine("camera", "fail", f"{camera.source}: {camera.reason}", hint)
    buzzer = probe_buzzer(settings.buzzer)
    # Without a buzzer the service still watches and reports: no failure.
    yield CheckLine("buzzer", "ok" if buzzer.ok else "warn", buzzer.detail, buzzer.hint or "")
    if settings.mqtt.enabled:
        from edge_agent.outputs.mqtt.check import probe as probe_broker
        from edge_agent.outputs.mqtt.credentials import with_system_password
        from edge_agent.outputs.switches import Switches

        yield _password_file(settings, config) or probe_broker(
            with_system_password(settings.mqtt),
            settings.device,
            snapshots=settings.snapshots,
            ranges=Switches.from_settings(None, settings).ranges,
        )
    else:
        yield CheckLine("broker", "ok", "MQTT is switched off in the configuration")
    yield from _extras(settings, config)
    yield from checks(
        state_directory(settings),
        clock_synced=clock_synced(),
        temperature_limit=settings.service.temperature_limit,
    )


def _password_file(settings: Settings, config: Path | None) -> CheckLine | None:
    """What is wrong with a file that root, who checks, may read, and the service may not."""
    from edge_agent.commands.unit import installed_unit
    from edge_agent.outputs.mqtt.credentials import SYSTEM_PASSWORD
    from edge_agent.types import CheckLine

    path = settings.mqtt.password_file
    if path is None or not os.access(path, os.F_OK):  # unlike Path.exists no error where one may not look
        return None
    unit = installed_unit(config)
    if unit is None or unit.reads(path):
        return None
    text = f"mqtt.password_file: {path} can't be read by the user {unit.user} of {unit.name}"
    hint = f"leave mqtt.password_file out and write the password into {SYSTEM_PASSWORD}: systemd hands that on"
    return CheckLine("broker", "fail", text, hint)


def _extras(settings: Settings, config: Path | None) -> Iterator[CheckLine]:
    from edge_agent.types import CheckLine

    if settings.web.enabled:
        try:
            from edge_agent.web import page
        except ConfigError as error:
            hint = "`install.sh upgrade --extras +web`, or without the installer pip install 'edge-agent[web]'"
            yield CheckLine("live page", "fail", str(error), hint)
        else:
            where = f"{settings.web.host} port {settings.web.port}"
            trouble = page.trouble(settings.web)
            if trouble is None:
                yield CheckLine("live page", "ok", f"can be served at {where}")
            else:
                hint = "stop the service while you check, or correct web.host and web.port"
                yield CheckLine("live page", "warn", f"can't be served at {where}: {trouble}", hint)
    if settings.snapshots.enabled and settings.snapshots.directory is not None:
        yield _snapshots(settings.snapshots.directory, config)


def _snapshots(folder: Path, config: Path | None) -> CheckLine:
    from edge_agent.commands.unit import installed_unit
    from edge_agent.types import CheckLine

    hint = "give it to the service's user (which sees nothing below /home), or correct snapshots.directory"
    unit = installed_unit(config)
    try:
        place = folder.expanduser().resolve()
        nearest = next(parent for parent in (place, *place.parents) if parent.exists())
        complaint = unit.complaint(place) if unit is not None else None
    except OSError as error:
        return CheckLine("snapshots", "warn", f"{folder} can't be written: {error.strerror}", hint)
    except RuntimeError as error:  # whose home it is, is not known, or a link leads back to itself
        return CheckLine("snapshots", "fail", f"{folder} can't be written: {error}", "write the whole path")
    if complaint is not None:
        return CheckLine("snapshots", "warn", *complaint)
    if os.access(nearest, os.W_OK):
        return CheckLine("snapshots", "ok", f"kept in {folder}")
    return CheckLine("snapshots", "warn", f"{folder} can't be written", hint)


def _print(lines: list[CheckLine], code: int, as_json: bool) -> None:
    if as_json:
        rows = [{"name": x.name, "status": x.status, "text": x.text, "hint": x.hint} for x in lines]
        print(json.dumps({"ok": code == 0, "checks": rows}, ensure_ascii=False, indent=2))
        return
    from rich.markup import escape
    from rich.table import Table

    console = whole_console()
    between = "\n" if sys.stdout.isatty() else " "  # in a pipe a line each, with all that belongs to it
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in lines:
        hint = f"{between}[bold]→ {escape(line.hint)}[/]" if line.hint else ""
        table.add_row(_MARKS[line.status], line.name, f"{escape(line.text)}{hint}")
    console.print(table)

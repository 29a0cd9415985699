"""`edge-agent demo`: the whole chain on any machine, without camera, GPIO or broker."""

from __future__ import annotations

import argparse
import json
import logging
import math
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.commands.common import Commands
from edge_agent.errors import EXIT_FAILURE, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from edge_agent.demo.subscriber import Subscriber


def register(commands: Commands, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "demo",
        parents=[common],
        help="the whole chain on this machine, no camera needed",
        description="Play the bundled clip through the very same agent: simulated buzzer, a real broker on a free "
        "port, and a subscriber that prints what arrives.",
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="stop after N seconds (default: the whole clip)")
    parser.set_defaults(run=run)


def clip() -> Path:
    """The bundled clip; its sources and licences are noted beside it."""
    return Path(__file__).resolve().parents[1] / "assets" / "demo.mp4"


def run(options: argparse.Namespace) -> int:
    if options.seconds is not None and not 0 < options.seconds < math.inf:
        raise InputError("--seconds must be more than 0")
    from rich.console import Console
    from rich.markup import escape

    from edge_agent.agent import Agent
    from edge_agent.chain import FrameResult
    from edge_agent.config import Settings
    from edge_agent.demo.broker import broker
    from edge_agent.demo.subscriber import Subscriber
    from edge_agent.outputs.buzzer import BeepEvent
    from edge_agent.service.signals import stop_on_signals
    from edge_agent.types import Frame

    logging.getLogger("amqtt").setLevel(logging.ERROR)
    console = Console(highlight=False, soft_wrap=True)
    begin = time.monotonic()
    people: set[int] = set()

    def say(style: str, what: str, text: str) -> None:
        # In one piece: several threads have something to say.
        console.print(f"[dim]{time.monotonic() - begin:6.2f} s[/] [{style}]{what:<7}[/] {escape(text)}")

    def on_message(topic: str, text: str) -> None:
        say("cyan", "mqtt", f"{topic} {_shorten(topic, text)}")

    def on_beep(beep: BeepEvent) -> None:
        pattern = beep.pattern
        say("yellow", "buzzer", f"{beep.kind.value if beep.kind else 'test'}: beep × {pattern.repeats}")

    def on_result(_frame: Frame, result: FrameResult) -> None:
        people.update(person.id for person in result.persons)

    stop = threading.Event()
    subscriber = Subscriber(on_message)
    with (
        stop_on_signals(stop),
        tempfile.TemporaryDirectory(prefix="edge-agent-demo-") as state,
        broker() as (name, port),
        subscriber.listening(port),
    ):
        say("green", "broker", f"{name} on 127.0.0.1:{port}")
        settings = Settings.model_validate(
            {
                "device": {"id": "demo", "name": "Demo"},
                "camera": {"source": str(clip()), "loop": False},
                "buzzer": {"driver": "simulated"},
                "violations": {"cooldown": 2},
                # amqtt knows no other version, and does not say so
                "mqtt": {"host": "127.0.0.1", "port": port, **({"protocol": "3.1.1"} if name == "amqtt" else {})},
                "service": {"state_dir": state},
            }
        )
        agent = Agent(settings, on_beep=on_beep, on_result=on_result)
        if options.seconds is not None:
            timer = threading.Timer(options.seconds, stop.set)
            timer.daemon = True
            timer.start()
        code = agent.run(stop)
        figures = agent.statistics.snapshot()
        beeps = agent.beeps
    _summary(console, figures.processed, figures.uptime, len(people), subscriber, beeps)
    # A demonstration in which nobody was reported has shown nothing, unless it was cut short.
    nothing = not subscriber.violations and options.seconds is None
    return code or (EXIT_FAILURE if nothing else 0)


def _shorten(topic: str, text: str) -> str:
    if topic.endswith("/config"):
        return f"({len(text)} bytes of Home Assistant discovery)"
    if topic.endswith("/status"):
        status = json.loads(text)
        return (
            f"{status['health']}: camera {status['camera']}, {status['people']} in view, "
            f"{status['violations']} violations now, today {status['today']}"
        )
    return text


def _summary(console: Console, frames: int, seconds: float, people: int, received: Subscriber, beeps: int) -> None:
    from rich.table import Table

    started = sum(message["type"] == "started" for message in received.violations)
    ended = sum(message["type"] == "ended" for message in received.violations)
    table = Table("frames", "people", "violations started", "ended", "beeps", "frames/s")
    table.add_row(str(frames), str(people), str(started), str(ended), str(beeps), f"{frames / seconds:.1f}")
    console.print(table)

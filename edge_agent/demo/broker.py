"""A real MQTT broker on a free loopback port: mosquitto if it is installed, else amqtt in this process."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edge_agent.errors import EdgeAgentError

_START_SECONDS = 10.0


@contextlib.contextmanager
def broker() -> Iterator[tuple[str, int]]:
    """Run a broker while the block runs; gives its name and port. Raises EdgeAgentError if there is none."""
    # Debian keeps daemons where an ordinary user's PATH does not look.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    program = shutil.which("mosquitto", path=path)
    port = _free_port()
    if program is not None:
        with _mosquitto(program, port):
            yield "mosquitto", port
        return
    with _amqtt(port):
        yield "amqtt", port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _mosquitto(program: str, port: int) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="edge-agent-demo-") as scratch:
        configuration = Path(scratch) / "mosquitto.conf"
        configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        process = subprocess.Popen(
            [program, "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port)
            yield
        finally:
            process.terminate()
            process.wait(5)


@contextlib.contextmanager
def _amqtt(port: int) -> Iterator[None]:
    try:
        import asyncio
        import threading

        from amqtt.broker import Broker
    except ImportError:
        raise EdgeAgentError(
            "the demo needs a broker: install mosquitto (apt install mosquitto), or pip install 'edge-agent[demo]'"
        ) from None
    loop = asyncio.new_event_loop()
    configuration = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }

    async def serve() -> Broker:
        server = Broker(configuration)
        await server.start()
        return server

    thread = threading.Thread(target=loop.run_forever, name="amqtt", daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(_START_SECONDS)
    try:
        _wait_for(port)
        yield
    finally:
        # amqtt 0.11 cancels the very task that shuts it down
        with contextlib.suppress(concurrent.futures.CancelledError, TimeoutError):
            asyncio.run_coroutine_threadsafe(server.shutdown(), loop).result(_START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_SECONDS)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        if time.monotonic() > deadline:
            raise EdgeAgentError(f"the broker did not begin to listen on port {port}")
        time.sleep(0.05)

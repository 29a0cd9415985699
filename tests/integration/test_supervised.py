"""The service under somebody who listens as systemd does: sd_notify(3)'s socket, and what becomes of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_agent.commands.demo import clip


class Supervisor:
    """Starts the service and takes down what it says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._socket.settimeout(60)
        self.process: subprocess.Popen[bytes] | None = None
        self.said: list[str] = []

    def start(self, **sections: dict[str, Any]) -> subprocess.Popen[bytes]:
        config = self._folder / "config.yaml"
        settings = {
            "mqtt": {"enabled": False},
            "buzzer": {"driver": "simulated"},
            **sections,
        }
        config.write_text(yaml.safe_dump(settings))
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(self._folder / "notify"),
            "WATCHDOG_USEC": "1000000",
            "STATE_DIRECTORY": str(self._folder / "state"),
        }
        environment.pop("WATCHDOG_PID", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge_agent", "run", "-c", str(config)], env=environment
        )
        return self.process

    def wait_for(self, word: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            self.said += self._socket.recv(65_536).decode().splitlines()
            if word in self.said:
                return
            assert time.monotonic() < deadline, self.said

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
        self._socket.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    found = Supervisor(tmp_path)
    yield found
    found.close()


def test_it_is_ready_feeds_the_watchdog_and_says_that_it_stops(supervisor: Supervisor) -> None:
    service = supervisor.start(camera={"source": str(clip())})
    for word in ("READY=1", "WATCHDOG=1"):
        supervisor.wait_for(word)
    service.send_signal(signal.SIGTERM)
    supervisor.wait_for("STOPPING=1")
    assert service.wait(60) == 0
    assert any(line.startswith("STATUS=") and "camera ok" in line for line in supervisor.said)


def test_a_camera_that_never_gives_a_picture_gets_a_new_process(supervisor: Supervisor) -> None:
    service = supervisor.start(camera={"source": "/dev/video99"}, service={"camera_patience": 1})
    supervisor.wait_for("READY=1")  # degraded, and says so
    assert service.wait(60) == 1
    assert any(line.startswith("STATUS=") and "camera lost" in line for line in supervisor.said)

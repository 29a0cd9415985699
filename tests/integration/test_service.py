"""The service as systemd runs it: a film as camera, a real mosquitto, mosquitto_sub as the dashboard."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_agent.commands.demo import clip
from edge_agent.demo.broker import broker
from edge_agent.service import counts

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="needs mosquitto-clients"),
]
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("NOTIFY_SOCKET", "STATE_DIRECTORY")}


@pytest.fixture
def port() -> Iterator[int]:
    with broker() as (name, port):
        assert name == "mosquitto"
        yield port


def configuration(tmp_path: Path, port: int, **sections: dict[str, Any]) -> Path:
    settings: dict[str, Any] = {
        "device": {"id": "door"},
        "camera": {"source": str(clip()), "loop": True},
        "buzzer": {"driver": "simulated"},
        "mqtt": {"host": "127.0.0.1", "port": port, "status_interval": 1},
        "service": {"state_dir": str(tmp_path / "state")},
    }
    for name, values in sections.items():
        settings[name] = {**settings.get(name, {}), **values}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def edge_agent(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "edge_agent", *map(str, arguments)]


@contextlib.contextmanager
def running(*command: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**ENVIRONMENT, **variables}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


class Dashboard:
    """What mosquitto_sub prints, message by message."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def messages(self) -> list[tuple[str, str]]:
        lines = self._path.read_text().splitlines()
        return [(topic, payload) for topic, _, payload in (line.partition(" ") for line in lines)]

    def violations(self) -> list[dict[str, Any]]:
        return [json.loads(text) for topic, text in self.messages() if topic == "edge_agent/door/violation"]

    def statuses(self) -> list[dict[str, Any]]:
        return [json.loads(text) for topic, text in self.messages() if topic == "edge_agent/door/status"]

    def wait(self, condition: Callable[[Dashboard], bool], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition(self):
            assert time.monotonic() < deadline, f"waited {seconds} s; arrived: {self.messages()[-5:]}"
            time.sleep(0.05)


@contextlib.contextmanager
def subscribed(port: int, path: Path) -> Iterator[Dashboard]:
    """A subscriber to everything, once the broker has its subscription; what it gets goes into a file."""
    hello = "$SYS/broker/version"  # retained by mosquitto itself, and not among `#`
    command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-t", "#", "-t", hello, "-v", "-q", "1"]
    with path.open("w") as sink:
        process = subprocess.Popen(command, stdout=sink)
        try:
            dashboard = Dashboard(path)
            dashboard.wait(lambda d: hello in [topic for topic, _ in d.messages()])
            yield dashboard
        finally:
            process.terminate()
            process.wait(5)


@pytest.fixture
def dashboard(tmp_path: Path, port: int) -> Iterator[Dashboard]:
    with subscribed(port, tmp_path / "arrived.txt") as dashboard:
        yield dashboard


def retained(port: int, topic: str) -> str:
    command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-t", topic, "-C", "1", "-W", "5"]
    return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()


def test_a_film_makes_violations_and_sigterm_a_clean_end(tmp_path: Path, port: int, dashboard: Dashboard) -> None:
    with running(*edge_agent("run", "-c", configuration(tmp_path, port))) as service:
        dashboard.wait(lambda d: {v["type"] for v in d.violations()} == {"started", "ended"})
        assert retained(port, "edge_agent/door/availability") == "online"
        # somebody is there when it ends
        dashboard.wait(lambda d: bool(d.statuses()) and d.statuses()[-1]["people"] > 0)
        service.send_signal(signal.SIGTERM)
        assert service.wait(10) == 0, service.stderr.read() if service.stderr else ""
    assert retained(port, "edge_agent/door/availability") == "offline"
    # its last word: by now the dashboard, too, has all that came before
    dashboard.wait(lambda d: ("edge_agent/door/availability", "offline") in d.messages())
    arrived = dashboard.violations()
    started = [v for v in arrived if v["type"] == "started"]
    assert {v["kind"] for v in started} <= {"no_mask", "incorrect"}
    assert [v["seq"] for v in arrived] == sorted(v["seq"] for v in arrived)
    status = json.loads(retained(port, "edge_agent/door/status"))
    assert status["schema"] == 1
    assert (status["people"], status["violations"]) == (0, 0)
    assert {v["event_id"] for v in arrived if v["type"] == "ended"} == {v["event_id"] for v in started}
    assert not [s["reason"] for s in dashboard.statuses() if "broker" in s["reason"]], "a connection belies itself"
    assert any(topic.startswith("homeassistant/device/") for topic, _ in dashboard.messages())


def wait_for_listener(port: int, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert time.monotonic() < deadline, f"nobody listens on {port}"
        time.sleep(0.05)


def test_a_broker_that_comes_late_gets_every_event(tmp_path: Path) -> None:
    """Nobody listens while the first film plays; what was seen is told when there is somebody."""
    with broker() as (_, port):
        pass  # its port is free again
    path = configuration(tmp_path, port, camera={"loop": False})
    with running(*edge_agent("run", "-c", path)) as service:
        assert service.wait(90) == 0
        assert service.stderr is not None
        log = service.stderr.read()
    assert "Traceback" not in log
    expected = log.count("violation started")
    assert expected >= 1
    mosquitto = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert mosquitto
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with running(mosquitto, "-c", str(conf)):
        wait_for_listener(port)
        with subscribed(port, tmp_path / "late.txt") as dashboard:
            image = tmp_path / "nobody"
            image.mkdir()
            _grey_picture(image / "grey.png")
            path = configuration(tmp_path, port, camera={"source": str(image), "loop": True})
            with running(*edge_agent("run", "-c", path)):
                dashboard.wait(lambda d: sum(v["type"] == "started" for v in d.violations()) >= expected)
            assert all(v["replayed"] for v in dashboard.violations())


def time_zone_at_noon() -> str:
    """For TZ: the zone where it is between twelve and one now (in tzset(3) hours are counted westwards)."""
    return f"NOON{datetime.now(timezone.utc).hour - 12:+d}"


def test_todays_count_goes_on_after_a_kill(tmp_path: Path, port: int, dashboard: Dashboard) -> None:
    zone = time_zone_at_noon()  # at midnight it would begin again

    def counted(dashboard: Dashboard) -> list[int]:
        return [sum(status["today"].values()) for status in dashboard.statuses()]

    def kept() -> int:
        # written by a thread after the count was shown: a kill between the two may cost it
        found = counts.read(tmp_path / "state" / "today.json")
        return sum(found[1].values()) if found else 0

    with running(*edge_agent("run", "-c", configuration(tmp_path, port)), TZ=zone) as service:
        dashboard.wait(lambda d: any(counted(d)) and kept() > 0)
        service.kill()
        service.wait(10)
    before = kept()
    # the broker's last word of it: nothing of the killed service can come after that
    dashboard.wait(lambda d: ("edge_agent/door/availability", "offline") in d.messages())
    shown = len(counted(dashboard))
    image = tmp_path / "nobody"
    image.mkdir()
    _grey_picture(image / "grey.png")
    path = configuration(tmp_path, port, camera={"source": str(image), "loop": True})
    with running(*edge_agent("run", "-c", path), TZ=zone):
        dashboard.wait(lambda d: len(counted(d)) > shown)
    assert counted(dashboard)[-1] >= before


def _grey_picture(path: Path) -> None:
    import cv2
    import numpy as np

    assert cv2.imwrite(str(path), np.full((480, 640, 3), 128, np.uint8))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("camera: {widht: 3}", "camera.widht"),
        ("camera: [", "not YAML"),
        ("vision: {models_dir: /nowhere}", "/nowhere"),
    ],
)
def test_a_wrong_configuration_or_model_exits_78(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    done = subprocess.run(
        edge_agent("run", "-c", path), capture_output=True, text=True, timeout=60, env=ENVIRONMENT
    )
    assert done.returncode == 78
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_configuration_exits_78(tmp_path: Path) -> None:
    command = edge_agent("run", "-c", tmp_path / "none.yaml")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert done.returncode == 78
    assert "no such file" in done.stderr
    assert "Traceback" not in done.stderr

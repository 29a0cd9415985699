"""What systemd is told, read from a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.service.notify import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def lines(sock: socket.socket) -> list[str]:
    return sock.recv(4096).decode().splitlines()


def test_ready_and_status_arrive(systemd: socket.socket) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": systemd.getsockname()})
    notifier.ready("ok: camera ok")
    assert lines(systemd) == ["READY=1", "STATUS=ok: camera ok"]
    notifier.status("degraded")
    assert lines(systemd) == ["STATUS=degraded"]
    notifier.stopping()
    assert lines(systemd) == ["STOPPING=1"]


def test_a_status_can_not_smuggle_another_key(systemd: socket.socket) -> None:
    Notifier(systemd.getsockname()).status("camera\nREADY=1\nMAINPID=1")
    assert lines(systemd) == ["STATUS=camera READY=1 MAINPID=1"]


def test_an_abstract_socket_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        name = f"edge-agent-test-{os.getpid()}"
        sock.bind("\0" + name)
        sock.settimeout(5)
        Notifier(f"@{name}").ready()
        assert lines(sock) == ["READY=1"]


def test_the_watchdog_is_pinged_only_where_it_is_on(systemd: socket.socket) -> None:
    address = systemd.getsockname()
    off = Notifier.from_environment({"NOTIFY_SOCKET": address})
    off.watchdog()
    off.status("after")
    assert lines(systemd) == ["STATUS=after"]
    on = Notifier.from_environment({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"})
    assert (on.watchdog_timeout, on.watchdog_interval) == (30.0, 15.0)
    on.watchdog()
    assert lines(systemd) == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("usec", "pid", "timeout"),
    [
        ("2000000", str(os.getpid()), 2.0),
        ("2000000", "1", None),  # meant for another process
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_the_watchdog_of_the_environment(
    systemd: socket.socket, usec: str | None, pid: str | None, timeout: float | None
) -> None:
    environ = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
    notifier = Notifier.from_environment({key: value for key, value in environ.items() if value is not None})
    assert notifier.watchdog_timeout == timeout


def test_without_systemd_nothing_happens(caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier.from_environment({})
    notifier.ready("x")
    notifier.watchdog()
    assert not notifier.active
    assert notifier.watchdog_interval is None
    assert not caplog.records


def test_a_socket_that_is_gone_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier(str(tmp_path / "gone"))
    notifier.status("a")
    notifier.status("b")
    assert len(caplog.records) == 1


def test_an_address_that_is_no_local_socket_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    assert not Notifier("vsock:2:1234").active
    assert "vsock" in caplog.text

"""Nobody who only holds connections open can hold the service up: asked with real sockets."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from edge_agent.config import WebSettings
from edge_agent.web import door, page
from edge_agent.web.page import WebPage

JPEG = b"\xff\xd8" + bytes(8_000_000) + b"\xff\xd9"
"""More than the sockets of both sides take."""
REQUEST = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
ESTABLISHED = "01"


def wait_for(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@contextmanager
def running(picture: Callable[[], bytes] = lambda: JPEG) -> Iterator[int]:
    """The port of a page that runs and shows a picture."""
    served = WebPage(WebSettings(enabled=True, port=0, picture=True), lambda: {"health": "ok"}, picture)
    served.start()
    try:
        wait_for(lambda: served.address)
        assert served.address is not None
        yield served.address[1]
    finally:
        served.stop(10)


@pytest.fixture
def port() -> Iterator[int]:
    with running() as port:
        yield port


def connections(stack: ExitStack, port: int, count: int) -> list[socket.socket]:
    return [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]


def ended(lines: list[socket.socket]) -> list[socket.socket]:
    """Those on which there is something to be read: nothing was asked, so it is their end."""
    return select.select(lines, [], [], 0)[0]


def state(server: int, client: int) -> str | None:
    """The server's end of a connection, as the kernel has it."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, number = line.split()[1:4]
        if (local[-5:], remote[-5:]) == (f":{server:04X}", f":{client:04X}"):
            return number
    return None


def health(port: int) -> bytes:
    answer: bytes = urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10).read()
    return answer


def refused(port: int) -> bool:
    try:
        return health(port) != b"ok\n"
    except OSError:
        return True


def test_one_connection_too_many_is_closed_at_once(
    port: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "PATIENCE_SECONDS", 60)
    with ExitStack() as stack, caplog.at_level(logging.DEBUG, "edge_agent.web"):
        lines = connections(stack, port, door.MAX_CONNECTIONS + 20)
        wait_for(lambda: len(ended(lines)) == 20)
        inside = [line for line in lines if line not in ended(lines)]
        inside[0].sendall(REQUEST % b"/healthz")
        answer = b""
        while not answer.endswith(b"ok\n"):
            answer += inside[0].recv(1000)
        assert ended(inside) == []
        inside.pop().close()
        wait_for(lambda: not refused(port))
    levels = [record.levelname for record in caplog.records if "closed at once" in record.message]
    assert levels.count("WARNING") == 1
    assert levels.count("DEBUG") >= 19


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: local"], ids=["nothing", "half a request"])
def test_who_does_not_ask_is_put_out(port: int, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(door, "PATIENCE_SECONDS", 2)  # time for all to be there and begin
    with ExitStack() as stack:
        lines = connections(stack, port, door.MAX_CONNECTIONS)
        for line in lines:
            line.sendall(begun)
        wait_for(lambda: len(ended(lines)) == len(lines))
        monkeypatch.setattr(door, "PATIENCE_SECONDS", 60)
        assert health(port) == b"ok\n"


def test_who_asks_no_more_is_put_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "IDLE_SECONDS", 0.2)
    with running() as port, socket.create_connection(("127.0.0.1", port), timeout=15) as line:
        line.sendall(REQUEST % b"/healthz" + b"GET /hea")
        answer = b""
        while part := line.recv(1000):
            answer += part
        assert answer.endswith(b"\r\n\r\nok\n")


def test_a_viewer_who_takes_no_picture_is_put_out(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE_SECONDS", 2)  # time to ask
    with ExitStack() as stack:
        (line,) = connections(stack, port, 1)
        line.sendall(REQUEST % b"/live.mjpeg")
        assert line.recv(100).startswith(b"HTTP/1.1 200")
        monkeypatch.setattr(door, "PATIENCE_SECONDS", 0.2)
        client = line.getsockname()[1]
        wait_for(lambda: state(port, client) != ESTABLISHED)


def test_an_answer_that_is_never_taken_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE_SECONDS", 2)  # time to ask
    with ExitStack() as stack:
        (line,) = connections(stack, port, 1)
        client = line.getsockname()[1]
        line.setblocking(False)
        deadline = time.monotonic() + 30
        while state(port, client) == ESTABLISHED:
            assert time.monotonic() < deadline
            try:
                line.send((REQUEST % b"/") * 100)
            except BlockingIOError:
                time.sleep(0.01)
            except ConnectionError:
                break
        assert state(port, client) != ESTABLISHED


def test_a_viewer_who_takes_the_pictures_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE_SECONDS", 2)  # time to ask, and to take some of each picture
    looks: list[bool] = []
    look = door.Guest._look
    monkeypatch.setattr(door.Guest, "_look", lambda guest: (looks.append(guest._full), look(guest)))
    # Each time another one: the same would be sent only once.
    with (
        running(lambda: JPEG[:-2] + os.urandom(2)) as port,
        socket.create_connection(("127.0.0.1", port)) as line,
    ):
        line.settimeout(10)
        line.sendall(REQUEST % b"/live.mjpeg")
        deadline, taken = time.monotonic() + 30, 0
        while len(looks) < 4:
            taken += len(line.recv(1 << 20))
            assert time.monotonic() < deadline
        assert taken > 2 * len(JPEG)
        assert state(port, line.getsockname()[1]) == ESTABLISHED


class Line(asyncio.Transport):
    """The server's end of a connection that is open until it is aborted."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        self.aborted = True


def test_a_slow_viewer_stays_as_long_as_something_is_taken() -> None:
    async def ask() -> None:
        line = Line()
        guest = door.Door(asyncio.Protocol)()
        guest.connection_made(line)
        guest.asked()
        for _ in range(5):
            guest.pause_writing()
            guest._look()
            guest.resume_writing()
        guest.pause_writing()
        guest._look()
        assert not line.aborted
        guest._look()
        assert line.aborted
        guest.connection_lost(None)

    asyncio.run(ask())


def test_at_the_end_of_the_page_nobody_is_waited_for() -> None:
    with ExitStack() as stack:
        with running() as port:
            (line,) = connections(stack, port, 1)
            line.sendall(REQUEST % b"/live.mjpeg")
            assert line.recv(100).startswith(b"HTTP/1.1 200")
        wait_for(lambda: state(port, line.getsockname()[1]) != ESTABLISHED)

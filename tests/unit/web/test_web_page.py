"""The live page, asked over real HTTP."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from edge_agent.config import WebSettings
from edge_agent.web import page as page_module
from edge_agent.web import routes
from edge_agent.web.guard import Guard
from edge_agent.web.page import WebPage

STATUS = {"health": "ok", "people": 2, "today": {"no_mask": 3, "incorrect": 1}, "camera": "ok"}
JPEG = b"\xff\xd8picture\xff\xd9"


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()


class Site:
    """A page that runs, and a way to ask it."""

    def __init__(self, page: WebPage) -> None:
        self.page = page
        page.start()
        wait_for(lambda: page.address is not None)
        self.host, self.port = page.address

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=20)

    def ask(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        with closing(self.connect()) as connection:
            connection.request(method, path, headers=headers or {})
            return Answer(connection.getresponse())


@pytest.fixture
def site() -> Iterator[Callable[..., Site]]:
    pages = []

    def build(status=lambda: dict(STATUS), jpeg=None, **settings) -> Site:
        pages.append(WebPage(WebSettings(enabled=True, port=0, **settings), status, jpeg))
        return Site(pages[-1])

    yield build
    for page in pages:
        page.stop()


def test_status_is_what_the_service_says(site):
    answer = site().ask("/api/status")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert json.loads(answer.body) == {**STATUS, "picture": False}


@pytest.mark.parametrize(("health", "code"), [("ok", 200), ("degraded", 200), ("failed", 503)])
def test_health_has_a_code_for_monitors(site, health, code):
    answer = site(lambda: {"health": health}).ask("/healthz")
    assert (answer.status, answer.body) == (code, f"{health}\n".encode())


def test_page_needs_nothing_from_elsewhere(site):
    answer = site().ask("/")
    assert answer.status == 200
    html = answer.body.decode()
    assert re.findall(r"(?:https?:)?//\w[\w.]*\.\w+", html) == []
    assert re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", html) == []


@pytest.mark.parametrize("path", ["/", "/api/status", "/healthz", "/live.mjpeg", "/no/such/page"])
def test_every_answer_carries_the_security_headers(site, path):
    headers = site().ask(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert headers["server"] == "edge-agent"  # no versions for the curious


def test_policy_allows_the_pages_own_script_and_no_other():
    """The hash in the policy must be that of the script as sent, or the page stays empty."""
    html = "<style>a{}</style><p></p><script>b()</script>"
    policy = Guard("127.0.0.1", html).headers["Content-Security-Policy"]
    for tag, text in (("script", b"b()"), ("style", b"a{}")):
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/api/status"])
def test_nothing_can_be_changed(site, method, path):
    assert site().ask(path, method).status == 405


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "", "[evil.example]"]
)
def test_a_foreign_name_is_refused(site, host):
    """DNS rebinding: a name that its owner lets point at 127.0.0.1."""
    answer = site().ask("/api/status", headers={"Host": host})
    assert answer.status in (400, 421)
    assert b"people" not in answer.body


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", socket.gethostname()])
def test_own_names_and_addresses_are_served(site, host):
    assert site().ask("/api/status", headers={"Host": host}).status == 200


def test_by_default_only_this_machine_is_served(site):
    assert site().host == "127.0.0.1"


def test_open_to_the_network_is_said_in_the_log(caplog):
    page = WebPage(WebSettings(host="0.0.0.0", port=0, picture=True), lambda: STATUS, lambda: JPEG)
    page.start()
    page.stop()
    assert "faces included" in caplog.text


def read_part(response: http.client.HTTPResponse) -> bytes:
    assert response.readline() == b"--frame\r\n"
    assert response.readline() == b"Content-Type: image/jpeg\r\n"
    length = int(response.readline().split(b":")[1])
    assert response.readline() == b"\r\n"
    body = response.read(length)
    assert response.readline() == b"\r\n"
    return body


def test_live_picture_is_off_unless_switched_on(site):
    s = site(jpeg=lambda: JPEG)
    assert s.ask("/live.mjpeg").status == 404
    assert json.loads(s.ask("/api/status").body)["picture"] is False


def test_live_picture_shows_one_after_the_other(site, monkeypatch):
    monkeypatch.setattr(routes, "_FRAME_SECONDS", 0.01)
    numbers = iter(range(1_000_000))
    s = site(jpeg=lambda: JPEG + str(next(numbers)).encode(), picture=True)
    assert json.loads(s.ask("/api/status").body)["picture"] is True
    with closing(s.connect()) as connection:
        connection.request("GET", "/live.mjpeg")
        response = connection.getresponse()
        assert response.getheader("Content-Type") == "multipart/x-mixed-replace; boundary=frame"
        assert response.getheader("X-Content-Type-Options") == "nosniff"
        assert [read_part(response) for _ in range(3)] == [JPEG + b"0", JPEG + b"1", JPEG + b"2"]


def test_the_same_picture_is_not_sent_twice(site, monkeypatch):
    monkeypatch.setattr(routes, "_FRAME_SECONDS", 0.01)
    asked: list[None] = []
    current = [JPEG + b"old"]

    def picture() -> bytes:
        asked.append(None)
        return current[0]

    s = site(jpeg=picture, picture=True)
    with closing(s.connect()) as connection:
        connection.request("GET", "/live.mjpeg")
        response = connection.getresponse()
        assert read_part(response) == JPEG + b"old"
        wait_for(lambda: len(asked) >= 5)
        current[0] = JPEG + b"new"
        assert read_part(response) == JPEG + b"new"


def test_viewers_are_bounded_and_a_place_gets_free_again(site, monkeypatch):
    monkeypatch.setattr(routes, "MAX_STREAMS", 2)
    monkeypatch.setattr(routes, "_FRAME_SECONDS", 0.01)
    numbers = iter(range(1_000_000))
    s = site(jpeg=lambda: JPEG + str(next(numbers)).encode(), picture=True)
    viewers = [s.connect() for _ in range(2)]
    responses = []
    for viewer in viewers:
        viewer.request("GET", "/live.mjpeg")
        responses.append(viewer.getresponse())
        read_part(responses[-1])
    assert s.ask("/live.mjpeg").status == 503
    responses[0].close()
    viewers[0].close()

    def gets_in() -> bool:
        with closing(s.connect()) as connection:
            connection.request("GET", "/live.mjpeg")
            response = connection.getresponse()
            if response.status == 200:
                read_part(response)
                response.close()
                return True
            response.read()
            return False

    wait_for(gets_in)
    viewers[1].close()
    responses[1].close()


def test_a_viewer_who_has_gone_before_the_answer_is_no_error(site, caplog):
    s = site(jpeg=lambda: JPEG, picture=True)
    blocked, go_on = threading.Event(), threading.Event()

    def busy() -> None:
        blocked.set()
        go_on.wait(10)

    s.page._loop.call_soon_threadsafe(busy)  # a board with much to do
    assert blocked.wait(10)
    for _ in range(3):
        with socket.create_connection((s.host, s.port)) as viewer:
            viewer.sendall(f"GET /live.mjpeg HTTP/1.1\r\nHost: {s.host}:{s.port}\r\n\r\n".encode())
    go_on.set()
    assert s.ask("/healthz").status == 200
    s.page.stop()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_status_that_fails_is_a_503_and_the_page_lives_on(site, caplog):
    fail = [True]

    def status() -> dict[str, object]:
        if fail[0]:
            raise RuntimeError("bug")
        return dict(STATUS)

    s = site(status)
    assert s.ask("/api/status").status == 503
    assert s.ask("/healthz").status == 503
    assert "could not ask the service" in caplog.text
    fail[0] = False
    assert s.ask("/api/status").status == 200


def test_a_status_that_hangs_costs_one_thread_and_neither_page_nor_stop(site, monkeypatch):
    monkeypatch.setattr(routes, "_CALL_SECONDS", 0.05)
    release, calls = threading.Event(), []

    def status() -> dict[str, object]:
        calls.append(None)
        release.wait(60)
        return dict(STATUS)

    s = site(status)
    for _ in range(5):
        assert s.ask("/api/status").status == 503
    assert s.ask("/").status == 200
    assert len(calls) == 1
    s.page.stop(10)
    assert s.page.address is None
    assert not s.page._thread.is_alive()
    release.set()


def test_what_json_does_not_know_is_shown_as_text(site):
    answer = site(lambda: {"health": "ok", "where": object}).ask("/api/status")
    assert answer.status == 200
    assert "object" in json.loads(answer.body)["where"]


def test_stop_ends_open_streams(site):
    s = site(jpeg=lambda: JPEG, picture=True)
    with closing(s.connect()) as connection:
        connection.request("GET", "/live.mjpeg")
        response = connection.getresponse()
        read_part(response)
        s.page.stop(10)
        assert not s.page._thread.is_alive()
        assert response.read() == b""


def test_an_address_in_use_is_one_warning_and_taken_when_free(monkeypatch, caplog):
    monkeypatch.setattr(page_module, "RETRY_SECONDS", 0.02)
    caplog.set_level(logging.DEBUG, logger="edge_agent.web")
    with socket.create_server(("127.0.0.1", 0)) as other:
        page = WebPage(WebSettings(port=other.getsockname()[1]), lambda: dict(STATUS))
        page.start()
        wait_for(lambda: sum("can't listen" in record.message for record in caplog.records) >= 3)
        assert page.address is None
    wait_for(lambda: page.address is not None)
    page.stop()
    refusals = [record for record in caplog.records if "can't listen" in record.message]
    assert [record.levelname for record in refusals].count("WARNING") == 1


def test_stop_while_the_address_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as other:
        page = WebPage(WebSettings(port=other.getsockname()[1]), lambda: dict(STATUS))
        page.start()
        page.stop(10)
        assert not page._thread.is_alive()


def test_stop_before_start_and_twice_does_no_harm():
    page = WebPage(WebSettings(port=0), lambda: dict(STATUS))
    page.stop()
    page.start()
    page.stop(10)
    page.stop(10)
    assert not page._thread.is_alive()


def test_garbage_on_the_line_is_survived(site):
    s = site()
    for garbage in (b"\x16\x03\x01\x00" * 50, b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 9, b"A" * 100_000):
        with socket.create_connection((s.host, s.port), timeout=10) as line, contextlib.suppress(OSError):
            line.sendall(garbage)
            line.shutdown(socket.SHUT_WR)
            line.recv(1000)
    assert s.ask("/healthz").status == 200


def test_missing_package_says_how_to_get_it():
    code = (
        "import sys\n"
        "sys.modules['aiohttp'] = None\n"
        "from edge_agent.errors import ConfigError\n"
        "try:\n"
        "    import edge_agent.web.page\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env())
    assert done.returncode == 0, done.stderr
    assert "pip install 'edge-agent[web]'" in done.stdout


def test_the_package_alone_loads_no_server():
    code = "import edge_agent.web, sys; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env())
    assert done.stdout == "False\n"


def env() -> dict[str, str]:
    return dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))

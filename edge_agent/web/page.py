"""The live page's life: an aiohttp server in a thread of its own that can't hold the service up."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

from edge_agent.config import WebSettings
from edge_agent.errors import ConfigError

try:
    from aiohttp import web

    from edge_agent.web.door import MAX_CONNECTIONS, Door
    from edge_agent.web.routes import build_app
except ImportError as error:
    raise ConfigError(
        f"web.enabled is true, but the live page's package can't be loaded ({error}): "
        "install it with `pip install 'edge-agent[web]'` (on a device: `install.sh upgrade --extras +web`), "
        "or set web.enabled to false"
    ) from error

_log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
"""Pause before an address that was taken is tried again."""
IDLE_SECONDS = 15.0
"""Time that a connection is kept for one more request; the page asks every two seconds."""
_CLOSE_SECONDS = 1.0
"""Time that open answers get at the end."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def trouble(settings: WebSettings) -> str | None:
    """Why the page can't be served at `web.host` and `web.port` now; None if it can."""
    kinds: list[Any] = []
    try:
        kinds = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )  # as asyncio's create_server asks
        for family, _, _, _, address in kinds:
            with socket.socket(family, socket.SOCK_STREAM) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind(address)
    except (OSError, UnicodeError) as error:  # the latter of a name that none can be
        if getattr(error, "errno", None) == errno.EAFNOSUPPORT and len(kinds) > 1:
            return None  # a kernel without one kind of address serves the other
        return getattr(error, "strerror", None) or str(error)
    return None


class WebPage:
    """Serves the page, `/api/status`, `/healthz` and, if `picture` is switched on, `/live.mjpeg`.

    `status` returns what is shown, JSON-serialisable; `picture` the newest picture as JPEG, or None while there is
    none. Both are called in worker threads of the page and may be slow or fail without harm to anybody else.
    """

    def __init__(
        self,
        settings: WebSettings,
        status: Callable[[], dict[str, Any]],
        picture: Callable[[], bytes | None] | None = None,
    ) -> None:
        self._settings = settings
        self._status = status
        self._picture = picture if settings.picture else None
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._stopping = False
        self._address: tuple[str, int] | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port that are served now; None while there is no server."""
        return self._address

    def start(self) -> None:
        """Begin to serve; returns at once. An address that can't be had is one warning and tried again."""
        if self._thread is not None:
            return
        if self._settings.host not in _LOOPBACK:
            _log.warning(
                "The live page is open to everybody who reaches %s:%d%s",
                self._settings.host,
                self._settings.port,
                ", faces included" if self._picture else "",
            )
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 3.0) -> None:
        """End the server and its connections; waits at most `timeout` seconds."""
        with self._lock:
            self._stopping = True
            if self._loop is not None and self._stop is not None:
                with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                    self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                _log.warning("The live page did not stop within %.1f s", timeout)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:  # the page is an extra: without it the service goes on
            _log.exception("The live page has failed; the service goes on without it")
        finally:
            self._address = None

    async def _serve(self) -> None:
        stop = asyncio.Event()
        with self._lock:
            if self._stopping:
                return
            self._loop, self._stop = asyncio.get_running_loop(), stop
        app = build_app(self._settings, self._status, self._picture, stop)
        runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=IDLE_SECONDS, shutdown_timeout=_CLOSE_SECONDS
        )
        await runner.setup()
        assert runner.server is not None
        door = Door(runner.server)
        server: asyncio.Server | None = None
        try:
            server = await self._listen(door, stop)
            await stop.wait()
        finally:
            self._address = None
            if server is not None:
                server.close()
            await runner.cleanup()
            door.close()

    async def _listen(self, door: Door, stop: asyncio.Event) -> asyncio.Server | None:
        """Listen, however often it takes; None if the page is to stop meanwhile."""
        level = logging.WARNING
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            try:
                # asyncio accepts a whole backlog before the door sees one of it
                server = await loop.create_server(
                    door, self._settings.host, self._settings.port, backlog=MAX_CONNECTIONS
                )
            except (OSError, UnicodeError) as error:
                _log.log(
                    level,
                    "The live page can't listen on %s:%d: %s; set web.host and web.port. Trying again every %.0f s",
                    self._settings.host,
                    self._settings.port,
                    error,
                    RETRY_SECONDS,
                )
                level = logging.DEBUG
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(stop.wait(), RETRY_SECONDS)
                continue
            host, port = server.sockets[0].getsockname()[:2]
            self._address = (host, port)
            _log.info("Live page on http://%s:%d/", f"[{host}]" if ":" in host else host, port)
            return server
        return None

"""What the live page answers: the page, the status, the health and the picture."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

from aiohttp import web

from edge_agent.config import WebSettings
from edge_agent.web.ask import Question
from edge_agent.web.door import Guest
from edge_agent.web.guard import Guard

MAX_STREAMS = 4
"""Live pictures sent at once; a further viewer is told to come back."""
_CALL_SECONDS = 2.0
"""Time that the service gets to say its status or hand over a picture."""
_FRAME_SECONDS = 0.2
"""Pause between two pictures."""
_BOUNDARY = "frame"


class Routes:
    """The handlers; all state is the service's, asked for through `status` and `picture`."""

    def __init__(
        self,
        status: Callable[[], dict[str, Any]],
        picture: Callable[[], bytes | None] | None,
        stop: asyncio.Event,
    ) -> None:
        self._status = Question(status, _CALL_SECONDS)
        self._picture = Question(picture, _CALL_SECONDS) if picture is not None else None
        self._stop = stop
        self._streams = 0
        self._html = resources.files("edge_agent.web").joinpath("index.html").read_text(encoding="utf-8")

    @property
    def html(self) -> str:
        """The page as it is sent."""
        return self._html

    async def page(self, _request: web.Request) -> web.Response:
        """The one static page."""
        return web.Response(text=self._html, content_type="text/html")

    async def status(self, _request: web.Request) -> web.Response:
        """The status as JSON, with `picture` saying whether there is a live picture; 503 if it can't be had."""
        status = await self._status.ask()
        if status is None:
            return web.json_response({"error": "the service does not answer"}, status=503)
        return web.json_response({**status, "picture": self._picture is not None}, dumps=_dumps)

    async def health(self, _request: web.Request) -> web.Response:
        """`ok` or `degraded` with 200, `failed` with 503, in plain text for a monitor."""
        status = await self._status.ask()
        health = "failed" if status is None else str(status.get("health", "failed"))
        return web.Response(text=f"{health}\n", status=200 if health in ("ok", "degraded") else 503)

    async def live(self, request: web.Request) -> web.StreamResponse:
        """The live picture as motion JPEG until the viewer leaves; 404 unless it is switched on."""
        if self._picture is None:
            raise web.HTTPNotFound(text="The live picture is switched off (web.picture).\n")
        if self._streams >= MAX_STREAMS:
            raise web.HTTPServiceUnavailable(text="Too many viewers.\n", headers={"Retry-After": "10"})
        response = web.StreamResponse(headers={"Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}"})
        self._streams += 1
        try:
            # a viewer may have left by now; one who takes no pictures is let go by the door
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                await self._stream(request, response, self._picture)
        finally:
            self._streams -= 1
        return response

    async def _stream(
        self, request: web.Request, response: web.StreamResponse, picture: Question[bytes | None]
    ) -> None:
        last: bytes | None = None
        while not self._stop.is_set() and request.transport is not None:
            jpeg = await picture.ask()
            if jpeg is not None and jpeg is not last:
                last = jpeg
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                await response.write(head.encode() + jpeg + b"\r\n")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _FRAME_SECONDS)


def build_app(
    settings: WebSettings,
    status: Callable[[], dict[str, Any]],
    picture: Callable[[], bytes | None] | None,
    stop: asyncio.Event,
) -> web.Application:
    """The application with its routes, its guard against foreign hosts and its security headers."""
    routes = Routes(status, picture, stop)
    guard = Guard(settings.host, routes.html)

    @web.middleware
    async def admit(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        guest = request.transport.get_protocol() if request.transport is not None else None
        if isinstance(guest, Guest):
            guest.asked()
        if not guard.allows(request.headers.get("Host", "")):
            raise web.HTTPMisdirectedRequest(text="This is not the host you asked for.\n")
        return await handler(request)

    async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(guard.headers)

    app = web.Application(middlewares=[admit], client_max_size=1024)
    app.on_response_prepare.append(add_headers)
    app.router.add_get("/", routes.page)
    app.router.add_get("/api/status", routes.status)
    app.router.add_get("/healthz", routes.health)
    app.router.add_get("/live.mjpeg", routes.live, allow_head=False)
    return app


def _dumps(value: object) -> str:
    return json.dumps(value, default=str)

"""Who may be at the live page at once, and for how long: its viewers must not use up the service's files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

_log = logging.getLogger(__name__)

MAX_CONNECTIONS = 32
"""Connections at once; a further one is closed as soon as it is there. Four viewers need about ten."""
PATIENCE_SECONDS = 10.0
"""Time for a complete request; also how often is looked whether a viewer takes what it is sent."""


class Door:
    """Makes the protocols of a server's connections (`asyncio.loop.create_server` calls it), and counts them.

    `inner` makes those that do the work.
    """

    def __init__(self, inner: Callable[[], asyncio.Protocol]) -> None:
        self._inner = inner
        self._guests: set[Guest] = set()
        self._said = False
        self._closed = False

    def __call__(self) -> Guest:
        """The protocol of one more connection."""
        return Guest(self)

    def enter(self, guest: Guest) -> asyncio.Protocol | None:
        """What answers this connection; None if there are too many, or the page has ended."""
        if self._closed:
            return None
        if len(self._guests) >= MAX_CONNECTIONS:
            # once: whoever floods the page must not fill the journal
            _log.log(
                logging.DEBUG if self._said else logging.WARNING,
                "The live page has %d connections; further ones are closed at once",
                MAX_CONNECTIONS,
            )
            self._said = True
            return None
        self._guests.add(guest)
        return self._inner()

    def leave(self, guest: Guest) -> None:
        """The connection has ended."""
        self._guests.discard(guest)

    def close(self) -> None:
        """End what connections there still are, whatever they were to be sent, and let nobody in any more."""
        self._closed = True
        for guest in tuple(self._guests):
            guest.abort()


class Guest(asyncio.Protocol):
    """One connection: hands everything to its inner protocol, and ends what would never end by itself.

    That is one without a complete request (aiohttp's own limit, `keepalive_timeout`, counts for the first request
    only since September 2026), and one whose other side takes nothing any more: to close it in the usual way is to
    wait until all has been taken.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._asked = False
        self._full = False
        """The buffer of what is to be sent is full."""
        self._stuck = False
        """It was so at the last look, or the end of the connection waited for it, and nothing was taken since."""

    def asked(self) -> None:
        """To be called when a complete request has come."""
        self._asked = True

    def abort(self) -> None:
        """End the connection without sending what is buffered."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._inner = self._door.enter(self)
        if self._inner is None:
            transport.abort()
            return
        self._inner.connection_made(transport)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self._inner is not None:
            self._door.leave(self)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        self._full = True
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._full = self._stuck = False
        if self._inner is not None:
            self._inner.resume_writing()

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._look)

    def _look(self) -> None:
        transport = self._transport
        if transport is None:
            return
        stuck = self._full or transport.is_closing()
        if not self._asked or (stuck and self._stuck):
            transport.abort()
            return
        self._stuck = stuck
        self._look_later()

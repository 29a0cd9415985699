"""Tells systemd how the service is doing: READY, a status line, and that it is still alive.

The protocol is a datagram of `KEY=value` lines to the socket named in NOTIFY_SOCKET (sd_notify(3)). The PyPI
package `sdnotify` was last released in 2017 and knows neither WATCHDOG_PID nor a closed socket, so these few
lines are our own.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

logger = logging.getLogger(__name__)

STATUS_LENGTH = 200
"""Characters of a status line that `systemctl status` shows without folding it badly."""


class Notifier:
    """Sends to systemd's notification socket; without one every call does nothing. Safe from any thread."""

    def __init__(self, address: str | None = None, watchdog_timeout: float | None = None) -> None:
        """`address`: path of the socket, `@name` for an abstract one; `watchdog_timeout`: seconds."""
        self._address: str | None = None
        self._watchdog_timeout = watchdog_timeout
        self._warned = False
        if not address:
            return
        if address[0] not in "/@":
            logger.warning("NOTIFY_SOCKET %r is not a local socket: systemd is told nothing", address)
            return
        self._address = "\0" + address[1:] if address[0] == "@" else address

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """The notifier that this process' environment asks for."""
        return cls(environ.get("NOTIFY_SOCKET"), _watchdog_timeout(environ))

    @property
    def active(self) -> bool:
        """Whether anybody listens."""
        return self._address is not None

    @property
    def watchdog_timeout(self) -> float | None:
        """Seconds without a ping after which systemd ends the service; None: no watchdog."""
        return self._watchdog_timeout if self.active else None

    @property
    def watchdog_interval(self) -> float | None:
        """Seconds after which the next ping is due: half the time-out, as sd_watchdog_enabled(3) advises."""
        timeout = self.watchdog_timeout
        return None if timeout is None else timeout / 2

    def ready(self, status: str = "") -> None:
        """The service does its work from now on (perhaps degraded: say so in the status)."""
        self._send("READY=1", *_status(status))

    def status(self, text: str) -> None:
        """A line for a person, shown by `systemctl status`."""
        self._send(*_status(text))

    def stopping(self, status: str = "") -> None:
        """The service is on its way out."""
        self._send("STOPPING=1", *_status(status))

    def watchdog(self) -> None:
        """The service is alive. Call it through `ProgressWatchdog`, which knows whether that is true."""
        if self._watchdog_timeout is not None:
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._address is None or not lines:
            return
        try:
            # a socket for each message: nothing to go stale when systemd re-executes itself
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(1.0)
                sock.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)
        except OSError as error:
            # the service goes on; if systemd really can't hear it, its watchdog decides
            if not self._warned:
                logger.warning("cannot reach systemd's notification socket: %s", error)
            self._warned = True
        else:
            self._warned = False


def _status(text: str) -> tuple[str, ...]:
    line = " ".join(text.split())  # a line break would begin another KEY=value
    return (f"STATUS={line[:STATUS_LENGTH]}",) if line else ()


def _watchdog_timeout(environ: Mapping[str, str]) -> float | None:
    pid = environ.get("WATCHDOG_PID")
    if pid and pid != str(os.getpid()):
        return None  # meant for the process that started this one
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return microseconds / 1_000_000 if microseconds > 0 else None

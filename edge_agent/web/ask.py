"""Asking the service from the page's event loop without ever waiting for its locks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Question(Generic[T]):
    """A function of the service, called in a daemon thread; whoever asks meanwhile shares the answer.

    So a function that hangs costs one thread, however many viewers reload. (asyncio's own executor would be
    waited for at the end of the program.)
    """

    def __init__(self, function: Callable[[], T], timeout: float) -> None:
        self._function = function
        self._timeout = timeout
        self._pending: asyncio.Future[T | None] | None = None

    async def ask(self) -> T | None:
        """The answer; None if it takes longer than the timeout or fails."""
        if self._pending is None or self._pending.done():
            self._pending = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._call, args=(self._pending,), name="web-ask", daemon=True).start()
        try:
            return await asyncio.wait_for(asyncio.shield(self._pending), self._timeout)
        except asyncio.TimeoutError:
            _log.debug("The service did not answer the live page within %.0f s", self._timeout)
            return None

    def _call(self, future: asyncio.Future[T | None]) -> None:
        answer: T | None = None
        try:
            answer = self._function()
        except Exception:  # a bug in what the page shows must not end the page
            _log.exception("The live page could not ask the service")
        with contextlib.suppress(RuntimeError):  # the page has ended meanwhile
            future.get_loop().call_soon_threadsafe(_settle, future, answer)


def _settle(future: asyncio.Future[T | None], answer: T | None) -> None:
    if not future.done():
        future.set_result(answer)

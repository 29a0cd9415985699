"""The real chain in a process of its own, as on a device.

In the process that runs the ancestor, TensorFlow's threads and memory would be measured with it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

Play = Callable[[str], dict[str, float]]
"""Plays what is called so, and measures it."""


class Apart:
    """Runs one thing after the other in another process; while it runs, this one waits.

    Args:
        prepare: called there first; what it returns is called for every `play`. Both pickled by name.
        arguments: for `prepare`.

    Raises:
        Exception: what `prepare` raised there.
    """

    def __init__(self, prepare: Callable[..., Play], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, prepare, arguments), daemon=True)
        self._process.start()
        other.close()  # so that the end of the process is the end of the connection
        self._answer()

    def __enter__(self) -> Apart:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._process.join(10)
        self._process.kill()

    def play(self, name: str) -> dict[str, float]:
        """What the other process measured.

        Raises:
            RuntimeError: the process is gone.
            Exception: what was raised there.
        """
        found: dict[str, float] = self._answer(name)
        return found

    def _answer(self, name: str | None = None) -> Any:
        try:
            if name is not None:
                self._connection.send(name)
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join(10)
            raise RuntimeError(f"the process that was measured ended with {self._process.exitcode}") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(connection: Connection, prepare: Callable[..., Play], arguments: tuple[object, ...]) -> None:
    answer: object = None
    try:
        play = prepare(*arguments)
    except Exception as error:
        answer = error
    while True:
        try:
            connection.send(answer)
            if isinstance(answer, Exception):
                return
            name = connection.recv()
        except (EOFError, ConnectionError):  # nobody asks any more
            return
        try:
            answer = play(name)
        except Exception as error:
            answer = error

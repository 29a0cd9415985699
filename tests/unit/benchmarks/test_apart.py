"""What is measured in a process of its own is answered, and its failures are told here."""

from __future__ import annotations

import os

import pytest

from benchmarks.apart import Apart, Play
from edge_agent.errors import ModelError


def ready(offset: float) -> Play:
    def play(name: str) -> dict[str, float]:
        if name == "die":
            os._exit(3)
        if name == "fail":
            raise ModelError("no such model")
        if name == "end":
            raise EOFError("of a file that was read")
        return {"length": len(name) + offset, "process": os.getpid()}

    return play


def unready() -> Play:
    raise ModelError("run: edge-agent models fetch res10")


def test_another_process_answers() -> None:
    with Apart(ready, 1.0) as subject:
        first, second = subject.play("one"), subject.play("three")
    assert (first["length"], second["length"]) == (4.0, 6.0)
    assert first["process"] == second["process"] != os.getpid()


def test_a_failure_is_raised_here() -> None:
    with pytest.raises(ModelError, match="models fetch res10"):
        Apart(unready)
    for name, error, words in (("fail", ModelError, "no such model"), ("end", EOFError, "of a file")):
        with Apart(ready, 0.0) as subject:
            with pytest.raises(error, match=words):
                subject.play(name)
            with pytest.raises(RuntimeError, match="ended with 0"):
                subject.play("more")


def test_a_process_that_dies_is_told() -> None:
    with Apart(ready, 0.0) as subject, pytest.raises(RuntimeError, match="ended with 3"):
        subject.play("die")

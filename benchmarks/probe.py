"""Time the bare networks inside a running pipeline, whatever they are called there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import cv2

_SCALARS = (str, bytes, int, float, bool, type(None), type)


class Probe:
    """Seconds of CPU and number of the calls of every network reachable from an object.

    Each `cv2.dnn.Net` and TFLite interpreter found in its attributes, lists and dictionaries is replaced by a
    stand-in that passes everything on and times ``forward`` and ``invoke``; so does `cv2.FaceDetectorYN`'s
    ``detect``. What is left of a frame's time is the loop's own.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0
        self.networks = 0

    def install(self, root: object) -> None:
        """Replace the networks; call again after networks that are loaded late were used for the first time."""
        seen: set[int] = set()
        waiting = [root]
        while waiting:
            owner = waiting.pop()
            if id(owner) in seen or isinstance(owner, (_Timed, *_SCALARS)):
                continue
            seen.add(id(owner))
            for key, value in list(_parts(owner)):
                if _is_network(value):
                    _replace(owner, key, _Timed(value, self))
                    self.networks += 1
                elif _ours(value):
                    waiting.append(value)


class _Timed:
    """A network whose inferences are timed."""

    def __init__(self, network: Any, probe: Probe) -> None:
        self._network = network
        self._probe = probe

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._network, name)
        if name not in ("forward", "invoke", "detect"):
            return found

        def timed(*arguments: Any, **named: Any) -> Any:
            begin = time.process_time()
            try:
                return found(*arguments, **named)
            finally:
                self._probe.seconds += time.process_time() - begin
                self._probe.calls += 1

        return timed


def _is_network(value: object) -> bool:
    if isinstance(value, (cv2.dnn.Net, cv2.FaceDetectorYN)):
        return True
    return type(value).__name__ == "Interpreter" and hasattr(value, "invoke")


def _ours(value: object) -> bool:
    """Whether networks may hide in it: containers and objects of this program."""
    return isinstance(value, (list, tuple, dict)) or type(value).__module__.startswith("edge_agent")


def _parts(owner: object) -> Iterator[tuple[Any, Any]]:
    if isinstance(owner, dict):
        yield from owner.items()
    elif isinstance(owner, (list, tuple)):
        yield from enumerate(owner)
    else:
        names = set(getattr(owner, "__dict__", {}))
        for kind in type(owner).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            names.update((slots,) if isinstance(slots, str) else slots)
        for name in sorted(names):
            if hasattr(owner, name):
                yield name, getattr(owner, name)


def _replace(owner: Any, key: Any, value: object) -> None:
    if isinstance(owner, (dict, list)):
        owner[key] = value
    else:
        object.__setattr__(owner, key, value)

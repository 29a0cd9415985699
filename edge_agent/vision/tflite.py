"""The one place that chooses a TFLite runtime and talks to it."""

from __future__ import annotations

import importlib
import logging
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ModelError

_log = logging.getLogger(__name__)

RuntimeName = Literal["auto", "litert", "tflite-runtime"]

# In order of preference: LiteRT hands int8 to XNNPACK, tflite-runtime 2.14 does not and is 4 to 8 times slower.
_MODULES = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}


def available_runtimes() -> list[str]:
    """Names of the runtimes that can be imported here, the preferred one first."""
    return [name for name in _MODULES if _import(name) is not None]


class TFLiteModel:
    """A network with one input and one output.

    Raises ModelError if no runtime is installed, or the file is no TFLite network of that kind.
    """

    def __init__(
        self, path: Path, *, runtime: RuntimeName = "auto", threads: int = 1, delegate: Path | None = None
    ) -> None:
        names = list(_MODULES) if runtime == "auto" else [runtime]
        for name in names:
            module = _import(name)
            if module is not None:
                break
        else:
            raise ModelError(
                f"no TFLite runtime ({' or '.join(names)}) can be imported; "
                "run: pip install ai-edge-litert (64-bit) or pip install tflite-runtime (32-bit Pi)"
            )
        self.runtime = name
        delegates = []
        if delegate is not None:
            delegates = [_load_delegate(module, delegate)]
        try:
            self._interpreter: Any = module.Interpreter(
                model_path=str(path), num_threads=max(threads, 1), experimental_delegates=delegates
            )
            self._interpreter.allocate_tensors()
            (source,), (sink,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelError(f"{path}: not a TFLite network that {name} can run: {error}") from None
        self.input_shape: tuple[int, ...] = tuple(int(side) for side in source["shape"])
        self.input_dtype = np.dtype(source["dtype"])
        self.output_shape: tuple[int, ...] = tuple(int(side) for side in sink["shape"])
        self._input, self._output = source["index"], sink["index"]
        self.net_ms = 0.0
        """Milliseconds of the latest bare inference."""
        self._scale, self._zero = sink["quantization"]
        self._values = byte_values(np.dtype(sink["dtype"]), self._scale, self._zero)
        _log.debug("%s runs in %s with %d threads", path.name, name, threads)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """One inference. `batch` has the input's shape and dtype; the answer is float32, dequantised."""
        self._interpreter.set_tensor(self._input, batch)
        begin = time.perf_counter()
        self._interpreter.invoke()
        self.net_ms = (time.perf_counter() - begin) * 1e3
        raw = self._interpreter.get_tensor(self._output)
        answer: NDArray[np.float32]
        if self._values is not None:
            answer = self._values.take(raw.view(np.uint8))
            return answer
        answer = raw.astype(np.float32)
        if self._scale:
            answer = (answer - np.float32(self._zero)) * np.float32(self._scale)
        return answer


def byte_values(dtype: np.dtype[Any], scale: float, zero: int) -> NDArray[np.float32] | None:
    """What each byte of a quantised output of one byte stands for: to look up is quicker than to compute."""
    if not scale or dtype not in (np.uint8, np.int8):
        return None
    codes = np.arange(256, dtype=np.uint8).view(dtype).astype(np.float32)
    return (codes - np.float32(zero)) * np.float32(scale)


def _load_delegate(module: ModuleType, path: Path) -> object:
    before = sys.unraisablehook
    sys.unraisablehook = lambda _: None  # what is left of a delegate without a library prints a traceback
    try:
        return module.load_delegate(str(path))
    except (OSError, ValueError, AttributeError) as error:  # AttributeError: a library of another kind
        error.__traceback__ = None  # it holds that rest
        raise ModelError(f"vision.delegate {path}: can't be loaded: {error}") from None
    finally:
        sys.unraisablehook = before


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(_MODULES[name])
    except (ImportError, AttributeError):
        # AttributeError: tflite-runtime beside numpy 2
        return None

"""Ask for optional libraries with a sentence instead of a traceback."""

from __future__ import annotations

import importlib

from convert.errors import ConvertError


def need(*modules: str) -> None:
    """Check that ``modules`` can be imported.

    Raises:
        ConvertError: one cannot; the message says what to install.
    """
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ConvertError(f"this needs {name}: pip install 'edge-agent[convert]' ({error})") from error

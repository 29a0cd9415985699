"""What tests that train the mask network have in common."""

from __future__ import annotations

import importlib.util

import pytest

#: They take minutes, and need the training extra.
MARKS = [
    pytest.mark.convert,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None, reason="tensorflow is not installed (extra: convert)"
    ),
]


def train(*options: str, dataset: str, out: str, epochs: int) -> list[str]:
    """The command that trains a tiny network from nothing."""
    return ["train", "--dataset", dataset, "--out", out, "--weights", "none", "--epochs", str(epochs), *options]

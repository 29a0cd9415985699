"""The one exception a person is meant to read."""

from __future__ import annotations


class ConvertError(Exception):
    """A command cannot go on; the message says what is wrong and what to do about it."""

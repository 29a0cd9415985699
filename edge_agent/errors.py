"""Errors that a person is meant to read, with the exit code each one leads to."""

from __future__ import annotations

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_CONFIG = 78  # EX_CONFIG of sysexits(3); the unit does not restart on it


class EdgeAgentError(Exception):
    """Something the owner can mend: `str()` says what is wrong and what to do about it."""

    exit_code = EXIT_FAILURE


class ConfigError(EdgeAgentError):
    """The configuration can't be read or holds a value that is not allowed."""

    exit_code = EXIT_CONFIG


class ModelError(EdgeAgentError):
    """A model file is missing, altered or of the wrong shape."""

    exit_code = EXIT_CONFIG


class CameraError(EdgeAgentError):
    """A camera can't be opened or has stopped delivering; the camera thread retries."""


class InputError(EdgeAgentError):
    """A file or folder given on the command line can't be used."""

    exit_code = EXIT_USAGE

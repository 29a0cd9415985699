"""Errors that a person is meant to read, with the exit code each one leads to."""

from __future__ import annotations

import errno
from typing import TypeVar

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_CONFIG = 78  # EX_CONFIG of sysexits(3); the unit does not restart on it

_LASTING = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
)


class EdgeAgentError(Exception):
    """Something the owner can mend: `str()` says what is wrong and what to do about it."""

    exit_code = EXIT_FAILURE


_Error = TypeVar("_Error", bound=EdgeAgentError)


class ConfigError(EdgeAgentError):
    """The configuration can't be read or holds a value that is not allowed."""

    exit_code = EXIT_CONFIG


class ModelError(EdgeAgentError):
    """A model file is missing, altered or of the wrong shape."""

    exit_code = EXIT_CONFIG


def of_the_disk(error: _Error, cause: OSError) -> _Error:
    """`error`, about a file that its disk did not give: unless it is not there or closed, that may be otherwise at
    the next start, which the code of a wrong configuration would forbid."""
    if not is_lasting(cause):
        error.exit_code = EXIT_FAILURE
    return error


def is_lasting(error: OSError) -> bool:
    """Whether a file is not there, closed or none, rather than on a disk that fails."""
    return error.errno in _LASTING


class CameraError(EdgeAgentError):
    """A camera can't be opened or has stopped delivering; the camera thread retries."""


class InputError(EdgeAgentError):
    """A file or folder given on the command line can't be used."""

    exit_code = EXIT_USAGE

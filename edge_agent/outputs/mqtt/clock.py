"""What time it is, and whether to believe it: a Pi without a battery clock boots in the past."""

from __future__ import annotations

import ctypes
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UNSYNCHRONISED_US = 16_000_000


class _Timex(ctypes.Structure):
    """The head of the kernel's `struct timex` (adjtimex(2)), and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_clock_synced() -> bool:
    """Whether some time service keeps the wall clock.

    Judges as systemd's `ntp_synced()` does: by the kernel's error bound, which grows from the last correction
    on and starts at its 16 s limit, not by STA_UNSYNC, which is also set to keep the kernel off the RTC.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    timex = _Timex()  # modes 0: only read, needs no privilege
    if libc.adjtimex(ctypes.byref(timex)) < 0:
        return False
    return bool(timex.maxerror < _UNSYNCHRONISED_US)


def read_boot_id() -> str:
    """The kernel's id of this boot; a made-up one, new for each process, where there is no /proc."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Clock:
    """The clocks of the machine, as functions so that tests can make them jump."""

    wall: Callable[[], datetime]
    """Aware UTC time."""
    monotonic: Callable[[], float]
    """Seconds that never jump within a boot."""
    synced: Callable[[], bool]
    """Whether `wall` is right."""
    boot_id: str
    """Ties `monotonic` to its boot."""

    @classmethod
    def system(cls) -> Clock:
        return cls(
            wall=lambda: datetime.now(timezone.utc),
            monotonic=time.monotonic,
            synced=kernel_clock_synced,
            boot_id=read_boot_id(),
        )

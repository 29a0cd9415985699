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
_TIMESYNCD = Path("/run/systemd/timesync/synchronized")
_UNSYNCHRONISED_US = 16_000_000
_GROWTH = 500.0
"""Microseconds by which the kernel's error bound grows in a second (MAXFREQ, include/linux/timex.h)."""


class _Timex(ctypes.Structure):
    """The head of the kernel's `struct timex` (adjtimex(2)), and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_clock_synced() -> bool | None:
    """Whether some time service keeps the wall clock; None where the kernel may not be asked.

    Judges as systemd's `ntp_synced()` does: by the kernel's error bound, which grows from the last correction
    on and starts at its 16 s limit, not by STA_UNSYNC, which is also set to keep the kernel off the RTC.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    timex = _Timex()  # modes 0: only read, needs no privilege, but a sandbox may forbid the call
    if libc.adjtimex(ctypes.byref(timex)) < 0:
        return None
    return bool(timex.maxerror < _UNSYNCHRONISED_US)


def timesyncd_synced(flag: Path = _TIMESYNCD) -> bool:
    """Whether systemd-timesyncd has set the clock: it touches this file then (systemd-timesyncd.service(8)).

    After as long as the kernel's error bound takes to its limit (500 millionths of the time), it is not believed.
    """
    try:
        return time.time() - flag.stat().st_mtime < _UNSYNCHRONISED_US / _GROWTH
    except OSError:
        return False


def clock_synced() -> bool:
    """Whether the wall clock can be believed, by the kernel or, within a sandbox such as the shipped unit's, by
    systemd-timesyncd.
    """
    by_kernel = kernel_clock_synced()
    return timesyncd_synced() if by_kernel is None else by_kernel


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
            synced=clock_synced,
            boot_id=read_boot_id(),
        )

"""The lines of `edge-agent check` that concern the board."""

from __future__ import annotations

from pathlib import Path

from edge_agent import board
from edge_agent.types import CheckLine

_MEBIBYTE = 1 << 20
_FREE_WARN = 200 * _MEBIBYTE
_FREE_FAIL = 20 * _MEBIBYTE


def checks(
    state_dir: Path,
    *,
    clock_synced: bool | None = None,
    temperature_limit: float = 80.0,
    root: Path = board.ROOT,
) -> list[CheckLine]:
    """Board, temperature, throttling, power mode, clock and disk; only what this board can tell.

    `state_dir`: where the service keeps its outbox; `clock_synced`: whether a time service keeps the wall clock,
    None if unknown; `temperature_limit`: degrees Celsius from which the service slows down.
    """
    lines = [
        _board(root),
        _temperature(root, temperature_limit),
        _throttling(root),
        _power_mode(root),
        _clock(clock_synced),
        _disk(state_dir),
    ]
    return [line for line in lines if line is not None]


def _board(root: Path) -> CheckLine:
    memory = board.memory_total(root)
    size = "" if memory is None else f", {memory // _MEBIBYTE} MiB of memory"
    return CheckLine("board", "ok", f"{board.model(root) or 'no device tree: not a Pi or Jetson'}{size}")


def _temperature(root: Path, limit: float) -> CheckLine | None:
    degrees = board.temperature(root)
    if degrees is None:
        return None
    text = f"{degrees:.0f} °C (limit {limit:.0f} °C)"
    if degrees < limit:
        return CheckLine("temperature", "ok", text)
    return CheckLine("temperature", "warn", text, "add a heat sink or a fan; until then fewer frames are looked at")


def _throttling(root: Path) -> CheckLine | None:
    flags = board.throttling(root)
    if flags is None:
        return None
    power = "use a power supply of 5.1 V / 3 A (Pi 5: 5 A) and a short, thick cable"
    if flags.now:
        hint = power if "under-voltage" in flags.now else "cool the board: heat sink, fan, shade"
        return CheckLine("power", "warn", f"now: {', '.join(flags.now)}", hint)
    if "under-voltage" in flags.since_boot:
        return CheckLine("power", "warn", f"since boot: {', '.join(flags.since_boot)}", power)
    return CheckLine("power", "ok", "no under-voltage, not throttled")


def _power_mode(root: Path) -> CheckLine | None:
    if board.family(root) != "jetson":
        return None
    mode = board.power_mode()
    if mode is None:
        return CheckLine("power mode", "warn", "unknown", "run `sudo nvpmodel -q` to see it")
    if mode.upper().startswith(("5W", "7W", "10W")):
        return CheckLine(
            "power mode",
            "warn",
            mode,
            "a saving mode: list the modes with `sudo nvpmodel -p --verbose`, set with -m N",
        )
    return CheckLine("power mode", "ok", mode)


def _clock(synced: bool | None) -> CheckLine | None:
    if synced is None:
        return None
    if synced:
        return CheckLine("clock", "ok", "synchronised")
    return CheckLine(
        "clock",
        "warn",
        "not synchronised: events carry clock_synced=false until it is",
        "`timedatectl set-ntp true`, and see that a time server can be reached",
    )


def _disk(state_dir: Path) -> CheckLine:
    space = board.disk(state_dir)
    if space is None:
        return CheckLine("disk", "fail", f"{state_dir} can't be read", "see that the disk is mounted")
    if state_dir.exists() and not state_dir.is_dir():
        text = f"{state_dir} is no folder: events can't be kept while the broker is away"
        return CheckLine("disk", "fail", text, "correct service.state_dir")
    text = f"{space.free // _MEBIBYTE} MiB free for {state_dir}"
    if space.free < _FREE_FAIL:
        return CheckLine("disk", "fail", text, "free space: events can't be kept while the broker is away")
    if not space.writable:
        return CheckLine(
            "disk",
            "warn",
            f"{text}, not writable for this user",
            "run the check as root: `sudo edge-agent check -c FILE`",
        )
    if space.free < _FREE_WARN:
        return CheckLine("disk", "warn", text, "free some space, or lower mqtt.outbox.max_bytes")
    return CheckLine("disk", "ok", text)

"""What the installed service may read and write: systemd closes most of the disk to it; root does not notice."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edge_agent.commands.common import SYSTEM_CONFIG

_SECONDS = 5.0
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_READ_ONLY = {
    "strict": (Path("/"),),
    "full": (Path("/usr"), Path("/boot"), Path("/efi"), Path("/etc")),
    "yes": (Path("/usr"), Path("/boot"), Path("/efi")),
}
"""By the unit's ProtectSystem=."""


@dataclass(frozen=True, slots=True)
class Unit:
    """An installed service as systemd sees it, its drop-ins included."""

    name: str
    user: str
    state: Path
    """Its folder below /var/lib."""
    closed: tuple[Path, ...]
    """Where it may only read,"""
    opened: tuple[Path, ...]
    """but for these folders, which include the state."""
    hidden: tuple[Path, ...]
    """What it does not see at all; nothing below can be opened."""

    def complaint(self, folder: Path) -> tuple[str, str] | None:
        """Why it can't write to `folder` (absolute, links resolved), and what to do; None if it can.

        Raises OSError where one may not even look.
        """
        own = f"choose a folder below {self.state}"
        if _below(folder, self.hidden):
            return f"{self.name} does not see {folder} (ProtectHome=)", own
        give = f"`sudo install -d -o {self.user} {folder}`"
        if _below(folder, self.closed) and not _below(folder, self.opened):
            text = f"{self.name} may not write to {folder} (ProtectSystem=)"
            edit = f"`sudo systemctl edit {self.name}` with the lines [Service] and ReadWritePaths={folder}"
            return text, f"{own}; or make this one ({give}) and open it: {edit}"
        if folder.is_relative_to(self.state) and not self.state.exists():
            return None  # systemd makes it at the first start
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not _may(self.user, nearest, "-w", "-x"):
            return f"{nearest} can't be written by the user {self.user}", f"{give}, or {own}"
        return None

    def reads(self, file: Path) -> bool:
        """Whether it can read a file; true where that can't be told."""
        file = file.absolute()
        return not _below(file, self.hidden) and _may(self.user, file, "-r")


def installed_unit(config: Path | None) -> Unit | None:
    """The unit that reads this configuration; None if no unit does, none is installed, or systemd can't be asked.

    `config`: None means the unit's own.
    """
    chosen = (config or SYSTEM_CONFIG).absolute()
    if chosen.parent != SYSTEM_CONFIG.parent:
        return None
    name = "edge-agent.service" if chosen.stem == SYSTEM_CONFIG.stem else f"edge-agent@{chosen.stem}.service"
    wanted = "LoadState,User,StateDirectory,ProtectSystem,ProtectHome,ReadWritePaths"
    try:
        done = subprocess.run(
            ["systemctl", "show", f"--property={wanted}", name],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if found.get("LoadState") != "loaded":
        return None
    states = [Path("/var/lib") / state.split(":")[0] for state in found.get("StateDirectory", "").split()]
    opened = [Path(path.lstrip("-+")) for path in found.get("ReadWritePaths", "").split()]
    return Unit(
        name=name,
        user=found.get("User") or "root",
        state=(states[0] if states else Path("/var/lib/edge-agent")).resolve(),  # it may be a link to a disk
        closed=_READ_ONLY.get(found.get("ProtectSystem", ""), ()),
        opened=tuple(path.resolve() for path in (*states, *opened)),
        hidden=_HOMES if found.get("ProtectHome") in ("yes", "tmpfs") else (),
    )


def _below(folder: Path, roots: tuple[Path, ...]) -> bool:
    return any(folder.is_relative_to(root) for root in roots)


def _may(user: str, path: Path, *tests: str) -> bool:
    """Whether this user passes test(1) there, which only root can find out; true where it can't be told."""
    if os.geteuid() != 0:
        return True
    try:
        entry = pwd.getpwnam(user)
        groups = os.getgrouplist(user, entry.pw_gid)
        command = ["sh", "-c", " && ".join(f'test {test} "$1"' for test in tests), "sh", str(path)]
        done = subprocess.run(
            command, user=entry.pw_uid, group=entry.pw_gid, extra_groups=groups, timeout=_SECONDS, check=False
        )
    except (KeyError, OSError, subprocess.SubprocessError):
        return True
    return done.returncode != 1

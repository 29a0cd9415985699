"""A root file system in a folder, in which install.sh runs with a systemctl and a Python that only take notes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PLAIN = "edge-agent.service"

# A unit is up while state/active/UNIT is there, enabled while it is linked in multi-user.target.wants. A version
# whose venv holds `bad` is never READY; with `hangs` its start lasts until it is killed.
SYSTEMCTL = """\
#!/bin/bash
echo "$*" >>"$BOX/calls"
venv=$(readlink -f "$BOX/opt/edge-agent/current")
case $1 in
  list-units) cd "$BOX/active" && for unit in *; do [ ! -e "$unit" ] || echo "$unit loaded active"; done ;;
  is-active) [ -e "$BOX/active/${!#}" ] ;;
  is-enabled) [ -e "$BOX/etc/systemd/system/multi-user.target.wants/${!#}" ] ;;
  enable) ln -sf x "$BOX/etc/systemd/system/multi-user.target.wants/${!#}"
          touch "$BOX/etc/systemd/system/x" ;;
  restart)
    rm -f "$BOX/active/$2"
    if [ -e "$venv/hangs" ]; then
      echo $$ >"$BOX/hanging.new"; mv "$BOX/hanging.new" "$BOX/hanging"; exec sleep 300
    fi
    [ ! -e "$venv/bad" ] || exit 1
    touch "$BOX/active/$2" ;;
esac
"""
PYTHON = """\
#!/bin/bash
case "$1 $2" in
  "-m venv") ;;
  "-s -c") case $3 in *lgpio*) [ -e "$BOX/lgpio" ] ;; *) [ -e "$BOX/cuda" ] ;; esac; exit ;;
  "-c "*"(3, 13)"*) [ -e "$BOX/python3.13" ]; exit ;;
  *) exec "$REAL_PYTHON" "$@" ;;
esac
venv=${!#}
mkdir -p "$venv/bin" "$venv/lib/python3.11/site-packages/edge_agent"
cp -r "$BOX/assets" "$venv/lib/python3.11/site-packages/edge_agent/assets"
echo "include-system-site-packages = false" >"$venv/pyvenv.cfg"
cat >"$venv/bin/pip" <<END
#!/bin/sh
echo "\\$*" >>"$BOX/pip"
while read -r flag; do touch "$venv/\\$flag"; done <"$BOX/next"
END
printf '#!/bin/sh\\necho edge-agent 1\\n' >"$venv/bin/edge-agent"
printf '#!/bin/sh\\necho 1\\n' >"$venv/bin/python"
chmod +x "$venv"/bin/*
"""


def _heed_signals() -> None:
    """The child of a job in the background ignores SIGINT, that of nohup SIGHUP, and a shell keeps to that."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class Box:
    """A root file system in a folder, and what happened in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        for name in ("bin", "active", "wheels", "etc/systemd/system/multi-user.target.wants", "assets/systemd"):
            (folder / name).mkdir(parents=True)
        text = (ROOT / "systemd/install.sh").read_text()
        text = re.sub(r"(?<![\w./$}\"])/(opt|etc|run|usr/local|proc/device-tree)\b", rf"{folder}/\1", text)
        text = text.replace("/proc/cpuinfo", f"{folder}/cpuinfo")
        self.script = folder / "install.sh"
        self.script.write_text(text)
        (folder / "cpuinfo").touch()
        (folder / "next").touch()
        shutil.copy(ROOT / "config.yaml", folder / "assets")
        for file in (ROOT / "systemd").iterdir():
            shutil.copy(file, folder / "assets/systemd")
        self._tool("systemctl", SYSTEMCTL)
        self._tool("python", PYTHON)
        self._tool("id", "#!/bin/sh\necho 0\n")
        for name in ("systemd-sysusers", "udevadm", "journalctl", "sync"):
            self._tool(name, "#!/bin/sh\n")

    def _tool(self, name: str, text: str) -> None:
        (self.root / "bin" / name).write_text(text)
        (self.root / "bin" / name).chmod(0o755)

    def start(self, *arguments: str, umask: int = 0o022, stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        environ = {
            **os.environ,
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "BOX": str(self.root),
            "REAL_PYTHON": sys.executable,
        }
        return subprocess.Popen(
            ["bash", str(self.script), *arguments, "--wheelhouse", str(self.root / "wheels"), "--python", "python"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environ,
            umask=umask,
            preexec_fn=_heed_signals,
        )

    def run(self, *arguments: str, umask: int = 0o022) -> tuple[int, str]:
        process = self.start(*arguments, umask=umask)
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    def wheel(self, version: str, *flags: str, extras: str | None = None) -> None:
        """The wheelhouse holds this version; the venv made of it gets the flags."""
        shutil.rmtree(self.root / "wheels")
        (self.root / "wheels").mkdir()
        (self.root / f"wheels/edge_agent-{version}-py3-none-any.whl").write_text(version)
        if extras is not None:
            (self.root / "wheels/extras").write_text(extras + "\n")
        (self.root / "next").write_text("".join(f"{flag}\n" for flag in (f"version-{version}", *flags)))

    def version(self, link: str = "current") -> str:
        flags = sorted((self.root / "opt/edge-agent" / link).glob("version-*"))
        return flags[0].name.removeprefix("version-") if flags else ""

    def venvs(self) -> int:
        return len(list((self.root / "opt/edge-agent/venvs").iterdir()))

    def active(self) -> set[str]:
        return {path.name for path in (self.root / "active").iterdir()}

    def enabled(self) -> set[str]:
        return {path.name for path in self.wants.iterdir()}

    @property
    def wants(self) -> Path:
        return self.root / "etc/systemd/system/multi-user.target.wants"

    def restarted(self) -> list[str]:
        calls = (self.root / "calls").read_text().splitlines()
        return [call.split()[1] for call in calls if call.startswith("restart ")]

    def pip(self) -> str:
        return (self.root / "pip").read_text().splitlines()[-1]

"""uninstall.sh and the package's postrm as they run, their paths moved into a folder.

What a real systemd and apt make of them is shown by script/test-device.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
REAL_RM = shutil.which("rm") or "/bin/rm"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

# As the kernel has it, the contents of a mount point can be removed, but not itself.
RM = f"""\
#!/bin/sh
busy=
for path; do
  if [ -e "$BOX/mounted" ] && [ "$path" = "$BOX/var/lib/edge-agent" ]; then
    {REAL_RM} -rf "$path"/*
    echo "rm: cannot remove '$path': Device or resource busy" >&2
    busy=1
  fi
done
[ -z "$busy" ] || exit 1
exec {REAL_RM} "$@"
"""
TOOLS = {
    "rm": RM,
    "mountpoint": '#!/bin/sh\n[ -e "$BOX/mounted" ] && [ "$2" = "$BOX/var/lib/edge-agent" ]\n',
    "systemctl": "#!/bin/sh\n",
    "udevadm": "#!/bin/sh\n",
    "id": "#!/bin/sh\necho 0\n",
    "getent": "#!/bin/sh\n",
    "userdel": '#!/bin/sh\necho "$1" >>"$BOX/users"\n',
    "groupdel": '#!/bin/sh\necho "$1" >>"$BOX/groups"\n',
}


def postrm() -> str:
    text = (ROOT / "script/build-deb").read_text()
    found = re.search(r"DEBIAN/postrm\" <<'EOC'\n(.*?)^EOC$", text, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


class Box:
    """A root file system in a folder, with edge-agent installed and an event not yet delivered."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.state = folder / "var/lib/edge-agent"
        for name in ("bin", "etc/edge-agent", "etc/systemd/system/multi-user.target.wants", "opt/edge-agent"):
            (folder / name).mkdir(parents=True)
        (self.state / "outbox").mkdir(parents=True)
        (self.state / "outbox/event").touch()
        (self.state / ".switches").touch()
        for name, text in TOOLS.items():
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)

    def run(self, shell: str, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        text = re.sub(r"(?<![\w./$}\"])/(opt|etc|run|var/lib|usr/local)\b", rf"{self.root}/\1", text)
        (self.root / "script").write_text(text)
        environ = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}", "BOX": str(self.root)}
        command = [shell, str(self.root / "script"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=60)

    def uninstall(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("bash", (ROOT / "systemd/uninstall.sh").read_text(), "--yes", *arguments)

    def purge(self) -> subprocess.CompletedProcess[str]:
        return self.run("sh", postrm(), "purge")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.mark.parametrize("how", ["uninstall", "purge"])
def test_nothing_is_left(box: Box, how: str) -> None:
    done = getattr(box, how)()
    assert done.returncode == 0, done.stderr
    assert not box.state.exists()
    assert not (box.root / "etc/edge-agent").exists()
    assert (box.root / "users").read_text() == (box.root / "groups").read_text() == "edge-agent\n"


@pytest.mark.parametrize("how", ["uninstall", "purge"])
def test_a_state_folder_that_is_a_mount_is_emptied_and_the_user_goes(box: Box, how: str) -> None:
    (box.root / "mounted").touch()
    done = getattr(box, how)()
    assert done.returncode == 0, done.stderr
    assert list(box.state.iterdir()) == []
    assert (box.root / "users").read_text() == (box.root / "groups").read_text() == "edge-agent\n"


def test_what_is_kept_is_not_emptied(box: Box) -> None:
    (box.root / "mounted").touch()
    done = box.uninstall("--keep-state")
    assert done.returncode == 0, done.stderr
    assert (box.state / "outbox/event").exists()
    assert not (box.root / "users").exists()


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_has_nothing_to_say_of_what_the_package_runs() -> None:
    done = subprocess.run(["shellcheck", "-"], input=postrm(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

"""Makes another wheel of a wheel: a newer version, and one that never becomes READY.

usage: rewheel.py WHEEL VERSION FOLDER [--broken]
"""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

BROKEN = b"""
def _hang(options: object) -> int:
    import time
    time.sleep(3600)
    return 1

run = _hang
"""


def rewheel(wheel: Path, version: str, folder: Path, *, broken: bool = False) -> Path:
    """Write `wheel` as `version` into `folder`; `broken`: its `run` command sleeps and never says READY."""
    name, old = wheel.name.split("-")[:2]
    target = folder / wheel.name.replace(f"-{old}-", f"-{version}-", 1)
    record: list[str] = []
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for entry in source.infolist():
            path = entry.filename.replace(f"{name}-{old}.", f"{name}-{version}.", 1)
            if path.endswith("/RECORD"):
                continue
            data = source.read(entry)
            if path.endswith(".dist-info/METADATA"):
                data = data.replace(f"\nVersion: {old}\n".encode(), f"\nVersion: {version}\n".encode(), 1)
            elif path == "edge_agent/__init__.py":
                data = data.replace(f'"{old}"'.encode(), f'"{version}"'.encode(), 1)
            elif broken and path == "edge_agent/commands/run.py":
                data += BROKEN
            out.writestr(path, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(data)}")
        listing = f"{name}-{version}.dist-info/RECORD"
        out.writestr(listing, "\n".join([*record, f"{listing},,", ""]))
    return target


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--broken"]
    if len(arguments) != 3:
        sys.exit(__doc__)
    Path(arguments[2]).mkdir(parents=True, exist_ok=True)
    print(rewheel(Path(arguments[0]), arguments[1], Path(arguments[2]), broken="--broken" in sys.argv))

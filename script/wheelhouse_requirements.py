"""Prints what a wheel needs on another machine, one requirement a line, without markers.

usage: wheelhouse_requirements.py WHEEL PYTHON_VERSION MACHINE [EXTRA,EXTRA]

`pip download --python-version --platform` chooses files for the other machine, but judges markers such as
`python_version < "3.12"` by the Python that runs it. So they are judged here. The markers of what the requirements
need in their turn remain pip's.
"""

from __future__ import annotations

import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

try:
    from packaging.requirements import Requirement
except ImportError:
    from pip._vendor.packaging.requirements import Requirement


def requirements(wheel: Path, python: str, machine: str, extras: list[str]) -> list[str]:
    """The requirements of `wheel` that hold on Linux on `machine` with CPython `python` (3.11 or 3.11.2)."""
    full = python if python.count(".") > 1 else f"{python}.0"
    target = {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": ".".join(full.split(".")[:2]),
        "sys_platform": "linux",
    }
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    known = metadata.get_all("Provides-Extra") or []
    for extra in extras:
        if extra not in known:
            raise SystemExit(f"no extra {extra}: there are {', '.join(known) or 'none'}")
    found = []
    for line in metadata.get_all("Requires-Dist") or []:
        requirement = Requirement(line)
        marker, requirement.marker = requirement.marker, None
        if marker is None or any(marker.evaluate({**target, "extra": extra}) for extra in ("", *extras)):
            found.append(str(requirement))
    return found


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    chosen = [extra.strip() for extra in "".join(sys.argv[4:]).split(",") if extra.strip()]
    print("\n".join(requirements(Path(sys.argv[1]), sys.argv[2], sys.argv[3], chosen)))

"""What an export prints for ``models/manifest.yaml``."""

from __future__ import annotations

import hashlib
from pathlib import Path


def entry(name: str, *files: Path) -> str:
    """The lines of a model's entry that its files decide: their names, hashes and sizes in bytes; YAML."""
    lines = [f"  - name: {name}", "    files:"]
    for file in files:
        data = file.read_bytes()
        lines += [f"      - file: {file.name}", f"        sha256: {hashlib.sha256(data).hexdigest()}"]
        lines += [f"        size: {len(data)}"]
    return "".join(f"{line}\n" for line in lines)

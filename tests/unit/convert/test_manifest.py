"""The lines that exports print for the manifest."""

from __future__ import annotations

from pathlib import Path

import yaml

from convert.manifest import entry
from edge_agent.vision.manifest import read
from edge_agent.vision.store import bundled_directory


def test_an_entry_says_of_the_files_what_the_manifest_says_of_them() -> None:
    shipped = bundled_directory()
    for model in read(shipped).models:
        if not model.bundled:
            continue
        paths: list[Path] = [shipped / file.file for file in model.files]
        (printed,) = yaml.safe_load(entry(model.name, *paths))
        files = [{"file": file.file, "sha256": file.sha256, "size": file.size} for file in model.files]
        assert printed == {"name": model.name, "files": files}

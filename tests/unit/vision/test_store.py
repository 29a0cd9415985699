"""The model store refuses what is missing or altered, and says how to mend it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from edge_agent.errors import EXIT_CONFIG, ModelError
from edge_agent.vision.store import ModelStore, bundled_directory

CONTENT = b"weights"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    source = tmp_path / "origin.bin"
    source.write_bytes(CONTENT)
    models = tmp_path / "models"
    models.mkdir()
    digest = hashlib.sha256(CONTENT).hexdigest()
    blob = hashlib.sha1(b"blob 7\0" + CONTENT).hexdigest()
    entry = {"role": "face", "licence": "CC0", "source": "made here"}
    manifest = {
        "models": [
            {
                "name": "fetched",
                "bundled": False,
                "files": [{"file": "f.bin", "sha256": digest, "fetch": [{"url": source.as_uri()}]}],
                **entry,
            },
            {
                "name": "by_git",
                "bundled": False,
                "files": [{"file": "g.bin", "git_blob_sha1": blob, "fetch": [{"url": source.as_uri()}]}],
                **entry,
            },
            {"name": "bundled", "bundled": True, "files": [{"file": "b.bin", "sha256": digest}], **entry},
            {
                "name": "swapped",
                "bundled": False,
                "files": [{"file": "s.bin", "sha256": "0" * 64, "fetch": [{"url": source.as_uri()}]}],
                **entry,
            },
        ]
    }
    (models / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    return models


def test_a_missing_model_names_file_hash_and_command(directory: Path) -> None:
    with pytest.raises(ModelError) as raised:
        ModelStore(directory).paths("fetched")
    message = str(raised.value)
    for part in ("f.bin", hashlib.sha256(CONTENT).hexdigest(), "found no file", "edge-agent models fetch fetched"):
        assert part in message
    assert raised.value.exit_code == EXIT_CONFIG


def test_an_altered_model_names_both_hashes(directory: Path) -> None:
    (directory / "b.bin").write_bytes(b"other")
    with pytest.raises(ModelError) as raised:
        ModelStore(directory).paths("bundled")
    assert hashlib.sha256(CONTENT).hexdigest() in str(raised.value)
    assert hashlib.sha256(b"other").hexdigest() in str(raised.value)
    assert "install edge-agent again" in str(raised.value)


@pytest.mark.parametrize("name", ["fetched", "by_git"])
def test_fetching_mends_a_missing_and_an_altered_file(directory: Path, name: str) -> None:
    store = ModelStore(directory)
    assert store.fetch(name)[0].read_bytes() == CONTENT
    (path,) = store.paths(name)
    path.write_bytes(CONTENT[:3])
    with pytest.raises(ModelError, match="altered or truncated"):
        store.paths(name)
    store.fetch(name)
    assert store.paths(name) == (path,)
    assert store.fetch(name) == []


def test_a_source_that_delivers_another_file_is_refused(directory: Path) -> None:
    with pytest.raises(ModelError, match="delivered another file"):
        ModelStore(directory).fetch("swapped")
    assert not (directory / "s.bin").exists()
    assert {path.name for path in directory.iterdir()} == {"manifest.yaml"}


def test_an_unknown_model_names_the_known(directory: Path) -> None:
    with pytest.raises(ModelError, match="fetched, by_git"):
        ModelStore(directory).paths("none")


@pytest.mark.parametrize("text", [None, "", "models: 3", "models: [{name: x}]", "a: ["])
def test_a_broken_manifest_is_a_model_error(directory: Path, text: str | None) -> None:
    path = directory / "manifest.yaml"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ModelError, match=r"manifest\.yaml"):
        ModelStore(directory)


def test_what_comes_with_the_program_is_unaltered() -> None:
    states = [state for state in ModelStore(bundled_directory()).states() if state.bundled]
    assert states
    assert [state.problem for state in states] == [None] * len(states)

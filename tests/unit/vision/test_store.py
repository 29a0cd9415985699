"""The model store refuses what is missing or altered, and says how to mend it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import socket
import threading
from pathlib import Path

import pytest
import yaml

from edge_agent.errors import EXIT_CONFIG, EXIT_FAILURE, ModelError
from edge_agent.vision.faces import res10
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


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nweights",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[bad/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://a..b/x\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
    ids=["ends in a chunk", "ends early", "no HTTP", "no address", "no host", "nothing"],
)
def test_after_a_server_that_answers_nonsense_the_next_origin_is_tried(directory: Path, answer: bytes) -> None:
    path = directory / "manifest.yaml"
    manifest = yaml.safe_load(path.read_text())
    origins = manifest["models"][0]["files"][0]["fetch"]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):  # who asked, or the test, has left
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(10_000)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        bad = {"url": f"http://127.0.0.1:{server.getsockname()[1]}/f.bin"}
        manifest["models"][0]["files"][0]["fetch"] = [bad]
        path.write_text(yaml.safe_dump(manifest))
        if not answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Length"):
            with pytest.raises(ModelError, match=r"f\.bin could not be fetched"):
                ModelStore(directory).fetch("fetched")
        manifest["models"][0]["files"][0]["fetch"] = [bad, *origins]
        path.write_text(yaml.safe_dump(manifest))
        assert ModelStore(directory).fetch("fetched")[0].read_bytes() == CONTENT


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


@pytest.fixture
def installed(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A program as the installer lays it out, with its models inside; `ModelStore`'s arguments."""
    prefix = tmp_path / "opt"
    package = prefix / "venvs" / "1" / "lib" / "python3" / "site-packages" / "edge_agent"
    package.mkdir(parents=True)
    directory.rename(package / "models")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return {"package": package, "prefix": prefix, "shared": tmp_path / "var" / "models"}


def test_what_an_installed_program_fetches_outlives_its_version(
    installed: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o077)
    try:
        (path,) = ModelStore(**installed).fetch("fetched")
    finally:
        os.umask(before)
    assert path == installed["shared"] / "f.bin"
    assert path.stat().st_mode & 0o777 == 0o644, "the service is another user"
    assert path.parent.stat().st_mode & 0o777 == 0o755
    # the next version, in the service of another instance
    package = Path(str(installed["package"]).replace("venvs/1", "venvs/2"))
    package.parent.mkdir(parents=True)
    installed["package"].rename(package)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "var" / "back-door"))
    assert ModelStore(**{**installed, "package": package}).paths("fetched") == (path,)


def test_an_altered_copy_hides_no_sound_one(installed: dict[str, Path]) -> None:
    (installed["package"] / "models" / "f.bin").write_bytes(b"torn")
    store = ModelStore(**installed)
    with pytest.raises(ModelError, match="altered or truncated"):
        store.paths("fetched")
    (path,) = store.fetch("fetched")
    assert store.paths("fetched") == (path,)


def test_who_may_not_fetch_for_the_service_is_told_how(
    installed: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed["shared"].parent.write_text("in the way")
    with pytest.raises(ModelError, match="sudo edge-agent models fetch"):
        ModelStore(**installed).fetch("fetched")
    # The state belongs to the service's user, and others may not even look into it.
    real = Path.is_file

    def is_file(path: Path) -> bool:
        if path.is_relative_to(installed["shared"]):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    with pytest.raises(ModelError, match="found no file"):
        ModelStore(**installed).paths("fetched")


def test_elsewhere_nothing_goes_to_the_systems_folder(installed: dict[str, Path], tmp_path: Path) -> None:
    elsewhere = {**installed, "prefix": tmp_path / "other"}
    assert ModelStore(**elsewhere).fetch("fetched") == [installed["package"] / "models" / "f.bin"]


def test_a_model_with_other_files_than_its_network_has_is_refused(directory: Path) -> None:
    store = ModelStore(directory)
    store.fetch("fetched")
    assert store.paths("fetched", ".bin") == store.paths("fetched")
    with pytest.raises(ModelError, match=r"manifest\.yaml: fetched must have .*not f\.bin"):
        store.paths("fetched", ".prototxt", ".caffemodel")
    with pytest.raises(ModelError, match=r"not f\.bin"):
        store.paths("fetched", ".bin", ".bin")


def test_every_model_has_a_card_and_says_what_it_is_fed() -> None:
    manifest = ModelStore().manifest
    for entry in manifest.models:
        assert entry.card is not None and entry.input is not None, entry.name
        assert (bundled_directory() / entry.card).is_file()
    fed = manifest.get("res10").input
    assert fed is not None
    assert (fed.width, fed.height, fed.mean) == (res10.SIDE, res10.SIDE, res10.MEAN)


def test_a_disk_that_fails_is_no_missing_file(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "b.bin").write_bytes(CONTENT)

    def fails(path: Path, *_: object, **__: object) -> os.stat_result:
        raise OSError(errno.EIO, "Input/output error", str(path))

    store = ModelStore(directory)
    monkeypatch.setattr(Path, "stat", fails)
    monkeypatch.setattr(Path, "open", fails)
    with pytest.raises(ModelError, match=r"b\.bin: can't be read \(Input/output error\): start again") as raised:
        store.paths("bundled")
    assert raised.value.exit_code == EXIT_FAILURE

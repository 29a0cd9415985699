"""What the sections of the configuration are made of: the frozen model, and values that several of them hold."""

from __future__ import annotations

import ipaddress
import re
from datetime import time
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0, le=86_400.0)]
PositiveSeconds = Annotated[float, Field(gt=0.0, le=86_400.0)]
Point = tuple[Fraction, Fraction]

_TIME = r"^(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?$"


def _time_of_day(value: object) -> object:
    """Let only the hands of a clock through. Raises ValueError.

    Left to itself, pydantic takes 22 for 22 seconds after midnight and 2200 for 36 minutes, and keeps a zone, with
    which no local time can be compared.
    """
    plain = isinstance(value, time) and value.tzinfo is None
    if plain or (isinstance(value, str) and re.fullmatch(_TIME, value)):
        return value
    raise ValueError('write the local time in hours and minutes, as "22:00", without a zone')


TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day),
    WithJsonSchema({"type": "string", "pattern": _TIME, "title": "Time of day"}),
]
"""JSON Schema's own format of a time demands a zone, which is refused here."""


def _local_path(path: Path) -> Path:
    """`~` as a shell would read it. Raises ValueError."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("whose home ~ stands for is not known here; write the whole path") from None


LocalPath = Annotated[Path, AfterValidator(_local_path)]


def _host(value: str) -> str:
    """A name or an address, and nothing that belongs elsewhere. Raises ValueError, which quotes none of it."""
    if "://" in value or "@" in value:
        raise ValueError("write the host's name or address alone: port, user and password have places of their own")
    if ":" in value:
        try:
            ipaddress.IPv6Address(value)
        except ValueError:
            raise ValueError("write the host's name or address alone, and its port as `port:`") from None
    if re.search(r"\s|/", value):
        raise ValueError("no host has such a name")
    return value


Host = Annotated[str, AfterValidator(_host)]


class Section(BaseModel):
    """A part of the configuration: can't be changed once read, and knows every key it may hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_the_default(cls, values: object) -> object:
        """`gender:` with all its lines commented out is a null in YAML: the section has its defaults, a list that
        may be empty is so."""
        if not isinstance(values, dict):
            return values
        empty = {key for key, value in values.items() if value is None and _may_be_left_empty(cls, key)}
        return {key: value for key, value in values.items() if key not in empty}

    @field_validator("*", mode="before")
    @classmethod
    def _no_number_is_true(cls, value: object, info: ValidationInfo) -> object:
        """Python's `True` is a 1, but `port: true` is a slip. Raises ValueError."""
        if isinstance(value, bool) and info.field_name and not _may_be_bool(cls, info.field_name):
            raise ValueError("true and false are no value here")
        return value


def _may_be_left_empty(section: type[Section], name: object) -> bool:
    field = section.model_fields.get(name) if isinstance(name, str) else None
    if field is None:
        return False
    return field.default == () or (isinstance(field.annotation, type) and issubclass(field.annotation, Section))


def _may_be_bool(section: type[Section], name: str) -> bool:
    return section.model_fields[name].annotation in (bool, time)  # a time of day has words of its own

"""Reading config.yaml: every complaint names file, line, field, the value found and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from edge_agent.config import Settings
from edge_agent.errors import ConfigError, of_the_disk

_BELONG_ELSEWHERE = {
    ("mqtt", "password"): ": passwords do not belong here, write it into /etc/edge-agent/mqtt_password "
    "(sudoedit) and set mqtt.username alone",
}
_SECRET_FIELDS = ("password", "secret", "token")
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_CORE: tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...] = (
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), tuple("tTfF")),
    ("int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), tuple("-+0123456789")),
    ("float", re.compile(f"^(?:{_FLOAT})$"), tuple("-+.0123456789")),
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ("", *"~nN")),
)
"""Tag, pattern and possible first characters of the plain scalars that are not text."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#1032-tag-resolution), without aliases.

    PyYAML follows 1.1, in which the key `on` of a buzzer pattern is a truth value and 22:00 is 1320. An alias
    has no use in this file, and one that holds itself would never end.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and form that PyYAML looks for
        first: [(f"tag:yaml.org,2002:{tag}", pattern) for tag, pattern, firsts in _CORE if first in firsts]
        for first in ["", *"~ntfNTF-+.0123456789"]
    }

    unfit: yaml.Node | None = None
    """The innermost node of which no value could be made."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None,
                None,
                "aliases (*name) are not supported here",
                self.peek_event().start_mark,  # type: ignore[no-untyped-call] # so in types-PyYAML
            )
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """PyYAML's constructors know only some of the texts that do not fit a tag such as !!float before them."""
        try:
            return super().construct_object(node, deep)
        except yaml.constructor.ConstructorError:
            self.unfit = self.unfit or node
            raise
        except (AttributeError, LookupError, ArithmeticError, ValueError):
            self.unfit = self.unfit or node
            raise yaml.constructor.ConstructorError(
                None, None, "the value does not fit the tag (!!…) before it", node.start_mark
            ) from None


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    """PyYAML's own follows 1.1 here too, in which 017 is 15 and 01883 is an error."""
    text = loader.construct_scalar(node)
    try:
        if text.startswith("0o"):
            return int(text[2:], 8)
        return int(text, 16 if text.startswith("0x") else 10)
    except ValueError:
        raise yaml.constructor.ConstructorError(
            None, None, "not a whole number such as 17, 0x11 or 0o21", node.start_mark
        ) from None


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def load(path: Path) -> Settings:
    """Read and validate a configuration file.

    Raises ConfigError if the file is missing, is not YAML or holds anything that is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file. Copy the commented example config.yaml there, or name another with -c FILE."
        ) from None
    except OSError as error:
        raise of_the_disk(ConfigError(f"{path}: can't be read: {error}"), error) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: can't be read: {error}") from None
    return parse(text, str(path))


def parse(text: str, name: str) -> Settings:
    """Validate the YAML text of a configuration; `name` stands for the file in errors (ConfigError)."""
    node, loader = None, None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        way = _way(node, loader.unfit) if loader is not None and loader.unfit is not None else None
        field = f": {'.'.join(way)}" if way else ""
        raise ConfigError(f"{name}{line}{field}: not YAML: {error.problem or error.context}") from None
    except RecursionError:
        raise ConfigError(f"{name}: not YAML: nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{name}: not YAML: {error}") from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        found = _show(data) or "something else"
        raise ConfigError(f"{name}, line 1: expected sections such as 'camera:', found {found}")
    _refuse_duplicates(node, name)
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(_complaint(detail, node, name) for detail in error.errors())) from None


def _complaint(detail: Any, node: yaml.Node | None, name: str) -> str:
    location = tuple(detail["loc"])
    line, known = _line(node, location)
    field = ".".join(_key(part) for part in location[:known]) or "(top level)"
    if detail["type"] == "extra_forbidden":
        advice = _BELONG_ELSEWHERE.get(location, "")
        return f"{name}, line {line}: {field}: unknown key{advice}; allowed here: {_allowed(location[:-1])}"
    secret = any(word in field for word in _SECRET_FIELDS)
    shown = None if secret or detail["type"] == "missing" else _show(detail["input"])
    value = "" if shown is None else f" (found {shown})"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{name}, line {line}: {field}: {message}{value}"


def _way(node: yaml.Node | None, wanted: yaml.Node) -> list[str] | None:
    """The keys that lead from `node` to the very node `wanted`; None if it is not below."""
    if node is wanted:
        return []
    steps: list[tuple[str, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        steps = [(_key(key.value), value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        steps = [(str(index), child) for index, child in enumerate(node.value)]
    for step, child in steps:
        rest = _way(child, wanted)
        if rest is not None:
            return [step, *rest]
    return None


def _old_word(key: yaml.Node) -> str | None:
    """What a truth value as a key was in YAML 1.1, as `edge_agent.config.Pattern` takes it."""
    if key.tag != "tag:yaml.org,2002:bool":
        return None
    return "on" if key.value.lower() == "true" else "off"


def _line(node: yaml.Node | None, location: tuple[int | str, ...]) -> tuple[int, int]:
    """Line (from 1) of the deepest part of `location` that the file holds, and how many parts that is."""
    line, known = 1, 0
    for part in location:
        if isinstance(node, yaml.MappingNode):
            entry = next((pair for pair in node.value if str(part) in (pair[0].value, _old_word(pair[0]))), None)
            if entry is None:
                break
            line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
        known += 1
    # A missing key is named whole: the file can't hold it.
    return line, max(known, 1 if location else 0)


def _allowed(location: tuple[int | str, ...]) -> str:
    model: Any = Settings
    for part in location:
        if isinstance(part, int):
            break
        model = model.model_fields[part].annotation
    fields = getattr(model, "model_fields", None)
    return ", ".join(fields) if fields else "(see `edge-agent schema`)"


def _refuse_duplicates(node: yaml.Node | None, name: str) -> None:
    """YAML lets a later key silently win over an earlier one; an installer never means that."""
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _refuse_duplicates(child, name)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            first = seen[key.value]
            raise ConfigError(f"{name}, line {line}: {_key(key.value)}: given twice, first in line {first}")
        seen[key.value] = line
        _refuse_duplicates(value, name)


def _key(part: object) -> str:
    return "(an address)" if "://" in str(part) else str(part)


def _show(value: object) -> str | None:
    """A value as it may be repeated: none of an address, or of what may hold one, for its password."""
    if not isinstance(value, str | int | float | None):
        return None
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        return None
    if "://" in text or "@" in text:
        return None
    return text if len(text) <= 60 else text[:57] + "..."

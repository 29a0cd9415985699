"""The house keeps its rooms: nobody imports what is not theirs to know."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2] / "edge_agent"
EVERYBODY = {"config", "types", "errors"}
ROOMS = {"camera", "vision", "people", "violations", "outputs", "service", "web"}
FILES = {"films", "photos"}
MAY_IMPORT: dict[str, set[str]] = {
    "config": {"config_fields"},
    "config_fields": set(),
    "config_file": {"config", "errors"},
    "errors": set(),
    "types": set(),
    "camera": EVERYBODY | FILES,
    "vision": EVERYBODY,
    "people": EVERYBODY,
    "violations": EVERYBODY,
    "board": set(),
    "files": set(),
    "films": {"errors"},
    "photos": {"errors", "types"},
    "outputs": EVERYBODY | {"board", "files"},
    "service": EVERYBODY | {"board", "files"},
    "web": EVERYBODY | {"service"},
    "demo": EVERYBODY,
    "annotate": {"types"},
    # What joins the rooms: each knows those it joins, and none of them knows `agent`.
    "chain": EVERYBODY | {"vision", "people", "violations"},
    "vision_worker": EVERYBODY | {"chain", "camera", "outputs", "service"},
    "status": {"camera", "outputs", "service"},
    "detection": EVERYBODY | {"chain", "annotate", "vision"} | FILES,
    "agent": EVERYBODY | ROOMS | {"board", "chain", "vision_worker", "status"},
    "bench": EVERYBODY | {"agent", "board", "camera", "chain", "films", "outputs"},
    "commands": EVERYBODY | ROOMS | {"agent", "bench", "chain", "config_file", "demo", "detection"} | FILES,
    "cli": {"commands", "errors"},
}
#: The package itself, `python -m edge_agent`, and what is no code.
NO_ROOMS = {"__init__", "__main__"}


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    package = ("edge_agent", *path.relative_to(HOUSE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names = [module] if module != "edge_agent" else [f"edge_agent.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("edge_agent.")}
    return rooms - {"__version__"}


def test_every_room_has_its_rule() -> None:
    assert {room_of(path) for path in HOUSE.rglob("*.py")} - NO_ROOMS == set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_no_other(room: str) -> None:
    files = [path for path in HOUSE.rglob("*.py") if room_of(path) == room]
    assert files
    for path in files:
        strangers = imported_rooms(path) - MAY_IMPORT[room] - {room}
        assert not strangers, f"{path.relative_to(HOUSE)} imports {', '.join(sorted(strangers))}"


def test_the_service_never_imports_the_workshop() -> None:
    for path in HOUSE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                module = getattr(node, "module", None) or ""
                names = [module, *(alias.name for alias in node.names)]
                assert not any(name.split(".")[0] in ("convert", "tensorflow", "torch", "keras") for name in names)

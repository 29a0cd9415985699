"""Errors that a person can mend end in one line and exit code 2, not in a traceback."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from convert import cli
from convert.errors import ConvertError
from edge_agent.errors import ModelError


def _fail(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConvertError("the set is empty"), "the set is empty"),
        (ModelError("net: altered"), "net: altered"),
        (PermissionError(13, "Permission denied", "/data/x.json"), "/data/x.json: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("unable to open"), "unable to open"),
    ],
)
def test_an_error_in_words(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    parser.set_defaults(run=_fail(error), verbose=False)
    monkeypatch.setattr(cli, "build_parser", lambda: parser)
    assert cli.main([]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


def test_a_mistake_in_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = argparse.ArgumentParser()
    parser.set_defaults(run=_fail(ValueError("a slip")), verbose=False)
    monkeypatch.setattr(cli, "build_parser", lambda: parser)
    with pytest.raises(ValueError, match="a slip"):
        cli.main([])


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate-gender", "--utkface"],
        ["evaluate-gender", "--cache", "none", "--dataset"],
        ["evaluate-faces", "--scenes"],
    ],
)
def test_a_missing_model_folder_is_a_line(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from convert.faces import records as scenes
    from convert.gender import records, utkface

    monkeypatch.setattr(utkface, "read", lambda folder: [])
    monkeypatch.setattr(records, "load_faces", lambda dataset, cache: None)
    monkeypatch.setattr(scenes, "evaluation_scenes", lambda folder, everything: [])
    assert cli.main([*command, str(tmp_path), "--models", str(tmp_path / "none")]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "none/manifest.yaml" in said

"""Numbers out of bounds and places where nothing can be written are refused, in words."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from convert.arguments import check_file, check_folder, share
from convert.errors import ConvertError


@pytest.mark.parametrize("text", ["0", "0.96", "1"])
def test_a_share_is_from_0_to_1(text: str) -> None:
    assert share(text) == float(text)


@pytest.mark.parametrize("text", ["-0.1", "1.01", "96", "nan", "inf"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no share"):
        share(text)


def test_a_file_needs_its_folder_unless_that_is_made(tmp_path: Path) -> None:
    check_file(tmp_path / "new.json")
    check_file(Path("/dev/stdout"))
    deep = tmp_path / "none" / "deeper" / "new.json"
    with pytest.raises(ConvertError, match=r"no folder .*deeper; make it first"):
        check_file(deep)
    check_file(deep, makes_folder=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file_and_a_file_is_no_folder(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    check_folder(tmp_path / "none" / "deeper")
    with pytest.raises(ConvertError, match="is a folder"):
        check_file(tmp_path)
    for path in (taken, taken / "plots"):
        with pytest.raises(ConvertError, match="taken is no folder"):
            check_folder(path)
    for makes in (False, True):
        with pytest.raises(ConvertError, match="taken"):
            check_file(taken / "new.json", makes_folder=makes)


def test_what_is_closed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.json").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    for path in (tmp_path / "new.json", tmp_path / "old.json"):
        with pytest.raises(ConvertError, match=f"{path.name} can't be written"):
            check_file(path)
    with pytest.raises(ConvertError, match="plots can't be written"):
        check_folder(tmp_path / "plots")

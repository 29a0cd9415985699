"""The cache of a training: used again for the same dataset alone, and whole or not there."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from convert.mask import cache, patches

from .test_mask_data import make_dataset


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts how often the patches are cut."""
    calls: list[int] = []
    build = patches.build

    def counted(*arguments: object) -> patches.PatchSet:
        calls.append(1)
        return build(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(patches, "build", counted)
    return calls


def test_it_is_cut_once_and_again_for_another_dataset(
    tmp_path: Path, built: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    out, one, two = tmp_path / "out", make_dataset(tmp_path / "one"), make_dataset(tmp_path / "two", per_class=3)
    assert len(cache.patches_for(out, one)) == 24
    assert len(cache.patches_for(out, one)) == 24
    assert len(built) == 1
    with caplog.at_level(logging.WARNING):
        assert len(cache.patches_for(out, two)) == 9
    assert len(built) == 2
    assert "another dataset" in caplog.text
    lines = (tmp_path / "two" / "faces.jsonl").read_text().splitlines()
    moved = json.loads(lines[0])
    moved["faces"][0]["box"][0] += 2
    (tmp_path / "two" / "faces.jsonl").write_text("\n".join([json.dumps(moved), *lines[1:]]))
    cache.patches_for(out, two)
    assert len(built) == 3


def test_one_without_a_stamp_is_cut_again(tmp_path: Path, built: list[int]) -> None:
    dataset = make_dataset(tmp_path)
    cache.patches_for(tmp_path / "out", dataset)
    (tmp_path / "out" / "doubted.json").write_text("[3]")
    (tmp_path / "out" / "faces" / "stamp").unlink()
    cache.patches_for(tmp_path / "out", dataset)
    assert len(built) == 2
    assert (tmp_path / "out" / "doubted.json").is_file()  # they are the same faces after all


def test_doubts_about_other_faces_are_forgotten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    cache.patches_for(out, make_dataset(tmp_path / "one"))
    (out / "doubted.json").write_text("[3]")
    cache.patches_for(out, make_dataset(tmp_path / "two", per_class=3))
    assert not (out / "doubted.json").exists()


def test_a_stopped_cut_leaves_no_half_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, one, two = tmp_path / "out", make_dataset(tmp_path / "one"), make_dataset(tmp_path / "two", per_class=3)
    cache.patches_for(out, one)
    cut, done = patches.cut, []

    def stopping(*arguments: object) -> object:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(1)
        return cut(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(patches, "cut", stopping)
        with pytest.raises(KeyboardInterrupt):
            cache.patches_for(out, two)
    assert len(patches.load(out / "faces")) == 24
    assert len(cache.patches_for(out, two)) == 9

"""Files that describe photos: what is wrong in one is said with its name and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert import tables
from convert.errors import ConvertError


def test_rows_have_every_cell_and_no_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("file,label\na.jpg\nb.jpg,x,beyond\n", encoding="utf-8-sig")
    assert tables.rows(path, ("file",)) == [{"file": "a.jpg", "label": ""}, {"file": "b.jpg", "label": "x"}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"photo,class\na.jpg,1\n", "line 1: no column file"),
        (b"", "line 1: no column file"),
        (b"file,label\na.jpg,x\nb\xe4.jpg,x\n", "line 3: not UTF-8"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "manifest.csv"
    path.write_bytes(content)
    with pytest.raises(ConvertError, match=rf"manifest\.csv, {said}"):
        tables.rows(path, ("file",))


@pytest.mark.parametrize(
    ("line", "said"), [(b'{"file": "a', "no JSON"), (b"[1]", "not a JSON object"), (b'{"a": "\xe4"}', "not UTF-8")]
)
def test_a_broken_line_is_named(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "faces.jsonl"
    path.write_bytes(b'{"file": "good"}\n\n' + line + b"\n")
    with pytest.raises(ConvertError, match=rf"faces\.jsonl, line 3: {said}"):
        list(tables.lines(path))


def test_lines_without_a_text_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "faces.jsonl"
    path.write_text('{"file": "mask/a"}\nbroken\n{"file": "gender/b"}\n')
    assert list(tables.lines(path, containing="gender/")) == [(3, {"file": "gender/b"})]

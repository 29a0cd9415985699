"""The gender network's commands refuse what cannot be written before they read photos."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.cli import main
from convert.gender import records, utkface

DATA = ["--dataset", "none", "--cache", "none"]


@pytest.fixture(autouse=True)
def _unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No photos may be read."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("photos were read before the arguments were looked at")

    monkeypatch.setattr(records, "load_faces", refuse)
    monkeypatch.setattr(utkface, "read", refuse)


@pytest.mark.parametrize(
    ("command", "place", "said"),
    [
        (["evaluate-gender", *DATA, "--card"], "none.md", "none.md cannot be read"),
        (["evaluate-gender", *DATA, "--card"], "taken", "taken is no card: it is not UTF-8"),
        (["evaluate-gender", *DATA, "--plots"], "taken/plots", "taken is no folder"),
        (["evaluate-gender", "--utkface", "none", "--plots"], "taken", "taken is no folder"),
        (["to-caffe", "--checkpoint", "net.pt", *DATA, "--out"], "taken", "taken is no folder"),
        (["describe-gender", *DATA, "--faceres", "a", "--dlib", "b", "--out"], ".", "is a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(
    tmp_path: Path, command: list[str], place: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: convert)")
    (tmp_path / "taken").write_bytes(b"\xff")
    assert main([*command, str(tmp_path / place)]) == 2
    assert said in capsys.readouterr().err

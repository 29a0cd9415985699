"""What a gender training begins with, and when there is nothing to begin; nothing is trained here."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from convert.errors import ConvertError  # noqa: E402  # after the check for the extra
from convert.gender import train as training  # noqa: E402
from convert.gender.train import Settings, train  # noqa: E402

pytestmark = pytest.mark.convert
SHIPPED = Path(__file__).parents[3] / "models" / "gender_net.caffemodel"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with a checkpoint of one minute and a result."""
    folder = tmp_path / "out"
    folder.mkdir()
    state = training._State(None, Settings())
    state.elapsed, state.step = 60.0, 7
    state.save(folder / "checkpoint.pt")
    (folder / "gender_net.pt").touch()
    return folder


@pytest.mark.parametrize("weights", [None, SHIPPED])
def test_when_nothing_is_left_to_train_it_says_what_to_do(out: Path, tmp_path: Path, weights: Path | None) -> None:
    with pytest.raises(ConvertError, match=r"1\.0 minutes.*more --minutes.*empty --out") as caught:
        train(tmp_path / "data", tmp_path / "cache", weights, out, Settings(minutes=1.0))
    assert ("gender_net.caffemodel" in str(caught.value)) == (weights is not None)


def test_a_checkpoint_is_used_rather_than_weights(out: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        state = training._begun(out / "checkpoint.pt", out / "gender_net.pt", SHIPPED, Settings(minutes=2.0))
    assert state.step == 7
    assert "checkpoint.pt is used, not" in caplog.text


def test_a_result_that_was_never_written_still_is(out: Path) -> None:
    (out / "gender_net.pt").unlink()
    state = training._begun(out / "checkpoint.pt", out / "gender_net.pt", None, Settings(minutes=1.0))
    assert state.step == 7


def test_what_cannot_be_begun_with_is_said_before_the_photos_are_read(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match=r"none\.caffemodel"):
        train(tmp_path, tmp_path, tmp_path / "none.caffemodel", tmp_path / "out", Settings())
    (tmp_path / "out" / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ConvertError, match="not a checkpoint"):
        train(tmp_path, tmp_path, None, tmp_path / "out", Settings())

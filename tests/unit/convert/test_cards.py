"""Renewing the measured part of a card: the figures change, nothing else does, and bad cards are refused early."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.cards import BEGIN, END, check_card, renew_measured
from convert.errors import ConvertError

MODELS = Path(__file__).parents[3] / "models"


@pytest.mark.parametrize("name", ["face_detector.md", "gender_net.md", "mask_detector.md"])
def test_the_cards_that_ship_change_in_nothing_but_figures(tmp_path: Path, name: str) -> None:
    shipped = (MODELS / name).read_bytes()
    figures = shipped.decode().split(BEGIN)[1].split(END)[0].strip()
    card = tmp_path / name
    card.write_bytes(shipped)
    renew_measured(card, figures)
    assert card.read_bytes() == shipped
    renew_measured(card, "other")
    renew_measured(card, f"\n{figures}\n")
    assert card.read_bytes() == shipped


def test_figures_stand_apart_from_marks_that_had_none_between(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    for empty in ("", "\n", "\n\n"):
        card.write_text(f"before\n{BEGIN}{empty}{END}\nafter\n", encoding="utf-8")
        check_card(card)
        renew_measured(card, "new")
        assert card.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_a_card_is_begun_only_where_it_may_be(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    for ask in (check_card, lambda card: renew_measured(card, "new")):
        with pytest.raises(ConvertError, match=r"card\.md cannot be read: No such file"):
            ask(card)
    check_card(card, title="net")
    assert not card.exists()
    renew_measured(card, "new", title="net")
    assert card.read_text(encoding="utf-8") == f"# net\n\n{BEGIN}\n\nnew\n\n{END}\n"
    renew_measured(card, "newer", title="another")
    assert card.read_text(encoding="utf-8") == f"# net\n\n{BEGIN}\n\nnewer\n\n{END}\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no marks", "measured: begin"),
        (f"{END}\n{BEGIN}\n".encode(), "measured: begin"),
        (b"\xff\xfe" + BEGIN.encode() + END.encode(), "not UTF-8"),
    ],
)
@pytest.mark.parametrize("title", [None, "net"])
def test_what_is_no_card_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, said: str, title: str | None
) -> None:
    card = tmp_path / "card.md"
    card.write_bytes(content)
    with pytest.raises(ConvertError, match=f"card.md .*{said}"):
        check_card(card, title=title)
    with pytest.raises(ConvertError, match=f"card.md .*{said}"):
        renew_measured(card, "new", title=title)
    assert card.read_bytes() == content


def test_a_card_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="no folder"):
        check_card(tmp_path / "none" / "card.md", title="net")
    with pytest.raises(ConvertError, match="is a folder"):
        check_card(tmp_path, title="net")

"""The measured part of the face network's card: written by a command, so that no figure in it is typed by hand."""

from __future__ import annotations

from pathlib import Path

from convert.errors import ConvertError

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def renew(card: Path, measured: str) -> None:
    """Put text between the marks of a card.

    Raises:
        ConvertError: the card is missing or lacks the marks.
    """
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    if BEGIN not in text or END not in text:
        raise ConvertError(f"{card} has no lines {BEGIN} and {END} to put the figures between")
    head, rest = text.split(BEGIN, 1)
    card.write_text(f"{head}{BEGIN}\n\n{measured}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")

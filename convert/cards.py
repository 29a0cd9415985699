"""The measured part of a model's card: written by a command, so that no figure in it is typed by hand."""

from __future__ import annotations

from pathlib import Path

from convert.arguments import check_file
from convert.errors import ConvertError

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def check_card(card: Path, *, title: str | None = None) -> None:
    """See that a card can be renewed, before the long measuring; ``title`` as for :func:`renew_measured`.

    Raises:
        ConvertError: it can't be read or written, or has no marks.
    """
    _around(card, title)


def renew_measured(card: Path, measured: str, *, title: str | None = None) -> None:
    """Put ``measured`` between the marks of a card; what is around it stays as it is, blank lines included.

    With a ``title`` a card that does not exist yet is begun, with that heading and nothing but the measured part.

    Raises:
        ConvertError: the card can't be read or written, or has no marks.
    """
    head, tail = _around(card, title)
    try:
        card.write_text(f"{head}{measured.strip()}{tail}", encoding="utf-8")
    except OSError as error:
        raise ConvertError(f"{card} cannot be written: {error.strerror}") from error


def _around(card: Path, title: str | None) -> tuple[str, str]:
    """What stands before the figures and what after them: text, mark and blank lines."""
    check_file(card)
    try:
        begun = title is not None and not card.exists()
        text = f"# {title}\n\n{BEGIN}\n{END}\n" if begun else card.read_text(encoding="utf-8")
    except OSError as error:
        raise ConvertError(f"{card} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConvertError(f"{card} is no card: it is not UTF-8") from error
    head, begin, rest = text.partition(BEGIN)
    old, end, tail = rest.partition(END)
    if not (begin and end):
        raise ConvertError(f"{card} has no lines {BEGIN} and {END} to put the figures between")
    figures = old.strip()
    before, _, after = old.partition(figures) if figures else ("\n\n", "", "\n\n")
    return f"{head}{BEGIN}{before}", f"{after}{END}{tail}"

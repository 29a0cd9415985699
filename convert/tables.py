"""The two kinds of files that describe photos, CSV and JSON lines; what is wrong in one is said with its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from convert.errors import ConvertError


def rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file; a cell that is not there is empty.

    Args:
        columns: what the file must have; it may have more.

    Raises:
        ConvertError: it cannot be read, is not UTF-8, or lacks a column.
    """
    try:
        data = path.read_bytes()
        # Spreadsheets put a byte order mark before the first column's name.
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise ConvertError(
                f"{path}, line 1: no column {', '.join(missing)}; if it is another program's file, move it away"
            )
        # Cells beyond the last column come under the key None.
        return [{key: value or "" for key, value in row.items() if key is not None} for row in reader]
    except OSError as error:
        raise ConvertError(f"can't read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        raise ConvertError(f"{path}, line {number}: not UTF-8; save the file as UTF-8") from error
    except csv.Error as error:
        raise ConvertError(f"{path}, line {reader.line_num}: no CSV ({error}); mend or remove it") from error


def lines(path: Path, containing: str = "") -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON lines file with the numbers of their lines, from 1; empty lines are passed over.

    Args:
        containing: only lines with this text are parsed.

    Raises:
        ConvertError: the file cannot be read, or a line is no JSON object.
    """
    number = 0
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(stream, 1):
                line = raw.decode("utf-8")
                if not line.strip() or containing not in line:
                    continue
                entry = json.loads(line)
                if not isinstance(entry, dict):
                    raise ConvertError(f"{path}, line {number}: not a JSON object; write the file again")
                yield number, entry
    except OSError as error:
        raise ConvertError(f"can't read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConvertError(f"{path}, line {number}: not UTF-8; save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise ConvertError(f"{path}, line {number}: no JSON ({error.msg}); mend the line or remove it") from error


"""CSV tables that people fill in with a spreadsheet, save, and hand back."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from preventable.errors import FormatError, InputError
from preventable.plain_text import from_spreadsheet, in_spreadsheet

SEPARATORS = (",", ";", "\t")
"""Where a spreadsheet writes numbers with a comma, it separates cells by semicolons."""
_NUMBERS = ("weight",)
"""Columns in which a comma between digits is a decimal one, where no comma separates cells."""
_DECIMAL_COMMA = re.compile(r"\s*\d+,\d+(?:[eE][+-]?\d+)?\s*")
_SAVE = "Save it as comma-separated UTF-8 (Excel: CSV UTF-8; LibreOffice: CSV with the character set Unicode, UTF-8)"
_FLAGS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}


def read_filled(path: Path, needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a filled-in table, each with the line on which it ends; blank rows are left out.

    The separator is the one by which the header has the needed columns. Names of columns are in small letters, with
    ``_`` for spaces; cells are as they stand, but for the apostrophe of ``in_spreadsheet`` and the decimal comma of a
    weight, which becomes a point.

    Args:
        path: the file; UTF-8, with or without a byte order mark.
        needed: the columns that it must have.
    Raises:
        FormatError: it is not UTF-8, a column is missing or there twice, or a row has more cells than the header.
        InputError: it cannot be read.
    """
    text = _text(path)
    heads = {s: ["_".join(c.lower().split()) for c in next(_lines(path, text, s), (0, []))[1]] for s in SEPARATORS}
    separator = max(SEPARATORS, key=lambda s: len(set(needed) & set(heads[s])))
    head = heads[separator]
    if missing := [c for c in needed if c not in head]:
        raise FormatError(
            f"the column {missing[0]!r} is missing", file=str(path),
            hint=f"Columns: {', '.join(needed)}. The first line names them, with commas between",
        )  # fmt: skip
    if twice := sorted({c for c in head if c and head.count(c) > 1}):
        raise FormatError(f"the column {twice[0]!r} is there twice", file=str(path), hint="Keep one of the two")
    rows = []
    for number, cells in islice(_lines(path, text, separator), 1, None):
        if not any(cell.strip() for cell in cells):
            continue
        if more := [cell for cell in cells[len(head) :] if cell.strip()]:
            raise FormatError(
                f"{more[0]!r} stands right of the last column", file=str(path), record=f"line {number}",
                hint="Quote a cell that holds the separator",
            )  # fmt: skip
        filled = [*cells, *[""] * (len(head) - len(cells))]
        row = {c: from_spreadsheet(cell) for c, cell in zip(head, filled, strict=False) if c}
        for c in _NUMBERS:
            if separator != "," and _DECIMAL_COMMA.fullmatch(row.get(c, "")):
                row[c] = row[c].replace(",", ".")
        rows.append((number, row))
    return rows


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table whose cells no spreadsheet will run."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([in_spreadsheet(cell) for cell in row] for row in rows)


def flag(cell: str) -> bool | None:
    """Yes or no as people and spreadsheets write it, no where it is empty; None for anything else.

    Example:
        >>> flag(" TRUE "), flag("0"), flag("maybe")
        (True, False, None)
    """
    return _FLAGS.get(cell.strip().lower())


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", file=str(path), hint="See preventable audit draw"
        ) from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data:
        raise FormatError("not UTF-8 text but UTF-16, or no text at all", file=str(path), hint=_SAVE)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FormatError("not UTF-8 text", file=str(path), record=f"line {line}", hint=_SAVE) from error


def _lines(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for cells in rows:
            yield rows.line_num, cells
    except csv.Error as error:
        raise FormatError(
            f"not a CSV table: {error}", file=str(path), record=f"line {rows.line_num}", hint="Shorten or quote it"
        ) from error

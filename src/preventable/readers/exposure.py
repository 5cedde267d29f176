"""Exposure facts: lines of code per snapshot date, component, language and bucket, as a small CSV file.

    date,component,language,bucket,lines[,unsafe_lines]
    2026-02-08,drivers/android,Rust,shipped,6801

Further columns (``version``) are allowed and ignored. A component is a path prefix; ``drivers/other`` is the
rest of ``drivers``; names that begin with ``pair/`` are overlapping extracts for counterparts.
"""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import date
from pathlib import Path

import msgspec

from preventable.errors import FormatError

NEEDED = ("date", "component", "language", "bucket", "lines")
MAX_BYTES = 64 * 1024 * 1024


class ExposureRow(msgspec.Struct, frozen=True):
    """Lines of one component, language and bucket on one date; ``unsafe_lines`` is None if not counted."""

    date: date
    component: str
    language: str
    bucket: str
    lines: int
    unsafe_lines: int | None = None


class ExposureFile(msgspec.Struct, frozen=True):
    """The rows with the digest of the bytes they came from."""

    file: str
    digest: str
    rows: tuple[ExposureRow, ...]


def read_exposure(path: Path) -> ExposureFile:
    """Read an exposure file.

    Raises:
        FormatError: no such file, not UTF-8, a column is missing, or a value is out of its domain; the
            message names the line and the field.
    """
    if not path.is_file():
        raise FormatError("the exposure file does not exist", file=str(path), hint="See docs/compare.md")
    if path.stat().st_size > MAX_BYTES:
        raise FormatError("the exposure file is over 64 MiB", file=str(path), hint="Is it the right file?")
    return parse_exposure(path.read_bytes(), str(path))


def parse_exposure(data: bytes, file: str) -> ExposureFile:
    """The bytes of an exposure file, checked.

    Raises:
        FormatError: see ``read_exposure``.
    Example:
        >>> text = b"date,component,language,bucket,lines\\n2026-02-08,lib,Rust,shipped,79\\n"
        >>> parse_exposure(text, "facts.csv").rows[0].lines
        79
    """
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
        missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise FormatError(f"columns missing: {', '.join(missing)}", file=file, hint=f"Needed: {', '.join(NEEDED)}")
        rows = tuple(_row(row, f"{file}:{number}") for number, row in enumerate(reader, 2))
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 (byte {error.start})", file=file, hint="Save it as UTF-8") from error
    except csv.Error as error:
        raise FormatError(f"not CSV: {error}", file=file) from error
    if not rows:
        raise FormatError("no row of exposure", file=file, hint="Nothing can be divided by nothing")
    seen = set()
    for row in rows:
        key = (row.date, row.component, row.language, row.bucket)
        if key in seen:
            raise FormatError(f"two rows for {row.component}, {row.language}, {row.bucket} on {row.date}", file=file)
        seen.add(key)
    return ExposureFile(file, "sha256:" + hashlib.sha256(data).hexdigest(), rows)


def _row(row: dict[str, str], where: str) -> ExposureRow:
    try:
        when = date.fromisoformat((row["date"] or "").strip())
    except ValueError as error:
        raise FormatError(f"not a date: {row['date']!r}", file=where, field="date") from error
    return ExposureRow(
        date=when,
        component=(row["component"] or "").strip(),
        language=(row["language"] or "").strip(),
        bucket=(row["bucket"] or "").strip(),
        lines=_count(row["lines"], where, "lines"),
        unsafe_lines=_count(row["unsafe_lines"], where, "unsafe_lines") if row.get("unsafe_lines") else None,
    )


def _count(text: str | None, where: str, field: str) -> int:
    try:
        value = int(text or "")
    except ValueError as error:
        raise FormatError(f"not a count: {text!r}", file=where, field=field) from error
    if value < 0:
        raise FormatError("a count of lines cannot be negative", file=where, field=field)
    return value

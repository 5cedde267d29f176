"""Exposure facts: lines of code per snapshot date, component, language and bucket, as a small CSV file; or a saved
JSON result of ``preventable census`` (dated by the caller) or ``preventable lineage`` (dated by itself).

    date,component,language,bucket,lines[,unsafe_lines]
    2026-02-08,drivers/android,Rust,shipped,6801

Further columns (``version``) are allowed and ignored. A component is a path prefix; ``drivers/other`` is the
rest of ``drivers``; names that begin with ``pair/`` are overlapping extracts for counterparts.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
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
    cohort: str = ""
    """Year in which the lines were first written, where the facts tell."""


class ExposureFile(msgspec.Struct, frozen=True):
    """The rows with the digest of the bytes they came from."""

    file: str
    digest: str
    rows: tuple[ExposureRow, ...]


def read_exposure(path: Path, when: date | None = None) -> ExposureFile:
    """Read an exposure file.

    Args:
        path: CSV, or a saved JSON result of census or lineage.
        when: date of a census, which has none of its own.
    Raises:
        FormatError: no such file, not UTF-8, a column is missing, or a value is out of its domain; the
            message names the line and the field.
    """
    if not path.is_file():
        raise FormatError("the exposure file does not exist", file=str(path), hint="See docs/compare.md")
    if path.stat().st_size > MAX_BYTES:
        raise FormatError("the exposure file is over 64 MiB", file=str(path), hint="Is it the right file?")
    data = path.read_bytes()
    return _parse_result(data, str(path), when) if data[:1] == b"{" else parse_exposure(data, str(path))


def joined(files: Sequence[ExposureFile]) -> ExposureFile:
    """Several files as one.

    Raises:
        FormatError: two of them give the same lines.
    """
    if len(files) == 1:
        return files[0]
    rows = tuple(row for file in files for row in file.rows)
    name = ", ".join(file.file for file in files)
    _no_doubles(rows, name)
    digest = hashlib.sha256("".join(file.digest for file in files).encode()).hexdigest()
    return ExposureFile(name, "sha256:" + digest, rows)


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
    _no_doubles(rows, file)
    return ExposureFile(file, "sha256:" + hashlib.sha256(data).hexdigest(), rows)


_HEADERS = frozenset({"C Header", "C++ Header"})


def _parse_result(data: bytes, file: str, when: date | None) -> ExposureFile:
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
    except msgspec.MsgspecError as error:
        raise FormatError(f"not a saved result: {error}", file=file, hint="Write it with --format json") from error
    if envelope.kind not in ("census", "lineage"):
        raise FormatError(f"a result of kind {envelope.kind!r} has no lines", file=file, hint="census or lineage")
    if envelope.kind == "census" and when is None:
        raise FormatError("a census has no date of its own", file=file, hint=f"Write DATE={file}")
    sums: dict[tuple[date, str, str, str, str], list[int | None]] = {}
    for entry in envelope.results:
        day = when if when is not None else _day(entry.snapshot, file)
        language = "header" if entry.language in _HEADERS else entry.language
        key = (day, entry.component, language, entry.bucket, entry.cohort[:4])
        total = sums.setdefault(key, [0, 0])
        total[0] = (total[0] or 0) + (entry.code if envelope.kind == "census" else entry.lines)
        unsafe, before = entry.unsafe_lines, total[1]
        total[1] = None if unsafe is None or before is None else before + unsafe
    rows = tuple(
        ExposureRow(
            day, component, language, bucket, code or 0, 0 if language != "Rust" and unsafe is None else unsafe, year
        )
        for (day, component, language, bucket, year), (code, unsafe) in sorted(sums.items())
    )
    if not rows:
        raise FormatError("no row of exposure", file=file, hint="Nothing can be divided by nothing")
    return ExposureFile(file, "sha256:" + hashlib.sha256(data).hexdigest(), rows)


class _Entry(msgspec.Struct):
    component: str = ""
    language: str = ""
    bucket: str = "code"
    code: int = 0
    lines: int = 0
    unsafe_lines: int | None = None
    snapshot: str = ""
    cohort: str = ""


class _Envelope(msgspec.Struct):
    kind: str
    results: list[_Entry]


def _day(text: str, file: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise FormatError(f"not a date: {text!r}", file=file, field="snapshot") from error


def _no_doubles(rows: Sequence[ExposureRow], file: str) -> None:
    seen = set()
    for row in rows:
        key = (row.date, row.component, row.language, row.bucket, row.cohort)
        if key in seen:
            raise FormatError(f"two rows for {row.component}, {row.language}, {row.bucket} on {row.date}", file=file)
        seen.add(key)


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
        cohort=(row.get("cohort") or "").strip()[:4],
    )


def _count(text: str | None, where: str, field: str) -> int:
    try:
        value = int(text or "")
    except ValueError as error:
        raise FormatError(f"not a count: {text!r}", file=where, field=field) from error
    if value < 0:
        raise FormatError("a count of lines cannot be negative", file=where, field=field)
    return value

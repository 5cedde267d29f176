"""JSON Lines and CSV: a team's own export, or a corpus with ``id, title, text, cwe``."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping

import msgspec

from preventable.errors import FormatError, UsageError
from preventable.readers.base import FeedKind, Options, Sink, decode_problem, parse_date
from preventable.readers.cve_record import SEVERITIES
from preventable.readers.sources import MAX_RECORD_BYTES, Member
from preventable.records import Advisory, CweClaim

_CWE = re.compile(r"\s*(?:CWE[-_ ]?)?(\d{1,5})\s*", re.IGNORECASE)
FIELDS = ("id", "title", "text", "cwe", "published", "severity", "files", "package", "aliases", "categories")
"""Our fields a column may be mapped to (``component`` is ``package``: where no files are known, a record goes by it);
only ``id`` and one of ``title`` and ``text`` are needed."""
_USUAL_NAMES = {
    "id": ("id", "key", "issue key", "cve", "cve_id", "bug id", "number"),
    "title": ("title", "summary", "subject", "name"),
    "text": ("text", "description", "details", "body"),
    "cwe": ("cwe", "cwes", "cwe_id", "cwe id", "weakness"),
    "published": ("published", "date", "created", "opened", "fixed", "date published"),
    "severity": ("severity", "priority"),
    "files": ("files", "file", "paths", "path"),
    "package": ("package", "component", "product"),
    "aliases": ("aliases",),
    "categories": ("categories", "labels", "tags"),
}


class JsonlReader:
    """See ``readers.base.Reader``. One object per line: ``id``, ``title``, ``text``, ``cwe``, more."""

    name = "jsonl"
    title = "JSON Lines"
    licence = "as stated by its owner"
    kind: FeedKind = "advisories"
    experimental = False
    where = "your own export: one JSON object per line with id, title, text, cwe"

    def wanted(self, name: str) -> bool:
        return name.endswith((".jsonl", ".ndjson"))

    def recognises(self, name: str, head: bytes) -> bool:
        first, _, more = head.lstrip().partition(b"\n")
        return (
            first.startswith(b"{")
            and b'"id"' in first
            and (name.endswith((".jsonl", ".ndjson")) or (first.rstrip().endswith(b"}") and more.startswith(b"{")))
        )

    def read(self, members: Iterator[Member], sink: Sink, options: Options) -> None:
        for member in members:
            for number, line in member.lines():
                where = f"line {number}"
                if line is None:
                    sink.fail(member.name, where, None, f"more than the limit of {MAX_RECORD_BYTES:,} bytes")
                    continue
                if not line.strip():
                    continue
                try:
                    row = msgspec.json.decode(line, type=dict[str, object])
                except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
                    sink.fail(member.name, where, None, decode_problem(error))
                    continue
                if _kept(row, options.where):
                    _add(row, self.name, (member.name, where), sink, options)


class CsvReader:
    """See ``readers.base.Reader``. Columns are found by their usual names or by a mapping."""

    name = "csv"
    title = "CSV with a column mapping"
    licence = "as stated by its owner"
    kind: FeedKind = "advisories"
    experimental = False
    where = "your tracker's export, with --column id=Key --column title=Summary ..."

    def wanted(self, name: str) -> bool:
        return name.endswith((".csv", ".tsv"))

    def recognises(self, name: str, head: bytes) -> bool:
        return name.endswith((".csv", ".tsv"))

    def read(self, members: Iterator[Member], sink: Sink, options: Options) -> None:
        csv.field_size_limit(MAX_RECORD_BYTES)
        for member in members:
            text = io.TextIOWrapper(
                io.BytesIO(member.read(2**28)), encoding="utf-8-sig", errors="surrogateescape", newline=""
            )
            rows = csv.reader(text, delimiter="\t" if member.name.endswith(".tsv") else ",")
            header = next(rows, None)
            if not header:
                raise FormatError("the file is empty; a header row is needed", file=member.name)
            columns = _columns(header, options.columns, member.name)
            while True:
                try:
                    cells = next(rows)
                except StopIteration:
                    break
                except csv.Error as error:
                    sink.fail(member.name, f"line {rows.line_num}", None, str(error))
                    continue
                if not any(cell.strip() for cell in cells):
                    continue
                where = f"line {rows.line_num}"
                if len(cells) != len(header):
                    sink.fail(
                        member.name,
                        where,
                        None,
                        f"{len(cells)} cells where the header has {len(header)} columns",
                    )
                    continue
                if any("\udc80" <= ch <= "\udcff" for cell in cells for ch in cell):
                    sink.fail(member.name, where, None, "not UTF-8")
                    continue
                if not _kept(dict(zip(header, cells, strict=True)), options.where):
                    continue
                _add({f: cells[i] for f, i in columns.items()}, self.name, (member.name, where), sink, options)


def _columns(header: list[str], mapping: Mapping[str, str], file: str) -> dict[str, int]:
    names = [h.strip() for h in header]
    found: dict[str, int] = {}
    for given, column in mapping.items():
        field = "package" if given == "component" else given
        if field not in FIELDS:
            raise UsageError(f"unknown field {given!r}", file=file, hint=f"Fields: {', '.join(FIELDS)}, component")
        if column not in names:
            raise UsageError(f"no column {column!r}", file=file, field=given, hint=f"The file has: {', '.join(names)}")
        found[field] = names.index(column)
    lower = [n.lower() for n in names]
    for field, usual in _USUAL_NAMES.items():
        if field not in found:
            at = next((lower.index(u) for u in usual if u in lower), None)
            if at is not None and at not in found.values():
                found[field] = at
    if "id" not in found or not {"title", "text"} & found.keys():
        raise FormatError(
            "columns for id and for title or text are needed",
            file=file,
            hint=f"The file has: {', '.join(names)}. Map them: --column id=NAME --column text=NAME",
        )
    return found


def _kept(row: Mapping[str, object], where: Mapping[str, str]) -> bool:
    return all(str(row.get(name, "")) == value for name, value in where.items())


def _add(row: Mapping[str, object], feed: str, at: tuple[str, str], sink: Sink, options: Options) -> None:
    file, where = at
    identity = row.get("id")
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if not isinstance(identity, str) or not identity.strip():
        sink.fail(file, where, "id", "missing or not text")
        return
    record = identity.strip()
    texts: dict[str, str] = {}
    for field in ("title", "text", "impact"):
        value = row.get(field)
        if value is None:
            value = ""
        if not isinstance(value, str):
            sink.fail(file, record, field, f"not text but {type(value).__name__}")
            return
        texts[field] = value
    if not texts["title"] and not texts["text"]:
        sink.warn(file, record, "text", "neither title nor text")
    severity = str(row.get("severity") or "").strip().lower()
    if severity and severity not in SEVERITIES:
        sink.warn(file, record, "severity", f"not one of {', '.join(SEVERITIES)}: {severity[:40]!r}")
    informational = row.get("informational")
    package = row.get("package")
    sink.add(
        Advisory(
            id=record,
            feed=feed,
            file=file,
            title=texts["title"],
            text=texts["text"],
            impact=texts["impact"],
            published=parse_date(
                row.get("published"), sink, file=file, record=record, field="published", today=options.today
            ),
            aliases=_list(row.get("aliases")),
            cwes=_cwes(row.get("cwe"), file, record, sink),
            severity=next((s for s in SEVERITIES if s == severity), None),
            package=package if isinstance(package, str) and package else None,
            files=_list(row.get("files")),
            categories=_list(row.get("cats") or row.get("categories")),
            informational=informational if isinstance(informational, str) and informational else None,
        )
    )


def _list(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in re.split(r"[;\n,]", value) if part.strip())
    if isinstance(value, list):
        return tuple(v for v in value if isinstance(v, str))
    return ()


def _cwes(value: object, file: str, record: str, sink: Sink) -> tuple[CweClaim, ...]:
    if value is None or value == "":
        return ()
    parts = value if isinstance(value, list) else re.split(r"[;,|]", str(value))
    claims: dict[CweClaim, None] = {}
    for part in parts:
        found = _CWE.fullmatch(str(part))
        if found:
            claims[CweClaim(int(found.group(1)), "file")] = None
        elif str(part).strip():
            sink.warn(file, record, "cwe", f"not a CWE id: {str(part)[:40]!r}")
    return tuple(claims)

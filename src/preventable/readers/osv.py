"""OSV records (schema 1.x): one record, a JSON list, a directory, or the zip per ecosystem."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec
from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from preventable.errors import RecordError
from preventable.readers.base import FeedKind, Options, Sink, decode_problem, parse_date
from preventable.readers.cve_record import SEVERITIES, Severity, severity_from_score
from preventable.readers.sources import MAX_DOCUMENT_BYTES, MAX_RECORD_BYTES, Member
from preventable.records import Advisory, CodeRange, CweClaim


class OsvRange(msgspec.Struct, frozen=True):
    type: str
    events: list[dict[str, str]] = []
    repo: str | None = None


class OsvAffected(msgspec.Struct, frozen=True):
    package: dict[str, object] | None = None
    ranges: list[OsvRange] = []
    database_specific: dict[str, object] | None = None
    ecosystem_specific: dict[str, object] | None = None


class OsvSeverity(msgspec.Struct, frozen=True):
    type: str
    score: str


class OsvRecord(msgspec.Struct, frozen=True):
    id: str
    summary: str = ""
    details: str = ""
    modified: str | None = None
    published: str | None = None
    withdrawn: str | None = None
    aliases: list[str] | None = None
    severity: list[OsvSeverity] | None = None
    affected: list[OsvAffected] | None = None
    database_specific: dict[str, object] | None = None


_document = msgspec.json.Decoder(list[msgspec.Raw])
_record = msgspec.json.Decoder(OsvRecord)


class OsvReader:
    """See ``readers.base.Reader``. ``introduced: "0"`` means unknown, never the first commit."""

    name = "osv"
    title = "OSV records"
    licence = "as stated by each source; OSV.dev data CC-BY 4.0"
    kind: FeedKind = "advisories"
    experimental = False
    where = "all.zip per ecosystem in the public bucket osv-vulnerabilities; curl's own at curl.se/docs/vuln.json"

    def wanted(self, name: str) -> bool:
        return name.endswith(".json")

    def recognises(self, name: str, head: bytes) -> bool:
        if not name.endswith(".json") or b'"CVE_RECORD"' in head:
            return False
        start = head.lstrip()[:1]
        return (
            start in (b"{", b"[")
            and b'"id"' in head
            and (b'"schema_version"' in head or b'"affected"' in head or b'"modified"' in head)
        )

    def read(self, members: Iterator[Member], sink: Sink, options: Options) -> None:
        for member in members:
            if not member.name.endswith(".json"):
                continue
            try:
                data = member.read(MAX_DOCUMENT_BYTES)
                raws = [bytes(r) for r in _document.decode(data)] if data.lstrip()[:1] == b"[" else [data]
            except (msgspec.MsgspecError, RecordError, RecursionError, UnicodeDecodeError) as error:
                sink.fail(member.name, None, None, decode_problem(error))
                continue
            for index, raw in enumerate(raws):
                self._one(raw, member.name, index if len(raws) > 1 else None, sink, options)

    def _one(self, raw: bytes, file: str, index: int | None, sink: Sink, options: Options) -> None:
        where = None if index is None else f"element {index}"
        if len(raw) > MAX_RECORD_BYTES:
            sink.fail(file, where, None, f"{len(raw):,} bytes, more than the limit of {MAX_RECORD_BYTES:,}")
            return
        try:
            record = _record.decode(raw)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            sink.fail(file, where, None, decode_problem(error))
            return
        if not record.id:
            sink.fail(file, where, "id", "the record has no id")
        else:
            sink.add(_to_advisory(record, file, sink, options))


def _to_advisory(record: OsvRecord, file: str, sink: Sink, options: Options) -> Advisory:
    specifics = [record.database_specific or {}]
    for affected in record.affected or []:
        specifics += [affected.database_specific or {}, affected.ecosystem_specific or {}]
    severity, score, vector = _severity(record, specifics, file, sink)
    package = next((a.package.get("name") for a in record.affected or [] if a.package), None)
    if package is None:
        package = specifics[0].get("package")
    categories = [c for s in specifics for c in _strings(s.get("categories"))]
    informational = next((s["informational"] for s in specifics if isinstance(s.get("informational"), str)), None)
    return Advisory(
        id=record.id,
        feed="osv",
        file=file,
        title=record.summary,
        text=record.details,
        published=parse_date(
            record.published, sink, file=file, record=record.id, field="published", today=options.today
        ),
        modified=parse_date(record.modified, sink, file=file, record=record.id, field="modified", today=options.today),
        withdrawn=parse_date(
            record.withdrawn, sink, file=file, record=record.id, field="withdrawn", today=options.today
        ),
        aliases=tuple(record.aliases or ()),
        cwes=_cwes(specifics, record.id, file, sink),
        severity=severity,
        cvss_score=score,
        cvss_vector=vector,
        package=package if isinstance(package, str) else None,
        files=_files(specifics),
        ranges=tuple(r for a in record.affected or [] for osv in a.ranges for r in _ranges(osv)),
        categories=tuple(dict.fromkeys(categories)),
        informational=cast("str | None", informational),
    )


def _cwes(specifics: list[dict[str, object]], record: str, file: str, sink: Sink) -> tuple[CweClaim, ...]:
    """CWE ids as GitHub (``cwe_ids``) and curl (``CWE: {id}``) write them."""
    claims: dict[CweClaim, None] = {}
    for specific in specifics:
        curl = specific.get("CWE")
        names = _strings(specific.get("cwe_ids")) + (_strings([curl.get("id")]) if isinstance(curl, dict) else [])
        for name in names:
            digits = name.upper().removeprefix("CWE-")
            if digits.isascii() and digits.isdigit() and len(digits) <= 5:
                claims[CweClaim(int(digits), "osv")] = None
            else:
                sink.warn(file, record, "database_specific.cwe_ids", f"not a CWE id: {name[:40]!r}")
    return tuple(claims)


def _strings(value: object) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _files(specifics: list[dict[str, object]]) -> tuple[str, ...]:
    names = [f for s in specifics for key in ("files", "programFiles") for f in _strings(s.get(key))]
    return tuple(dict.fromkeys(names))


def _severity(
    record: OsvRecord, specifics: list[dict[str, object]], file: str, sink: Sink
) -> tuple[Severity | None, float | None, str | None]:
    word = next((str(s["severity"]).lower() for s in specifics if isinstance(s.get("severity"), str)), "").replace(
        "moderate", "medium"
    )
    rated = next((s for s in SEVERITIES if s == word), None)
    for entry in sorted(record.severity or [], key=lambda s: s.type, reverse=True):
        score = score_of_vector(entry.score)
        if score is None:
            sink.warn(file, record.id, "severity", f"not a CVSS vector: {entry.score[:60]!r}")
            continue
        return rated or severity_from_score(score), score, entry.score
    return rated, None, None


def score_of_vector(vector: str) -> float | None:
    """Base score of a CVSS 2, 3 or 4 vector, or ``None`` when it is not one.

    Example:
        >>> score_of_vector("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H")
        7.8
    """
    try:
        if vector.startswith("CVSS:4"):
            return float(CVSS4(vector).base_score)
        if vector.startswith("CVSS:3"):
            return float(CVSS3(vector).scores()[0])
        return float(CVSS2(vector).scores()[0])
    except (CVSSError, KeyError, ValueError, IndexError):
        return None


def _ranges(osv: OsvRange) -> Iterator[CodeRange]:
    """One range per introduced event; a ``fixed`` or ``last_affected`` closes the one before it."""
    git = osv.type.upper() == "GIT"
    introduced: str | None = None
    open_range = False
    for event in osv.events:
        if "introduced" in event:
            if open_range:
                yield _range(git, introduced, None)
            introduced = None if event["introduced"] == "0" else event["introduced"]
            open_range = True
        elif "fixed" in event:
            yield _range(git, introduced, event["fixed"])
            open_range = False
            introduced = None
        elif "last_affected" in event or "limit" in event:
            yield _range(git, introduced, None)
            open_range = False
            introduced = None
    if open_range:
        yield _range(git, introduced, None)


def _range(git: bool, introduced: str | None, fixed: str | None) -> CodeRange:
    if git:
        return CodeRange(introduced_commit=introduced, fixed_commit=fixed, mainline=True)
    return CodeRange(introduced_version=introduced, fixed_version=fixed)

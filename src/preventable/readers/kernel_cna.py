"""The Linux kernel CNA's ``vulns`` repository: a git clone, a directory, or an archive.

A record is three files: ``CVE-*.json`` (CVE JSON 5 without dates or CWE), ``CVE-*.dyad`` (per branch
``introduced version:commit:fixed version:commit``, 0 for unknown or not fixed) and ``CVE-*.sha1`` (the fix in
mainline). ``published.csv`` beside them, or the history of a clone, dates the publication.
The pair whose fix is named by ``.sha1`` is the mainline one; only it dates an event.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import date

import msgspec

from preventable.errors import RecordError
from preventable.readers.base import FeedKind, Options, Sink, decode_problem, parse_date
from preventable.readers.cve_record import CVE_NAME, decoder, to_advisory
from preventable.readers.sources import Member
from preventable.records import Advisory, CodeRange

_LAYOUT = re.compile(r"(?:(?:^|/)(published|rejected)/)?(?:^|(?<=/))\d{4}/(CVE-\d{4}-\d{4,})\.(json|dyad|sha1)$")
_PUBLISHED = re.compile(r"(?:^|/)(?:cve/)?published\.csv$")
_PREAMBLE = "In the Linux kernel, the following vulnerability has been resolved:"


class KernelCnaReader:
    """See ``readers.base.Reader``."""

    name = "kernel_cna"
    title = "Linux kernel CNA"
    licence = "CVE Program Terms of Use; kernel.org vulns repository"
    kind: FeedKind = "advisories"
    experimental = False
    where = "git clone of pub/scm/linux/security/vulns on git.kernel.org"

    def wanted(self, name: str) -> bool:
        return _LAYOUT.search(name) is not None or _PUBLISHED.search(name) is not None

    def recognises(self, name: str, head: bytes) -> bool:
        layout = _LAYOUT.search(name)
        if layout is None:
            # In a directory the table of dates is met before the records; it must not pass for a plain table.
            return _PUBLISHED.search(name) is not None and head.startswith(b"cve,published")
        return layout[1] is not None or layout[3] != "json"

    def read(self, members: Iterator[Member], sink: Sink, options: Options) -> None:
        records: list[Advisory] = []
        dyads: dict[str, str] = {}
        mainline: dict[str, frozenset[str]] = {}
        published: dict[str, date] = {}
        for member in members:
            if _PUBLISHED.search(member.name):
                published.update(self._dates(member, sink, options))
                continue
            layout = _LAYOUT.search(member.name)
            if layout is None and CVE_NAME.search(member.name) is None:
                continue
            state, cve, suffix = layout.groups() if layout else (None, "", "json")
            if state == "rejected":
                if suffix == "json":
                    sink.reject(member.name, cve, "rejected by the CNA")
                continue
            try:
                data = member.read()
                if suffix == "json":
                    record = decoder.decode(data)
                    if not record.id:
                        sink.fail(member.name, cve or None, "cveMetadata.cveId", "the record has no id")
                        continue
                    records.append(_without_preamble(to_advisory(record, self.name, member.name, sink, options)))
                elif suffix == "dyad":
                    dyads[cve] = data.decode("utf-8")
                else:
                    mainline[cve] = frozenset(data.decode("utf-8").split())
            except (msgspec.MsgspecError, RecordError, RecursionError, UnicodeDecodeError) as error:
                if suffix == "json":
                    sink.fail(member.name, cve or None, None, decode_problem(error))
                else:
                    sink.warn(member.name, cve, suffix, decode_problem(error))
        for record_ in records:
            ranges = record_.ranges
            if record_.id in dyads:
                ranges = self._ranges(record_.id, dyads[record_.id], mainline.get(record_.id), sink)
            sink.add(
                msgspec.structs.replace(record_, ranges=ranges, published=published.get(record_.id, record_.published))
            )
        for cve in sorted(dyads.keys() - {r.id for r in records}):
            sink.warn(f"{cve}.dyad", cve, "json", "version pairs without a record")

    def _dates(self, member: Member, sink: Sink, options: Options) -> dict[str, date]:
        dates: dict[str, date] = {}
        try:
            rows = csv.DictReader(io.StringIO(member.read(2**28).decode("utf-8")))
            for row in rows:
                cve = row.get("cve") or ""
                when = parse_date(
                    row.get("published"),
                    sink,
                    file=member.name,
                    record=cve,
                    field="published",
                    today=options.today,
                )
                if when:
                    dates[cve] = when
        except (RecordError, UnicodeDecodeError, csv.Error) as error:
            sink.warn(member.name, None, None, f"publication dates not read: {error}")
        return dates

    def _ranges(self, cve: str, text: str, mainline: frozenset[str] | None, sink: Sink) -> tuple[CodeRange, ...]:
        ranges: list[CodeRange] = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = line.strip().split(":")
            if len(parts) != 4:
                sink.warn(f"{cve}.dyad", cve, f"line {number}", "not introduced:commit:fixed:commit")
                continue
            v1, c1, v2, c2 = (None if part in ("0", "") else part for part in parts)
            ranges.append(
                CodeRange(
                    introduced_version=v1,
                    introduced_commit=c1,
                    fixed_version=v2,
                    fixed_commit=c2,
                    mainline=mainline is not None and c2 in mainline,
                )
            )
        return tuple(ranges)


def _without_preamble(advisory: Advisory) -> Advisory:
    """Drop the sentence that every record begins with, and the title that repeats after it."""
    text = advisory.text
    if text.startswith(_PREAMBLE):
        text = text[len(_PREAMBLE) :].lstrip()
        if advisory.title and text.startswith(advisory.title):
            text = text[len(advisory.title) :].lstrip()
    return msgspec.structs.replace(advisory, text=text)

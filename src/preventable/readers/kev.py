"""CISA's catalogue of known exploited vulnerabilities: marks records, adds none."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from preventable.errors import RecordError
from preventable.readers.base import FeedKind, Options, Sink, decode_problem, parse_date
from preventable.readers.sources import MAX_DOCUMENT_BYTES, Member


class _Catalogue(msgspec.Struct, frozen=True):
    vulnerabilities: list[msgspec.Raw]
    catalogVersion: str = ""


class _Entry(msgspec.Struct, frozen=True):
    cveID: str
    dateAdded: str


class KevReader:
    """See ``readers.base.Reader``."""

    name = "kev"
    title = "Known Exploited Vulnerabilities"
    licence = "CC0-1.0 (CISA; a mark is no endorsement)"
    kind: FeedKind = "marks"
    experimental = False
    where = "known_exploited_vulnerabilities.json on cisa.gov"

    def wanted(self, name: str) -> bool:
        return name.endswith(".json")

    def recognises(self, name: str, head: bytes) -> bool:
        return name.endswith(".json") and b'"catalogVersion"' in head

    def read(self, members: Iterator[Member], sink: Sink, options: Options) -> None:
        for member in members:
            try:
                catalogue = msgspec.json.decode(member.read(MAX_DOCUMENT_BYTES), type=_Catalogue)
            except (msgspec.MsgspecError, RecordError, RecursionError, UnicodeDecodeError) as error:
                sink.fail(member.name, None, None, decode_problem(error))
                continue
            for index, raw in enumerate(catalogue.vulnerabilities):
                try:
                    entry = msgspec.json.decode(raw, type=_Entry)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    sink.fail(member.name, f"element {index}", None, decode_problem(error))
                    continue
                when = parse_date(
                    entry.dateAdded,
                    sink,
                    file=member.name,
                    record=entry.cveID,
                    field="dateAdded",
                    today=options.today,
                )
                if entry.cveID in sink.marks:
                    sink.duplicate += 1
                elif when is None:
                    sink.fail(member.name, entry.cveID, "dateAdded", "no usable date")
                else:
                    sink.marks[entry.cveID] = when
                    sink.read += 1

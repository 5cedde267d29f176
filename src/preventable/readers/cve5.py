"""CVE JSON 5 records: one file, a tree as in cvelistV5, or an archive of either."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from preventable.errors import RecordError
from preventable.readers.base import FeedKind, Options, Sink, decode_problem
from preventable.readers.cve_record import CVE_NAME, decoder, to_advisory
from preventable.readers.sources import Member


class Cve5Reader:
    """See ``readers.base.Reader``. In a tree only files named like a CVE are records."""

    name = "cve5"
    title = "CVE records, JSON 5"
    licence = "CVE Program Terms of Use"
    kind: FeedKind = "advisories"
    experimental = False
    where = "git clone of CVEProject/cvelistV5 on GitHub, or its daily zip under Releases"

    def wanted(self, name: str) -> bool:
        return CVE_NAME.search(name) is not None

    def recognises(self, name: str, head: bytes) -> bool:
        named = CVE_NAME.search(name) is not None and (b'"containers"' in head or b'"cveMetadata"' in head)
        marked = b'"CVE_RECORD"' in head or (b'"containers"' in head and b'"cna"' in head)
        return name.endswith(".json") and (named or marked)

    def read(self, members: Iterator[Member], sink: Sink, options: Options) -> None:
        for member in members:
            if not member.name.endswith(".json"):
                continue
            try:
                record = decoder.decode(member.read())
            except (msgspec.MsgspecError, RecordError, RecursionError, UnicodeDecodeError) as error:
                sink.fail(member.name, None, None, decode_problem(error))
                continue
            if not record.id:
                sink.fail(member.name, None, "cveMetadata.cveId", "the record has no id")
            elif record.cveMetadata.state.upper() != "PUBLISHED":
                sink.reject(member.name, record.id, record.cveMetadata.state)
            else:
                sink.add(to_advisory(record, self.name, member.name, sink, options))

"""Release dates per version (endoflife.date's shape): ``{"versions": {"6.1": {"date": "2022-12-11"}}}``."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from preventable.errors import RecordError
from preventable.readers.base import FeedKind, Options, Sink, decode_problem, parse_date
from preventable.readers.sources import MAX_DOCUMENT_BYTES, Member


class _Release(msgspec.Struct, frozen=True):
    date: str | None = None


class _Document(msgspec.Struct, frozen=True):
    versions: dict[str, msgspec.Raw]


class ReleasesReader:
    """See ``readers.base.Reader``. 1970-01-01 means unknown and is counted as a failed row."""

    name = "releases"
    title = "Release dates"
    licence = "MIT (endoflife.date); dates are facts"
    kind: FeedKind = "releases"
    experimental = False
    where = "release-data of endoflife-date on GitHub (releases/linux.json)"

    def wanted(self, name: str) -> bool:
        return name.endswith(".json")

    def recognises(self, name: str, head: bytes) -> bool:
        return name.endswith(".json") and b'"versions"' in head and b'"date"' in head and b'"id"' not in head

    def read(self, members: Iterator[Member], sink: Sink, options: Options) -> None:
        for member in members:
            try:
                document = msgspec.json.decode(member.read(MAX_DOCUMENT_BYTES), type=_Document)
            except (msgspec.MsgspecError, RecordError, RecursionError, UnicodeDecodeError) as error:
                sink.fail(member.name, None, None, decode_problem(error))
                continue
            for version, raw in document.versions.items():
                try:
                    release = msgspec.json.decode(raw, type=_Release)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    sink.fail(member.name, version, None, decode_problem(error))
                    continue
                when = parse_date(
                    release.date, sink, file=member.name, record=version, field="date", today=options.today
                )
                if when is None:
                    sink.fail(member.name, version, "date", "the date is unknown")
                else:
                    sink.releases[version] = when
                    sink.read += 1

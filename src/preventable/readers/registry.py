"""The readers, how a format is recognised, and the one function that loads a feed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from pathlib import Path

import msgspec

from preventable.errors import FormatError, InputError, RecordError, UsageError
from preventable.progress import Progress
from preventable.readers.base import Options, Reader, Sink
from preventable.readers.cve5 import Cve5Reader
from preventable.readers.git_archive import GitSource, clone_of_records, is_git_repository
from preventable.readers.kernel_cna import KernelCnaReader
from preventable.readers.kev import KevReader
from preventable.readers.osv import OsvReader
from preventable.readers.releases import ReleasesReader
from preventable.readers.rustsec import RustsecReader
from preventable.readers.sources import Member, Source
from preventable.readers.tabular import CsvReader, JsonlReader
from preventable.records import Advisory, FailedRow, ReadReport

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        KernelCnaReader(),
        Cve5Reader(),
        OsvReader(),
        RustsecReader(),
        KevReader(),
        ReleasesReader(),
        JsonlReader(),
        CsvReader(),
    )
}
"""In the order in which formats are tried."""

_PLAIN_TABLES = ("jsonl", "csv")
"""They also lie beside records of other feeds (the kernel's ``published.csv``): taken when nothing else is there."""
_SNIFFED_MEMBERS = 200
_SNIFFED_BYTES = 4096


class Load(msgspec.Struct, frozen=True):
    """What one location gave: records, exploitation marks or release dates, and the read report."""

    report: ReadReport
    advisories: tuple[Advisory, ...] = ()
    marks: Mapping[str, date] = {}
    releases: Mapping[str, date] = {}


def reader_named(name: str) -> Reader:
    """The reader of that name.

    Raises:
        FormatError: there is none.
    """
    if name not in READERS:
        raise FormatError(f"no reader named {name!r}", hint=f"Readers: {', '.join(READERS)}")
    return READERS[name]


def recognise(location: str) -> Reader:
    """The reader for what lies at a location, told by names and first bytes.

    Raises:
        FormatError: none fits.
        ArchiveError: the archive cannot be opened.
    """
    source = Source(location, _may_be_feed)
    if is_git_repository(location) or clone_of_records(location):
        source = GitSource(location, _may_be_feed)
    seen = []
    empty = True
    table: Reader | None = None
    for member in islice(source.members(), _SNIFFED_MEMBERS):
        try:
            head = member.head(_SNIFFED_BYTES)
        except RecordError:
            continue  # damaged: reading tells of it, recognising looks at the next
        seen.append(member.name)
        empty = empty and not head
        reader = next((r for r in READERS.values() if r.recognises(member.name, head)), None)
        if reader is not None and reader.name not in _PLAIN_TABLES:
            return reader
        table = table or reader
    if table is not None:
        return table
    if not seen or empty:
        raise FormatError(f"nothing to read: {'an empty file' if seen else 'no files'}", file=location)
    raise FormatError(
        "the format is not recognised",
        file=location,
        hint=f"Name it with --from; readers: {', '.join(READERS)}. First file: {seen[0]}",
    )


def fingerprint(location: str, format_name: str | None = None) -> str:
    """Digest of the bytes at a location without parsing them; changes whenever what is read may change."""
    path = split_location(location)[0]
    if not Source(path).is_directory:
        with Path(path).open("rb") as stream:
            return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    # Of a clone some formats are read at HEAD and others as the files lie there, changed or not.
    source = _source(path, reader_named(format_name) if format_name else recognise(path))
    if isinstance(source, GitSource):
        return source.digest
    for _member in source.members():
        pass
    return source.digest


def _may_be_feed(name: str) -> bool:
    return any(reader.wanted(name) for reader in READERS.values())


def load(
    location: str,
    *,
    format_name: str | None = None,
    options: Options | None = None,
    strict: bool = False,
    keep_duplicates: bool = False,
    quiet: bool = True,
) -> Load:
    """Read one feed.

    Args:
        location: a path; ``path#field=value`` keeps only the rows of a jsonl or csv file with that value.
        format_name: a reader's name; recognised when not given.
        options: column mapping and filters.
        strict: any row of the read report becomes an error.
        keep_duplicates: hand on every record, in the order read.
        quiet: no progress on standard error.
    Raises:
        InputError: nothing usable: no such file, damaged archive, unknown format, or an empty feed.
        RecordError: under ``strict``, the first row.
    """
    options = options or Options()
    path, where = split_location(location)
    if where:
        options = msgspec.structs.replace(options, where={**options.where, **where})
    reader = reader_named(format_name) if format_name else recognise(path)
    if where and reader.name not in _PLAIN_TABLES:
        raise UsageError(
            f"#field=value keeps rows of {' and '.join(_PLAIN_TABLES)} only; this is {reader.name}", file=location
        )
    source = _source(path, reader)
    sink = Sink(strict=strict, keep_duplicates=keep_duplicates)
    with Progress(f"files of {reader.name}", quiet=quiet) as progress:
        reader.read(_counted(source.members(), progress), sink, options)
    why = "neither published.csv nor the history of a whole clone of the kernel's records"
    if isinstance(source, GitSource) and reader.name == KernelCnaReader.name:
        _date_by_history(sink, source.first_dates())
        why = source.why_undated or why
    if reader.name == KernelCnaReader.name and not any(a.published for a in sink.advisories):
        sink.warn(path, None, "published", f"no publication date: {why}")
    advisories = sink.advisories if keep_duplicates else sorted(sink.advisories, key=lambda a: a.id)
    report = sink.report(source, reader, _newest(sink))
    if report.read == 0:
        raise InputError(
            "the feed is empty: no record could be read",
            file=location,
            hint=_first_reason(report, where),
        )
    return Load(report, tuple(advisories), dict(sorted(sink.marks.items())), dict(sink.releases))


def split_location(location: str) -> tuple[str, dict[str, str]]:
    """``path#field=value`` as path and filter; a plain path has an empty filter."""
    path, mark, condition = location.rpartition("#")
    name, equals, value = condition.partition("=")
    if mark and equals and path:
        return path, {name: value}
    return location, {}


def _source(path: str, reader: Reader) -> Source:
    """A clone of the kernel's records, or part of one, is read through git: its history dates them. A bare one, too."""
    if reader.name == KernelCnaReader.name and clone_of_records(path):
        return GitSource(path, reader.wanted)
    if is_git_repository(path) and (reader.name == "kernel_cna" or not (Path(path) / ".git").exists()):
        return GitSource(path, reader.wanted)
    return Source(path, reader.wanted)


def _counted(members: Iterator[Member], progress: Progress) -> Iterator[Member]:
    for member in members:
        yield member
        progress.advance()


def _newest(sink: Sink) -> date | None:
    dates = [d for a in sink.advisories for d in (a.published, a.modified) if d]
    dates += [*sink.marks.values(), *sink.releases.values()]
    return max(dates, default=None)


def _first_reason(report: ReadReport, where: Mapping[str, str]) -> str:
    rows: Sequence[FailedRow] = report.rows
    if rows:
        return f"First of {len(rows)} reasons: {rows[0].reason} (file {rows[0].file})"
    if report.rejected:
        return f"{report.rejected} records were rejected or withdrawn by their publisher"
    if where:
        return f"No row has {' and '.join(f'{name}={value}' for name, value in where.items())}"
    return "Check that the location holds what you expect, or name the format with --from"


def _date_by_history(sink: Sink, first: Mapping[str, date]) -> None:
    sink.advisories = [
        a if a.published else msgspec.structs.replace(a, published=first.get(a.id)) for a in sink.advisories
    ]

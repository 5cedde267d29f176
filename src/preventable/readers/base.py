"""What every reader is: a name, a licence, a way to recognise its format, and a generator of records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Literal, Protocol

import msgspec

from preventable.errors import RecordError
from preventable.readers.sources import Member, Source
from preventable.records import Advisory, FailedRow, ReadReport

FeedKind = Literal["advisories", "marks", "releases"]
FIRST_CREDIBLE = date(1988, 1, 1)
"""Earlier dates in feeds (1970-01-01 above all) mean unknown."""


class Options(msgspec.Struct, frozen=True):
    """What a user may say about a load."""

    columns: Mapping[str, str] = {}
    """For ``csv``: our field -> the file's column."""
    where: Mapping[str, str] = {}
    """For ``jsonl`` and ``csv``: keep only rows whose member has this value."""
    today: date | None = None
    """Dates after it are in the future and become unknown. None: the newest date is not judged."""


class Sink:
    """Takes records, failures and warnings from a reader and counts them; nothing is lost silently.

    Args:
        strict: a failure or warning raises ``RecordError`` instead of becoming a row.
        keep_duplicates: hand every record on, in the order read (for labelling a file as it is).
    """

    def __init__(self, *, strict: bool = False, keep_duplicates: bool = False) -> None:
        self.strict = strict
        self.keep_duplicates = keep_duplicates
        self.advisories: list[Advisory] = []
        self.marks: dict[str, date] = {}
        self.releases: dict[str, date] = {}
        self.read = 0
        self.rejected = 0
        self.duplicate = 0
        self.failed = 0
        self.rows: list[FailedRow] = []
        self.warnings: list[FailedRow] = []
        self._index: dict[str, int] = {}

    def add(self, advisory: Advisory) -> None:
        """Take a record. The same id again is a duplicate; when it differs, the newest modification stays."""
        at = self._index.get(advisory.id)
        if at is None or self.keep_duplicates:
            self._index[advisory.id] = len(self.advisories)
            self.advisories.append(advisory)
            self.read += 1
            return
        self.duplicate += 1
        kept = self.advisories[at]
        if _content(kept) == _content(advisory):
            return
        newer = (advisory.modified or date.min) > (kept.modified or date.min)
        if newer:
            self.advisories[at] = advisory
        which = "the later modified one" if newer else "the first"
        self.warn(advisory.file, advisory.id, "id", f"conflicting record of the same id; {which} was kept")

    def fail(self, file: str, record: str | None, field: str | None, reason: str) -> None:
        """A record that cannot be read at all."""
        self.failed += 1
        self._row(self.rows, FailedRow(file, record, field, reason))

    def reject(self, file: str, record: str | None, reason: str) -> None:
        """A record that its publisher withdrew: counted, not read."""
        self.rejected += 1

    def warn(self, file: str, record: str | None, field: str | None, reason: str) -> None:
        """A record that was read, with a field that became unknown."""
        self._row(self.warnings, FailedRow(file, record, field, reason))

    def _row(self, rows: list[FailedRow], row: FailedRow) -> None:
        rows.append(row)
        if self.strict:
            raise RecordError(
                row.reason,
                file=row.file,
                record=row.record,
                field=row.field,
                hint="Without --strict this is counted in the read report and the run goes on",
            )

    def report(self, source: Source, reader: Reader, data_date: date | None) -> ReadReport:
        """The read report of this load."""
        for problem in source.problems:
            self._row(self.rows, problem)
        return ReadReport(
            location=source.location,
            format=reader.name,
            licence=reader.licence,
            digest=source.digest,
            data_date=data_date,
            read=self.read,
            rejected=self.rejected,
            duplicate=self.duplicate,
            failed=self.failed + len(source.problems),
            rows=tuple(self.rows),
            warnings=tuple(self.warnings),
        )


class Reader(Protocol):
    """Turns one feed's bytes into records."""

    name: str
    title: str
    licence: str
    kind: FeedKind
    experimental: bool
    where: str
    """Where the public feed is and how to get it, in one line."""

    def wanted(self, name: str) -> bool:
        """Whether a member of a directory or archive belongs to the feed, by its name."""

    def recognises(self, name: str, head: bytes) -> bool:
        """Whether a member is of this format, by its name and first bytes."""

    def read(self, members: Iterator[Member], sink: Sink, options: Options) -> None:
        """Read all members into the sink."""


def _content(advisory: Advisory) -> Advisory:
    return msgspec.structs.replace(advisory, file="", modified=None)


def parse_date(
    value: object, sink: Sink, *, file: str, record: str | None, field: str, today: date | None
) -> date | None:
    """A date from a timestamp; what is before 1988 or after ``today`` is unknown, with a warning.

    Timestamps are taken to UTC first, so that the same instant is the same date everywhere.
    """
    if value is None or value == "":
        return None
    text = str(value).strip()
    try:
        if len(text) == 10:
            parsed = date.fromisoformat(text)
        else:
            moment = datetime.fromisoformat(_six_digits(text))
            parsed = (moment.astimezone(UTC) if moment.tzinfo else moment).date()
    except (ValueError, OverflowError):
        sink.warn(file, record, field, f"not a date: {text[:40]!r}; taken as unknown")
        return None
    if parsed < FIRST_CREDIBLE:
        if parsed != date(1970, 1, 1):
            sink.warn(file, record, field, f"{parsed} is before {FIRST_CREDIBLE}; taken as unknown")
        return None
    if today is not None and parsed > today:
        sink.warn(file, record, field, f"{parsed} is in the future; taken as unknown")
        return None
    return parsed


def _six_digits(text: str) -> str:
    """Python's parser takes 3 or 6 fractional digits in 3.10 style; feeds write 2 or 9."""
    dot = text.find(".")
    if dot < 0:
        return text
    end = dot + 1
    while end < len(text) and text[end].isdigit():
        end += 1
    return f"{text[:dot]}.{text[dot + 1 : end][:6].ljust(6, '0')}{text[end:]}"


def decode_problem(error: Exception) -> str:
    """What is wrong with a JSON or TOML document, in words."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    if isinstance(error, RecordError):
        return error.what
    return str(error) or type(error).__name__

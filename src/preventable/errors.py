"""One error tree. Foreign errors are translated into it once, at the boundary.

PreventableError                    exit status 3 unless said otherwise
├── UsageError                      2: an argument or option does not make sense
│   └── CaseError                   2: preventable.toml or a TOML file beside it is wrong
├── InputError                      3: a feed or file cannot be used at all
│   ├── ArchiveError                   the archive is truncated, encrypted or unsafe
│   ├── FormatError                    the format is not recognised or not the one named
│   └── RecordError                    one record is wrong: a row of the read report, fatal under --strict
├── RepositoryError                 3: git refuses, a revision is unknown, a clone is shallow
├── TaxonomyError                   3: a class, CWE, methodology or intervention file is inconsistent
├── StatisticsInputError            3: an estimator was given values outside its domain
├── OutputError                     3: a result cannot be written
└── StoreError                      3: the evidence store is damaged or of another version

Every message says what is wrong, where (file, record, field) and what to do next.
"""

from __future__ import annotations


class PreventableError(Exception):
    """Root of every error that Preventable raises on purpose.

    Args:
        what: what is wrong, in one sentence without a final full stop.
        file: the file or archive member at fault.
        record: the id of the record at fault.
        field: the field at fault.
        hint: what to do next.
    """

    exit_status = 3

    def __init__(
        self,
        what: str,
        *,
        file: str | None = None,
        record: str | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.file = file
        self.record = record
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        where = ", ".join(
            f"{name} {value}"
            for name, value in (("file", self.file), ("record", self.record), ("field", self.field))
            if value is not None
        )
        text = f"{self.what} ({where})" if where else self.what
        return f"{text}. {self.hint}" if self.hint else text


class UsageError(PreventableError):
    """An argument or option does not make sense."""

    exit_status = 2


class CaseError(UsageError):
    """A case file (preventable.toml) or a TOML file beside it is wrong."""


class InputError(PreventableError):
    """A feed or file cannot be used at all."""


class ArchiveError(InputError):
    """An archive is truncated, encrypted or unsafe."""


class FormatError(InputError):
    """A format is not recognised, or a file is not of the format that was named."""


class RecordError(InputError):
    """One record is wrong: it becomes a row of the read report, or fatal under ``--strict``."""


class RepositoryError(PreventableError):
    """Git refuses, a revision is unknown, or a clone lacks the history that is needed."""


class TaxonomyError(PreventableError):
    """A class, CWE, methodology or intervention file is inconsistent."""


class StatisticsInputError(PreventableError):
    """An estimator was given values outside its domain."""


class OutputError(PreventableError):
    """A result cannot be written."""


class StoreError(PreventableError):
    """The evidence store is damaged or of another version."""

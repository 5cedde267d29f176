"""The same census over several releases: lines by language and bucket, and the unsafe share of Rust."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from preventable.code.census import CensusRow
from preventable.code.trees import SourceInput, open_source
from preventable.readers.case_file import CaseFile
from preventable.studies.census_manner import Adjust, OneManner, load_census

SERIES_COLUMNS: tuple[str, ...] = (
    "release",
    "language",
    "bucket",
    "files",
    "code",
    "comment",
    "blank",
    "unsafe_blocks",
    "unsafe_lines",
    "safety_comments",
    "indeterminate_files",
)


class CensusSeries(msgspec.Struct, frozen=True):
    """Censuses of several releases."""

    rows: list[dict[str, Any]]
    """One per release, language and bucket, in the order the releases were given."""
    inputs: list[SourceInput]
    not_counted: list[dict[str, str]]
    """``release, path, reason``."""
    warnings: list[str]


def census_series(
    trees: Sequence[str],
    case: CaseFile | None = None,
    *,
    max_file_bytes: int | None = None,
    adjust: Adjust | None = None,
    advance: Callable[[], None] | None = None,
) -> CensusSeries:
    """Count several releases, or read what was counted.

    Args:
        trees: directories, archives, revisions or saved JSON censuses, the oldest first.
        case: the case file for all; by default that of the saved censuses, else each tree's own.
        max_file_bytes: larger files are named but not counted; by default as in the saved censuses, else 64 MiB.
        adjust: changes to the ``[census]`` section, for command-line options.
        advance: called after each release.
    Raises:
        UsageError: a saved census and another release are not, or cannot be, counted in one manner.
    """
    rows: list[dict[str, Any]] = []
    inputs: list[SourceInput] = []
    not_counted: list[dict[str, str]] = []
    warnings: list[str] = []
    saved = [load_census(what) for what in trees]
    manner = OneManner(saved, case, adjust, max_file_bytes)
    for what, known in zip(trees, saved, strict=True):
        if known is not None:
            rows += by_language(known.rows, what)
            inputs.append(known.source)
            left = known.not_counted
        else:
            census = manner.count(open_source(what, manner.max_file_bytes), what)
            rows += by_language(census.rows, what)
            inputs.append(census.source)
            left = census.not_counted
            warnings += census.warnings
        not_counted += [{"release": what, "path": n.path, "reason": n.reason} for n in left]
        if advance is not None:
            advance()
    return CensusSeries(rows, inputs, not_counted, [*dict.fromkeys(warnings), *manner.warnings()])


def by_language(rows: Sequence[CensusRow], release: str) -> list[dict[str, Any]]:
    """Rows added up over components. A count that is unknown in every component stays unknown.

    Example:
        >>> row = CensusRow("a", "C", "code", 1, 10, 2, 3)
        >>> by_language([row, row], "v1")[0]["code"]
        20
    """
    keys = sorted({(row.language, row.bucket) for row in rows})
    result = []
    for language, bucket in keys:
        group = [row for row in rows if (row.language, row.bucket) == (language, bucket)]
        sums: dict[str, Any] = {"release": release, "language": language, "bucket": bucket}
        for name in SERIES_COLUMNS[3:]:
            values = [getattr(row, name) for row in group if getattr(row, name) is not None]
            sums[name] = sum(values) if values else None
        result.append(sums)
    return result

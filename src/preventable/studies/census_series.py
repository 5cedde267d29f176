"""The same census over several releases: lines by language and bucket, and the unsafe share of Rust."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from preventable.code.census import CensusRow, CensusSection, take_census
from preventable.code.trees import DEFAULT_MAX_FILE_BYTES, SourceInput, open_source
from preventable.readers.case_file import CaseFile
from preventable.studies.census_diff import load_census

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


def census_series(
    trees: Sequence[str],
    case: CaseFile | None = None,
    *,
    max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
    adjust: Callable[[CensusSection], CensusSection] | None = None,
) -> tuple[list[dict[str, Any]], list[SourceInput], list[dict[str, str]]]:
    """Rows per release, language and bucket, in the order the releases are given.

    Args:
        trees: directories, archives, revisions or saved JSON censuses, the oldest first.
        case: the case file for all; by default each tree's own.
    Returns:
        tuple: rows, what was read, and what of each release was not counted (``release, path, reason``).
    """
    rows: list[dict[str, Any]] = []
    inputs: list[SourceInput] = []
    not_counted: list[dict[str, str]] = []
    for what in trees:
        saved = load_census(what)
        if saved is not None:
            known = (saved.rows, saved.source)
        else:
            census = take_census(open_source(what, max_file_bytes), case, adjust=adjust)
            known = (census.rows, census.source)
            not_counted += [{"release": what, "path": n.path, "reason": n.reason} for n in census.not_counted]
        rows += by_language(known[0], what)
        inputs.append(known[1])
    return rows, inputs, not_counted


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

"""Lines of code, comment and blank lines of files, counted by tokei (``pytokei``).

Why tokei and not scc, with the measurements: docs/decisions/0300-counting-library.md.

tokei counts documentation comments of Rust as embedded Markdown; here they are comment lines again. Other
embedded languages (scripts in HTML) are added to the file they stand in.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytokei

C_FAMILY = frozenset(("C", "C Header", "C++", "C++ Header"))


class LineCounts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file as tokei counts it; ``language`` is tokei's name."""

    language: str
    code: int
    comment: int
    blank: int


def counter_name() -> str:
    """Library and version, for the provenance of a result."""
    return f"tokei (pytokei {version('pytokei')})"


def count_files(paths: Sequence[str]) -> dict[str, LineCounts]:
    """Count files that exist on disk.

    Args:
        paths: regular files, not symbolic links; names that are valid Unicode.
    Returns:
        dict: path as given = counts; files in no known language are absent.
    """
    if not paths:
        return {}
    languages = pytokei.Languages()
    languages.get_statistics(list(paths), [], pytokei.Config())
    counts: dict[str, LineCounts] = {}
    for kind, language in languages.get_languages().items():
        name = kind.name() if callable(kind.name) else kind.name
        for report in language.reports:
            stats = report.stats
            code, comment, blank = stats.code, stats.comments, stats.blanks
            if stats.blobs and name == "Rust":
                # Examples inside documentation are nested once more and not reported: the rest is comment.
                comment = _lines_of(report.name) - code - blank
            elif stats.blobs:
                for blob in stats.blobs.values():
                    code, comment, blank = code + blob.code, comment + blob.comments, blank + blob.blanks
            counts[report.name] = LineCounts(str(name), code, comment, blank)
    return counts


def _lines_of(path: str) -> int:
    data = Path(path).read_bytes()
    return data.count(b"\n") + (not data.endswith(b"\n"))


def language_names() -> frozenset[str]:
    """Every language that the counter knows, by the names used in rows.

    Example:
        >>> "C++ Header" in language_names()
        True
    """
    return frozenset(pytokei.LanguageType.list())  # type: ignore[attr-defined]  # missing in its stub

"""What changed between two trees, by component, language and bucket.

A difference is after minus before. It is null when either side does not know the count (an indeterminate
Rust file among those that changed), never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from preventable.code.census import (
    CensusCase,
    CensusRow,
    CensusSection,
    Placer,
    add_up,
    case_in,
    glob_warnings,
    is_partial,
    take_census,
)
from preventable.code.changed import Side, measure_change
from preventable.code.trees import (
    DEFAULT_MAX_FILE_BYTES,
    NotCounted,
    RevisionSource,
    SourceInput,
    open_source,
)
from preventable.errors import FormatError, InputError
from preventable.readers.case_file import CaseFile

COUNTS: tuple[str, ...] = tuple(
    name for name in CensusRow.__struct_fields__ if name not in ("component", "language", "bucket")
)
DIFF_COLUMNS: tuple[str, ...] = (
    "component",
    "language",
    "bucket",
    *(f"{name}_delta" for name in COUNTS[:11]),
)

Adjust = Callable[[CensusSection], CensusSection]
Key = tuple[str, str, str]


class FileDelta(msgspec.Struct, frozen=True):
    """One file that differs; code lines on each side, None where it is not counted."""

    path: str
    status: str
    old_path: str | None
    code_before: int | None
    code_after: int | None


class CensusDiff(msgspec.Struct, frozen=True):
    """The difference of two trees."""

    rows: list[dict[str, Any]]
    inputs: list[SourceInput]
    files: list[FileDelta] | None
    """Known when both are revisions of one repository."""
    not_counted: list[NotCounted]
    warnings: list[str]

    @property
    def partial(self) -> bool:
        """Some source file could not be read or is too large."""
        return is_partial(self.not_counted)


def diff_census(
    a: str,
    b: str,
    case: CaseFile | None = None,
    *,
    max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
    adjust: Adjust | None = None,
) -> CensusDiff:
    """Compare two trees, each a directory, an archive, a revision or a saved JSON census.

    Args:
        a: before.
        b: after.
        case: the case file for both; by default each tree's own.
        adjust: changes to the ``[census]`` section, for command-line options.
    Raises:
        InputError: one of them is not there.
        FormatError: a JSON file is no census.
    """
    saved = [load_census(what) for what in (a, b)]
    sources = [None if known else open_source(what, max_file_bytes) for what, known in zip((a, b), saved, strict=True)]
    first, second = sources
    if isinstance(first, RevisionSource) and isinstance(second, RevisionSource) and _same(first, second):
        return _diff_revisions(first, second, case, max_file_bytes, adjust)
    inputs: list[SourceInput] = []
    rows: list[list[CensusRow]] = []
    not_counted: list[NotCounted] = []
    warnings: list[str] = []
    for known, source in zip(saved, sources, strict=True):
        if known is not None:
            rows.append(known[0])
            inputs.append(known[1])
        elif source is not None:
            census = take_census(source, case, adjust=adjust)
            rows.append(census.rows)
            inputs.append(census.source)
            not_counted += census.not_counted
            warnings += [w for w in census.warnings if w not in warnings]
    return CensusDiff(diff_rows(rows[0], rows[1]), inputs, None, not_counted, warnings)


def diff_rows(before: list[CensusRow], after: list[CensusRow]) -> list[dict[str, Any]]:
    """Rows that differ, sorted, each count as ``<name>_delta``."""
    old = {(r.component, r.language, r.bucket): r for r in before}
    new = {(r.component, r.language, r.bucket): r for r in after}
    rows = []
    for key in sorted({*old, *new}):
        left, right = old.get(key), new.get(key)
        if left == right:
            continue
        row: dict[str, Any] = dict(zip(("component", "language", "bucket"), key, strict=True))
        row |= {f"{name}_delta": _delta(left, right, name) for name in COUNTS}
        rows.append(row)
    return rows


def _delta(left: CensusRow | None, right: CensusRow | None, name: str) -> int | None:
    sides = [side for side in (left, right) if side is not None]
    if name.startswith(("unsafe", "safety", "macro", "extern", "foreign", "exported")) and any(
        side.indeterminate_files for side in sides
    ):
        return None
    values = [0 if side is None else getattr(side, name) for side in (left, right)]
    return None if None in values else int(values[1] - values[0])


def _diff_revisions(
    first: RevisionSource, second: RevisionSource, case: CaseFile | None, limit: int, adjust: Adjust | None
) -> CensusDiff:
    tree = measure_change(first.repository, first.commit, second.commit, max_file_bytes=limit)
    sides = [_rows_of(side, case, adjust) for side in (tree.before, tree.after)]
    warnings = list(dict.fromkeys(w for _, side_warnings in sides for w in side_warnings))
    unread = [
        NotCounted(fact.path, fact.reason or "not counted")
        for side in (tree.before, tree.after)
        for fact in side.facts.values()
        if fact.counts is None
    ]
    not_counted = sorted({(n.path, n.reason): n for n in [*tree.not_counted, *unread]}.values(), key=lambda n: n.path)
    files = []
    for change in tree.changes:
        old = tree.before.facts.get(change.old_path or "")
        new = tree.after.facts.get(change.new_path or "")
        files.append(
            FileDelta(
                change.new_path or change.old_path or "",
                change.status,
                change.old_path if change.status == "renamed" else None,
                old.counts.code if old and old.counts else None,
                new.counts.code if new and new.counts else None,
            )
        )
    rows = diff_rows(sides[0][0], sides[1][0])
    return CensusDiff(rows, [first.provenance(), second.provenance()], files, not_counted, warnings)


def _rows_of(side: Side, case: CaseFile | None, adjust: Adjust | None) -> tuple[list[CensusRow], list[str]]:
    rules = CensusCase.of(case or case_in(side.kept))
    if adjust is not None:
        rules = msgspec.structs.replace(rules, census=adjust(rules.census))
    placer = Placer(rules, side.paths, side.kept)
    facts = [f for f in side.facts.values() if not placer.excluded(f.path)]
    known = [f for f in facts if f.counts is not None or f.path.endswith(".rs")]
    return add_up((placer.place(f), f) for f in known), [*glob_warnings(rules, side.paths), *placer.warnings]


def _same(first: RevisionSource, second: RevisionSource) -> bool:
    places = {
        Path(s.repository.text("rev-parse", "--path-format=absolute", "--git-common-dir")) for s in (first, second)
    }
    return len(places) == 1


def load_census(what: str) -> tuple[list[CensusRow], SourceInput] | None:
    """A census saved as JSON, if that is what the file is."""
    path = Path(what)
    if path.suffix != ".json" or not path.is_file():
        return None
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise FormatError(
            f"The file is not JSON: {error}", file=what, hint="Save one with census --format json"
        ) from error
    if document.get("kind") != "census":
        raise FormatError("The file is no census", file=what, field="kind", hint="Save one with census --format json")
    try:
        rows = msgspec.convert(document.get("results"), list[CensusRow])
    except msgspec.ValidationError as error:
        raise InputError(f"The census is damaged: {error}", file=what, field="results", hint="Take it again") from error
    return rows, SourceInput("result", what, note=_origin(document))


def _origin(document: Mapping[str, Any]) -> str | None:
    inputs = document.get("inputs")
    first = inputs[0] if isinstance(inputs, list) and inputs else None
    return str(first.get("commit") or first.get("location")) if isinstance(first, dict) else None

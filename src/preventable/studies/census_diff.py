"""What changed between two trees, by component, language and bucket.

A difference is after minus before. It is null when either side does not know the count (an indeterminate
Rust file among those that changed), never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from preventable.code.census import (
    CensusRow,
    Placer,
    add_up,
    header_language,
    is_partial,
)
from preventable.code.census_case import CensusCase, case_in, glob_warnings
from preventable.code.changed import NOT_FILES, ChangedTree, Side, measure_change, not_a_file
from preventable.code.counting import LineCounts
from preventable.code.measure import FileFacts
from preventable.code.trees import NotCounted, RevisionSource, SourceInput, open_source
from preventable.errors import InputError
from preventable.readers.case_file import CaseFile
from preventable.studies.census_manner import Adjust, OneManner, load_census

COUNTS: tuple[str, ...] = tuple(
    name for name in CensusRow.__struct_fields__ if name not in ("component", "language", "bucket")
)
DIFF_COLUMNS: tuple[str, ...] = (
    "component",
    "language",
    "bucket",
    *(f"{name}_delta" for name in COUNTS[:11]),
)


class FileDelta(msgspec.Struct, frozen=True):
    """One file that differs; code lines on each side, None where it is not counted."""

    path: str
    status: str
    old_path: str | None
    code_before: int | None
    code_after: int | None


class NotCountedOn(NotCounted, frozen=True, omit_defaults=True):
    """What was not counted on one side only; without the side on both."""

    side: Literal["before", "after"] | None = None


class CensusDiff(msgspec.Struct, frozen=True):
    """The difference of two trees."""

    rows: list[dict[str, Any]]
    inputs: list[SourceInput]
    files: list[FileDelta] | None
    """Known when both are revisions of one repository."""
    not_counted: Sequence[NotCounted]
    """Of the changed files, where both are revisions of one repository; else of all, with the side."""
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
    max_file_bytes: int | None = None,
    adjust: Adjust | None = None,
) -> CensusDiff:
    """Compare two trees, each a directory, an archive, a revision or a saved JSON census.

    Args:
        a: before.
        b: after.
        case: the case file for both; by default that of a saved census, else each tree's own.
        max_file_bytes: larger files are named but not counted; by default as in a saved census, else 64 MiB.
        adjust: changes to the ``[census]`` section, for command-line options.
    Raises:
        InputError: one of them is not there.
        FormatError: a JSON file is no census.
        UsageError: a saved census and the other side are not, or cannot be, counted in one manner.
    """
    saved = [load_census(what) for what in (a, b)]
    manner = OneManner(saved, case, adjust, max_file_bytes)
    limit = manner.max_file_bytes
    sources = [None if known else open_source(what, limit) for what, known in zip((a, b), saved, strict=True)]
    first, second = sources
    if isinstance(first, RevisionSource) and isinstance(second, RevisionSource) and _same(first, second):
        return _diff_revisions((first, second), (a, b), case, manner)
    inputs: list[SourceInput] = []
    rows: list[list[CensusRow]] = []
    left: list[list[NotCounted]] = []
    warnings: list[str] = []
    for what, known, source in zip((a, b), saved, sources, strict=True):
        if known is not None:
            rows.append(known.rows)
            left.append(known.not_counted)
            inputs.append(known.source)
        elif source is not None:
            census = manner.count(source, what)
            rows.append(census.rows)
            inputs.append(census.source)
            left.append(census.not_counted)
            warnings += [w for w in census.warnings if w not in warnings]
    not_counted = _by_side(left[0], left[1])
    return CensusDiff(diff_rows(rows[0], rows[1]), inputs, None, not_counted, [*warnings, *manner.warnings()])


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
    sources: tuple[RevisionSource, RevisionSource], names: tuple[str, str], case: CaseFile | None, manner: OneManner
) -> CensusDiff:
    first, second = sources
    limit = manner.max_file_bytes
    tree = measure_change(first.repository, first.commit, second.commit, max_file_bytes=limit)
    sides = (tree.before, tree.after)
    rules = [
        manner.rules(CensusCase.of(case or case_in(side.kept)), name) for side, name in zip(sides, names, strict=True)
    ]
    placers = [Placer(r, side.paths, side.kept) for r, side in zip(rules, sides, strict=True)]
    unread = [
        NotCounted(fact.path, fact.reason or "not counted")
        for side in sides
        for fact in side.facts.values()
        if fact.counts is None
    ]
    # What is no file any more had no lines before: they are as unknown as those of one that is new.
    gone = [
        NotCounted(change.old_path, not_a_file(change.old_mode))
        for change in tree.changes
        if change.old_path is not None and change.old_mode in NOT_FILES
    ]
    not_counted = _distinct([*tree.not_counted, *unread, *gone])
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
    inputs = [first.provenance(), second.provenance()]
    moved = _moved(tree, rules, placers)
    if moved is not None:
        # Files that did not change are counted elsewhere now: what changed is not the whole difference.
        rows, more_not_counted, warnings = _in_full(sources, names, manner)
        note = f"counted in full: the change places {moved} elsewhere, which itself did not change"
        inputs = [msgspec.structs.replace(source, note=note) for source in inputs]
        not_counted = _distinct([*not_counted, *more_not_counted])
        return CensusDiff(rows, inputs, files, not_counted, [*warnings, *manner.warnings()])
    before, after = (_rows_of(side, p) for side, p in zip(sides, placers, strict=True))
    warnings = [
        warning
        for r, side, p in zip(rules, sides, placers, strict=True)
        for warning in (*glob_warnings(r, side.paths), *p.warnings)
    ]
    warnings = [*dict.fromkeys(warnings), *manner.warnings()]
    return CensusDiff(diff_rows(before, after), inputs, files, not_counted, warnings)


def _by_side(before: Iterable[NotCounted], after: Iterable[NotCounted]) -> list[NotCountedOn]:
    """What either side lacks, once each."""
    old, new = ({(n.path, n.reason) for n in side} for side in (before, after))
    return [
        NotCountedOn(*item, None if item in old and item in new else "before" if item in old else "after")
        for item in sorted(old | new)
    ]


def _distinct(items: Iterable[NotCounted]) -> list[NotCounted]:
    return sorted({(n.path, n.reason): n for n in items}.values(), key=lambda n: n.path)


def _rows_of(side: Side, placer: Placer) -> list[CensusRow]:
    facts = [f for f in side.facts.values() if not placer.excluded(f.path)]
    known = [f for f in facts if f.counts is not None or f.path.endswith(".rs")]
    return add_up((placer.place(f), f) for f in known)


def _in_full(
    sources: tuple[RevisionSource, RevisionSource], names: tuple[str, str], manner: OneManner
) -> tuple[list[dict[str, Any]], list[NotCounted], list[str]]:
    rows: list[list[CensusRow]] = []
    not_counted: list[NotCounted] = []
    warnings: list[str] = []
    for source, name in zip(sources, names, strict=True):
        try:
            census = manner.count(source, name)
        except InputError:  # nothing in it is counted; the rules themselves were read before
            rows.append([])
            continue
        rows.append(census.rows)
        not_counted += census.not_counted
        warnings += census.warnings
    return diff_rows(rows[0], rows[1]), not_counted, list(dict.fromkeys(warnings))


def _moved(tree: ChangedTree, rules: Sequence[CensusCase], placers: Sequence[Placer]) -> str | None:
    """A file that did not change but is counted elsewhere after the change, if there is one.

    Looked for only if what decides about other files changed: the rules, attributes, manifests, MAINTAINERS, what
    makes a known project, or the names of sources beside a header.
    """
    before, after = tree.before, tree.after
    changed = {change.old_path for change in tree.changes}
    unchanged = [path for path in before.paths if path not in changed]
    if _deciders(before, rules[0], placers[0]) != _deciders(after, rules[1], placers[1]):
        return next((p for p in unchanged if _places(placers[0], p) != _places(placers[1], p)), None)
    if any(change.old_path != change.new_path for change in tree.changes):
        was, now = (header_language(r.census, side.paths) for r, side in zip(rules, (before, after), strict=True))
        headers = (path for path in unchanged if path.endswith(".h") and not placers[0].excluded(path))
        return next((path for path in headers if was(path) != now(path)), None)
    return None


def _deciders(side: Side, rules: CensusCase, placer: Placer) -> tuple[object, ...]:
    """What decides where other files are counted."""
    names = {".gitattributes"}
    if rules.census.components_from == "cargo":
        names.add("Cargo.toml")
    files = {path: data for path, data in side.kept.items() if path.rpartition("/")[2] in names}
    if rules.census.components_from == "maintainers":
        files["MAINTAINERS"] = side.kept.get("MAINTAINERS", b"")
    return rules.census, list(rules.components.items()), placer.project, files


def _places(placer: Placer, path: str) -> tuple[object, ...] | None:
    """Where a file of this path is counted, whatever is in it: with and without the marker of a generated file."""
    if placer.excluded(path):
        return None
    language = "C Header" if path.endswith(".h") else "unknown"
    facts = (FileFacts(path, LineCounts(language, 0, 0, 0), marker) for marker in (None, "generated"))
    placed = [placer.place(fact) for fact in facts]
    # The default gives way to test attributes of a file.
    return tuple((p.component, p.language, p.bucket, p.rule == "default") for p in placed)


def _same(first: RevisionSource, second: RevisionSource) -> bool:
    places = {
        Path(s.repository.text("rev-parse", "--path-format=absolute", "--git-common-dir")) for s in (first, second)
    }
    return len(places) == 1

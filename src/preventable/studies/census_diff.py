"""What changed between two trees, by component, language and bucket.

A difference is after minus before. It is null when either side does not know the count (an indeterminate
Rust file among those that changed), never zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from preventable.code.census import (
    Census,
    CensusCase,
    CensusRow,
    CensusSection,
    Placer,
    add_up,
    case_in,
    glob_warnings,
    header_language,
    is_partial,
    take_census,
)
from preventable.code.changed import ChangedTree, Side, measure_change
from preventable.code.counting import LineCounts
from preventable.code.measure import FileFacts
from preventable.code.trees import (
    DEFAULT_MAX_FILE_BYTES,
    NotCounted,
    RevisionSource,
    Source,
    SourceInput,
    open_source,
)
from preventable.errors import FormatError, InputError, UsageError
from preventable.readers.case_file import CaseFile
from preventable.records import METHOD_VERSION

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


class Manner(msgspec.Struct, frozen=True):
    """How a saved census was counted; None: an earlier release did not write it down."""

    file: str
    method_version: str | None
    components_from: str | None
    headers: str | None
    census_rules: CensusSection | None
    """The ``[census]`` section with the options of the command line."""
    case: str | None
    """Digest of the case file that was given, ``""`` where each tree's own counted."""

    def section(self, other: CensusSection) -> CensusSection:
        """The section for another tree, so that it is counted in this manner."""
        if self.census_rules is not None:
            return self.census_rules
        known = {"components_from": self.components_from, "headers": self.headers}
        changes = msgspec.to_builtins(other) | {name: value for name, value in known.items() if value is not None}
        return msgspec.convert(changes, CensusSection)

    def require(self, name: str, mine: object, other: object, where: str, hint: str) -> None:
        """Raise UsageError unless two values agree; those that nobody wrote down are let pass."""
        if mine is not None and other is not None and mine != other:
            raise UsageError(
                f"The sides are not counted alike: {name} is {_shown(mine)} in {self.file} and {_shown(other)} {where}",
                file=self.file, field=name, hint=hint,
            )  # fmt: skip


class SavedCensus(msgspec.Struct, frozen=True):
    """A census saved as JSON."""

    rows: list[CensusRow]
    source: SourceInput
    manner: Manner


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
        UsageError: a saved census was counted in a manner that the other side is not, or cannot be, counted in.
    """
    saved = [load_census(what) for what in (a, b)]
    manners = [known.manner for known in saved if known is not None]
    if len(manners) == 2:
        _require_alike(*manners)
    elif manners:
        adjust = _in_manner(manners[0], case, adjust)
    sources = [None if known else open_source(what, max_file_bytes) for what, known in zip((a, b), saved, strict=True)]
    first, second = sources
    if isinstance(first, RevisionSource) and isinstance(second, RevisionSource) and _same(first, second):
        return _diff_revisions(first, second, case, max_file_bytes, adjust)
    inputs: list[SourceInput] = []
    rows: list[list[CensusRow]] = []
    not_counted: list[NotCounted] = []
    warnings: list[str] = []
    counted: list[Census] = []
    for known, source in zip(saved, sources, strict=True):
        if known is not None:
            rows.append(known.rows)
            inputs.append(known.source)
        elif source is not None:
            census = _counted(source, case, adjust, manners)
            counted.append(census)
            rows.append(census.rows)
            inputs.append(census.source)
            not_counted += census.not_counted
            warnings += [w for w in census.warnings if w not in warnings]
    if len(counted) == 2:
        warnings += _unlike(
            (counted[0].components_from, counted[0].headers), (counted[1].components_from, counted[1].headers)
        )
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
    rules = [_rules_of(side, case, adjust) for side in (tree.before, tree.after)]
    placers = [Placer(r, side.paths, side.kept) for r, side in zip(rules, (tree.before, tree.after), strict=True)]
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
    inputs = [first.provenance(), second.provenance()]
    unlike = _unlike(*((r.census.components_from, r.census.headers) for r in rules))
    moved = _moved(tree, rules, placers)
    if moved is not None:
        # Files that did not change are counted elsewhere now: what changed is not the whole difference.
        rows, more_not_counted, warnings = _in_full((first, second), case, adjust)
        note = f"counted in full: the change places {moved} elsewhere, which itself did not change"
        inputs = [msgspec.structs.replace(source, note=note) for source in inputs]
        not_counted = sorted(
            {(n.path, n.reason): n for n in [*not_counted, *more_not_counted]}.values(), key=lambda n: n.path
        )
        return CensusDiff(rows, inputs, files, not_counted, [*warnings, *unlike])
    before, after = (_rows_of(side, p) for side, p in zip((tree.before, tree.after), placers, strict=True))
    warnings = [
        warning
        for r, side, p in zip(rules, (tree.before, tree.after), placers, strict=True)
        for warning in (*glob_warnings(r, side.paths), *p.warnings)
    ]
    return CensusDiff(diff_rows(before, after), inputs, files, not_counted, [*dict.fromkeys(warnings), *unlike])


def _require_alike(first: Manner, second: Manner) -> None:
    """Raise UsageError unless two saved censuses were counted in one manner."""
    where, hint = f"in {second.file}", "Take one of them again in the manner of the other"
    first.require("method_version", first.method_version, second.method_version, where, hint)
    first.require("components_from", first.components_from, second.components_from, where, hint)
    first.require("headers", first.headers, second.headers, where, hint)
    first.require("case", first.case, second.case, where, hint)
    if first.census_rules is not None and second.census_rules is not None:
        _require_section(first, second.census_rules, where, hint)


def _in_manner(manner: Manner, case: CaseFile | None, adjust: Adjust | None) -> Adjust:
    """Count the other side as a saved census was counted.

    Raises:
        UsageError: the options or the case file ask for another manner.
    """
    version = f"Take {manner.file} again with this release"
    manner.require("method_version", manner.method_version, METHOD_VERSION, "for the other side", version)
    given = case.digest if case is not None else ""
    hint = "Give the same --case for both, or take the saved census again"
    manner.require("case", manner.case, given, "for the other side", hint)
    if adjust is not None:
        saved = manner.section(CensusSection())
        hint = "Leave the option out, so that the other side is counted as the saved one, or take the saved one again"
        _require_section(manner, adjust(saved), "for the other side", hint)
    return manner.section


def _require_section(manner: Manner, other: CensusSection, where: str, hint: str) -> None:
    mine = manner.section(CensusSection())
    for name in CensusSection.__struct_fields__:
        manner.require(name, getattr(mine, name), getattr(other, name), where, hint)


def _counted(source: Source, case: CaseFile | None, adjust: Adjust | None, manners: Sequence[Manner]) -> Census:
    try:
        return take_census(source, case, adjust=adjust)
    except InputError as error:
        if not manners or error.field != "census.components_from":
            raise
        where = source.provenance().location
        raise UsageError(
            f"{where} cannot be counted as {manners[0].file} was: {error.what}", file=manners[0].file,
            field="components_from", hint="Take the saved census again with --components-from directories",
        ) from error  # fmt: skip


def _unlike(first: tuple[str, str], second: tuple[str, str]) -> list[str]:
    """A sentence for each rule that each tree's own case file sets otherwise."""
    return [
        f"{name} is {before} before and {after} after: rows differ by that too; --{option} sets one for both"
        for name, option, before, after in zip(
            ("components_from", "headers"), ("components-from", "headers"), first, second, strict=True
        )
        if before != after
    ]


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "nothing"
    return str(value) or "each tree's own"


def _rules_of(side: Side, case: CaseFile | None, adjust: Adjust | None) -> CensusCase:
    rules = CensusCase.of(case or case_in(side.kept))
    return rules if adjust is None else msgspec.structs.replace(rules, census=adjust(rules.census))


def _rows_of(side: Side, placer: Placer) -> list[CensusRow]:
    facts = [f for f in side.facts.values() if not placer.excluded(f.path)]
    known = [f for f in facts if f.counts is not None or f.path.endswith(".rs")]
    return add_up((placer.place(f), f) for f in known)


def _in_full(
    sources: tuple[RevisionSource, RevisionSource], case: CaseFile | None, adjust: Adjust | None
) -> tuple[list[dict[str, Any]], list[NotCounted], list[str]]:
    rows: list[list[CensusRow]] = []
    not_counted: list[NotCounted] = []
    warnings: list[str] = []
    for source in sources:
        try:
            census = take_census(source, case, adjust=adjust)
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
    return rules.census, rules.components, placer.project, files


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


def load_census(what: str) -> SavedCensus | None:
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
    field = "results"
    try:
        rows = msgspec.convert(document.get("results"), list[CensusRow])
        field = "census_rules"
        manner = msgspec.convert(dict.fromkeys(Manner.__struct_fields__) | document | {"file": what}, Manner)
    except msgspec.ValidationError as error:
        raise InputError(f"The census is damaged: {error}", file=what, field=field, hint="Take it again") from error
    return SavedCensus(rows, SourceInput("result", what, note=_origin(document)), manner)


def _origin(document: Mapping[str, Any]) -> str | None:
    inputs = document.get("inputs")
    first = inputs[0] if isinstance(inputs, list) and inputs else None
    return str(first.get("commit") or first.get("location")) if isinstance(first, dict) else None

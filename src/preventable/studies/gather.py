"""From locations to evidence: read, merge, date, mark, label, lay out; or take what the store already has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path

import msgspec

from preventable.classify.labeller import TextLabeller, label_by_text, label_records, unknown_cwes
from preventable.classify.words import is_rejected
from preventable.errors import RecordError, UsageError
from preventable.evidence.merge import merge_advisories
from preventable.evidence.store import load_evidence, save_evidence
from preventable.evidence.tables import Evidence, build_evidence, date_ranges, mark_exploited
from preventable.readers.base import Options
from preventable.readers.kernel_cna import KernelCnaReader
from preventable.readers.registry import Load, fingerprint, load
from preventable.readers.tabular import CsvReader, JsonlReader
from preventable.records import METHOD_VERSION, Advisory, FailedRow, ReadReport
from preventable.studies.embedded import embedded_releases, embedded_releases_report
from preventable.taxonomy.loader import Taxonomy, load_taxonomy

_SILENT = frozenset((JsonlReader.name, CsvReader.name))
"""Formats that have no word for a record that was withdrawn: nothing in them says that one is live."""


class Request(msgspec.Struct, frozen=True):
    """What to read and how; equal requests over equal bytes give equal evidence."""

    locations: tuple[str, ...]
    format_name: str | None = None
    options: Options = Options()
    strict: bool = False
    components_key: str = "directories"
    """Names the component map, for the store's key."""


def gather(
    request: Request,
    component_of: Callable[[str], str],
    *,
    store: Path | None = None,
    taxonomy: Taxonomy | None = None,
    by_text: TextLabeller = label_by_text,
    quiet: bool = True,
    say: Callable[[str], None] = lambda _message: None,
) -> Evidence:
    """The evidence that the locations hold.

    Args:
        request: what to read.
        component_of: maps a path to its component.
        store: directory of the evidence store; a run with unchanged inputs reads it instead of the feeds.
        taxonomy: classes and CWE map; the built-in one when not given.
        by_text: labels records by their texts; the model with the rules' words when not given.
        quiet: no progress on standard error.
        say: takes messages.
    Raises:
        UsageError: no location holds vulnerability records.
        InputError: a feed cannot be used at all.
        RecordError: under ``strict``, the first row of a read report.
    """
    key = _key(request)
    if store is not None:
        known = load_evidence(store, key)
        if known is not None:
            say(f"unchanged inputs: evidence taken from {store}")
            return known
    loads = dated_loads(
        [
            load(location, format_name=request.format_name, options=request.options, strict=request.strict, quiet=quiet)
            for location in request.locations
        ]
    )
    taxonomy = taxonomy or load_taxonomy()
    merged, told = merge_loads(loads, strict=request.strict)
    records = _prepared(merged, loads)
    evidence = build_evidence(
        records,
        label_records(records, taxonomy, by_text),
        [_with_unknown_cwes(one, taxonomy, strict=request.strict) for one in told]
        + ([embedded_releases_report()] if dates_by_embedded(loads) else []),
        component_of,
    )
    if store is not None:
        save_evidence(evidence, store, key)
    return evidence


def _prepared(merged: Sequence[Advisory], loads: Sequence[Load]) -> list[Advisory]:
    if not merged:
        raise UsageError(
            "no vulnerability records among the locations",
            hint="Give at least one feed of records with --advisories; see `preventable list readers`",
        )
    marks: dict[str, date] = {}
    for one in loads:
        marks.update(one.marks)
    return mark_exploited(merged, marks)


def dated_loads(loads: Sequence[Load], tags: Mapping[str, date] | None = None) -> list[Load]:
    """Loads whose ranges are dated by release, feed by feed: before records are merged it is known whose range it is.

    Release dates that a location gives, and those of a clone's tags, date every feed. Where none gives any, the
    embedded ones of the kernel date the kernel's own records and no others: version 6.1 of something else is not Linux.

    Args:
        loads: as read.
        tags: version -> date, of a clone.
    """
    given = {**releases_of(loads), **(tags or {})}
    kernel = {**embedded_releases(), **given} if dates_by_embedded(loads) else given
    dated = []
    for one in loads:
        releases = kernel if one.report.format == KernelCnaReader.name else given
        dated.append(
            msgspec.structs.replace(one, advisories=tuple(date_ranges(one.advisories, releases))) if releases else one
        )
    return dated


def releases_of(loads: Sequence[Load]) -> dict[str, date]:
    """All release dates that locations give."""
    return {version: day for one in loads for version, day in one.releases.items()}


def dates_by_embedded(loads: Sequence[Load]) -> bool:
    """Whether release dates of the kernel's versions are needed that no location gives."""
    kernel = any(a.feed == KernelCnaReader.name for one in loads for a in one.advisories)
    return kernel and not any(one.releases for one in loads)


def merge_loads(
    loads: Sequence[Load], *, dated_commits: Container[str] = frozenset(), strict: bool = False
) -> tuple[list[Advisory], list[Load]]:
    """All records, each vulnerability once, and the loads as their reports tell of it: the one rule of all studies.

    What an earlier load of the same format has by the same id is a duplicate, and no longer among the load's records;
    where the two differ a warning says so, and the one given first stands. What is one with an earlier record
    otherwise, by an alias or in another format, is counted as ``joined``.

    Args:
        loads: dated, see ``dated_loads``.
        dated_commits: commits whose date is known.
        strict: a duplicate that differs is an error.
    Raises:
        RecordError: under ``strict``, the first that differs.
    """
    merged = merge_advisories(
        [one.advisories for one in loads],
        dated_commits=dated_commits,
        tells_nothing=lambda t: bool(is_rejected(t)),
        silent=_SILENT,
    )
    told = [
        msgspec.structs.replace(
            one,
            report=msgspec.structs.replace(one.report, joined=sum(a.id in joined for a in one.advisories)),
        )
        for one, joined in zip(_less_repeats(loads, strict=strict), merged.joined, strict=True)
    ]
    return list(merged.records), told


def _less_repeats(loads: Sequence[Load], *, strict: bool) -> list[Load]:
    seen: dict[tuple[str, str], tuple[str, Advisory]] = {}
    told = []
    for one in loads:
        repeated = [a for a in one.advisories if (a.feed, a.id) in seen]
        differing = []
        for a in repeated:
            location, first = seen[a.feed, a.id]
            if msgspec.structs.replace(a, file=first.file) != first:
                reason = f"differs from the one in {location}, which stands"
                if strict:
                    raise RecordError(reason, file=one.report.location, record=a.id)
                differing.append(FailedRow(one.report.location, a.id, None, reason))
        kept = tuple(a for a in one.advisories if (a.feed, a.id) not in seen)
        seen |= {(a.feed, a.id): (one.report.location, a) for a in kept}
        report = msgspec.structs.replace(
            one.report,
            read=one.report.read - len(repeated),
            duplicate=one.report.duplicate + len(repeated),
            warnings=one.report.warnings + tuple(differing),
        )
        told.append(msgspec.structs.replace(one, report=report, advisories=kept))
    return told


def _with_unknown_cwes(one: Load, taxonomy: Taxonomy, *, strict: bool) -> ReadReport:
    unknown = unknown_cwes(one.advisories, taxonomy)
    if not unknown:
        return one.report
    rows = tuple(
        FailedRow(one.report.location, None, "cwe", f"CWE-{cwe} is not in the map; it decides nothing ({n} records)")
        for cwe, n in unknown.items()
    )
    if strict:
        raise RecordError(rows[0].reason, file=rows[0].file, field="cwe")
    return msgspec.structs.replace(one.report, warnings=one.report.warnings + rows)


def _key(request: Request) -> str:
    """Digest of everything that decides the evidence: inputs, options, methods."""
    sha256 = hashlib.sha256()
    for part in (
        METHOD_VERSION,
        _own_data_digest(),
        repr(request.format_name),
        msgspec.json.encode(request.options, order="sorted").decode(),
        repr(request.strict),
        request.components_key,
        *(f"{location}\0{fingerprint(location, request.format_name)}" for location in request.locations),
    ):
        sha256.update(part.encode() + b"\0")
    return sha256.hexdigest()


_DECIDING = frozenset((".toml", ".py", ".npz", ".json", ".csv"))


def _own_data_digest() -> str:
    """Digest of the tables and code that read and label: a changed rule must not meet an old store."""
    sha256 = hashlib.sha256()
    for package in ("taxonomy", "classify", "readers", "evidence", "data/model", "data/linux", "studies/gather.py"):
        root = Path(str(files("preventable"))) / package
        for path in sorted(
            p for p in (root.rglob("*") if root.is_dir() else [root]) if p.is_file() and p.suffix in _DECIDING
        ):
            sha256.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return sha256.hexdigest()

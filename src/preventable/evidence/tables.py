"""Evidence: the records of all feeds as tables, dated, with components and labels. Every study asks these tables.

``advisories`` has one row per vulnerability, ``files``, ``cwes``, ``ranges`` and ``reasons`` have several; all join on
``id``. Records of several feeds that name each other (same id or alias) are one vulnerability: see ``evidence.merge``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Protocol

import msgspec
import polars as pl

from preventable.records import Advisory, CodeRange, Label, ReadReport

SCHEMA: dict[str, dict[str, pl.DataType]] = {
    "advisories": {
        "id": pl.String(),
        "feed": pl.String(),
        "title": pl.String(),
        "text": pl.String(),
        "impact": pl.String(),
        "aliases": pl.List(pl.String),
        "published": pl.Date(),
        "fixed": pl.Date(),
        "introduced": pl.Date(),
        "severity": pl.String(),
        "cvss_score": pl.Float64(),
        "cvss_vector": pl.String(),
        "package": pl.String(),
        "categories": pl.List(pl.String),
        "informational": pl.String(),
        "withdrawn": pl.Date(),
        "known_exploited": pl.Date(),
        "weakness": pl.String(),
        "label_source": pl.String(),
        "cwe": pl.Int64(),
        "weakness_by_cwe": pl.String(),
        "weakness_by_text": pl.String(),
    },
    "files": {"id": pl.String(), "path": pl.String(), "component": pl.String()},
    "cwes": {"id": pl.String(), "cwe": pl.Int64(), "said_by": pl.String()},
    "ranges": {
        "id": pl.String(),
        "introduced_version": pl.String(),
        "introduced_commit": pl.String(),
        "introduced": pl.Date(),
        "fixed_version": pl.String(),
        "fixed_commit": pl.String(),
        "fixed": pl.Date(),
        "mainline": pl.Boolean(),
    },
    "reasons": {
        "id": pl.String(),
        "weakness": pl.String(),
        "kind": pl.String(),
        "detail": pl.String(),
        "said_by": pl.String(),
        "field": pl.String(),
        "start": pl.Int64(),
        "end": pl.Int64(),
    },
}
"""Tables and their columns; ``docs/evidence.md`` tells what each means."""


class BothLabels(Protocol):
    """The labels of a record, as ``classify.labeller`` gives them."""

    @property
    def by_cwe(self) -> Label: ...
    @property
    def by_text(self) -> Label: ...
    @property
    def standing(self) -> Label: ...


NO_FILE = "unknown"
"""Component of a record that names no file."""


class Evidence(msgspec.Struct, frozen=True):
    """All tables with the read reports of what they came from."""

    advisories: pl.DataFrame
    files: pl.DataFrame
    cwes: pl.DataFrame
    ranges: pl.DataFrame
    reasons: pl.DataFrame
    reports: tuple[ReadReport, ...]

    def table(self, name: str) -> pl.DataFrame:
        """A table by name."""
        frame: pl.DataFrame = getattr(self, name)
        return frame


def build_evidence(
    advisories: Sequence[Advisory],
    labels: Sequence[BothLabels],
    reports: Sequence[ReadReport],
    component_of: Callable[[str], str],
) -> Evidence:
    """The tables of records that are merged, dated and labelled.

    Args:
        advisories: records, sorted by id.
        labels: per record the label by CWE, the one by text, and which stands.
        reports: what was read.
        component_of: maps a path to its component.
    """
    rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in SCHEMA}
    components: dict[str, str] = {}
    for a, both in zip(advisories, labels, strict=True):
        label, by_cwe, by_text = both.standing, both.by_cwe, both.by_text
        main = mainline_range(a)
        rows["advisories"].append(
            (
                a.id, a.feed, a.title, a.text, a.impact, list(a.aliases), a.published,
                main.fixed_date if main else None, main.introduced_date if main else None,
                a.severity, a.cvss_score, a.cvss_vector, a.package, list(a.categories), a.informational,
                a.withdrawn, a.known_exploited, label.weakness, label.source, label.cwe, by_cwe.weakness,
                by_text.weakness,
            )
        )  # fmt: skip
        for path in a.files:
            component = components.get(path)
            if component is None:
                component = components[path] = component_of(path)
            rows["files"].append((a.id, path, component))
        rows["cwes"] += [(a.id, c.cwe, c.said_by) for c in a.cwes]
        rows["ranges"] += [
            (
                a.id, r.introduced_version, r.introduced_commit, r.introduced_date,
                r.fixed_version, r.fixed_commit, r.fixed_date, r.mainline,
            )
            for r in a.ranges
        ]  # fmt: skip
        for one in (by_cwe, by_text):
            rows["reasons"] += [
                (
                    a.id, one.weakness, r.kind, r.detail, r.said_by,
                    r.span.field if r.span else None, r.span.start if r.span else None, r.span.end if r.span else None,
                )
                for r in one.reasons
            ]  # fmt: skip
    frames = {name: pl.DataFrame(rows[name], schema=schema, orient="row") for name, schema in SCHEMA.items()}
    return Evidence(**frames, reports=tuple(reports))


def mainline_range(advisory: Advisory) -> CodeRange | None:
    """The span that dates a record: the mainline one; with several fixes in mainline the last of them."""
    spans = [r for r in advisory.ranges if r.mainline and r.fixed_commit]
    if not spans:
        return None
    return max(spans, key=lambda r: (r.fixed_date or date.min, r.fixed_commit or ""))


def date_ranges(advisories: Sequence[Advisory], releases: Mapping[str, date]) -> list[Advisory]:
    """Records whose versions are dated by a table of releases; a version it lacks stays without a date."""

    def dated(r: CodeRange) -> CodeRange:
        return msgspec.structs.replace(
            r,
            introduced_date=releases.get(r.introduced_version or "", r.introduced_date),
            fixed_date=releases.get(r.fixed_version or "", r.fixed_date),
        )

    return [msgspec.structs.replace(a, ranges=tuple(dated(r) for r in a.ranges)) if a.ranges else a for a in advisories]


def mark_exploited(advisories: Sequence[Advisory], marks: Mapping[str, date]) -> list[Advisory]:
    """Records whose id or alias a catalogue of exploited vulnerabilities lists, with the date it was added."""
    if not marks:
        return list(advisories)
    return [
        msgspec.structs.replace(
            a, known_exploited=next((marks[n] for n in (a.id, *a.aliases) if n in marks), a.known_exploited)
        )
        for a in advisories
    ]

"""The whole answer about one body of records: every study of it, with what was read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import msgspec
import polars as pl

from preventable.errors import FormatError
from preventable.evidence.tables import Evidence
from preventable.records import METHOD_VERSION, ReadReport
from preventable.stats.agreement import Agreement
from preventable.studies.audit import Audited
from preventable.studies.audit_used import AuditUsed, built_in_audit_used, given_audit_used
from preventable.studies.corrected import CorrectedRow, corrected_share, fitting_audit
from preventable.studies.hotspots import HotspotRow, hotspots
from preventable.studies.population import Dating, Filters, Period, Population, select
from preventable.studies.prevented import PreventedRow, prevented
from preventable.studies.record_table import Comparison, compare_with, label_agreement, record_table
from preventable.studies.share import ShareRow, share
from preventable.studies.trend import TrendRow, trend
from preventable.taxonomy.loader import Taxonomy


class LabelSourceRow(msgspec.Struct, frozen=True):
    """How many records got their class from where."""

    source: str
    weakness: str
    count: int


class Results(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The figures of an assessment: ``results`` of ``results.json``."""

    name: str
    primary: str
    """Id of the methodology that the summary speaks of."""
    data_digest: str
    data_date: date | None
    by: Dating
    period: Period
    filters: Filters
    total: int
    withdrawn: int
    undated: int
    left_out: int
    without_severity: int
    shares: list[ShareRow]
    corrected: list[CorrectedRow]
    """Shares corrected by an audit of these very records; empty where none fits."""
    component_shares: list[ShareRow]
    prevented: list[PreventedRow]
    hotspots: list[HotspotRow]
    trend: list[TrendRow]
    label_sources: list[LabelSourceRow]
    agreement: Agreement | None
    comparison: Comparison | None
    labels: dict[str, str]
    """Record id -> class, for a later comparison."""


class Assessment(Results, frozen=True):
    """The figures, with what was read and the record-level table."""

    reports: tuple[ReadReport, ...]
    records: pl.DataFrame
    audit: AuditUsed | None = None
    """The audit that ``corrected`` rests on; None where none was given and none fits."""

    def citation(self) -> str:
        """One line that names the figures' origin."""
        when = f", data of {self.data_date}" if self.data_date else ""
        return f"Preventable, method {METHOD_VERSION}: {self.name}{when}, evidence {self.data_digest[:19]}."


def assess(
    evidence: Evidence,
    taxonomy: Taxonomy,
    *,
    name: str,
    primary: str = "strict",
    filters: Filters | None = None,
    period: Period = "year",
    lines: Mapping[str, int] | None = None,
    earlier: bytes | None = None,
    audit: Sequence[Audited] | None = None,
    audit_file: Path | None = None,
) -> Assessment:
    """Ask every study.

    Args:
        evidence: the tables.
        taxonomy: classes, methodologies, interventions.
        name: what is assessed, for titles.
        primary: the methodology that the summary and the hotspots use.
        filters: what is left out.
        period: length of a period.
        lines: lines of code per component, for the hotspots.
        earlier: bytes of an earlier ``results.json`` to compare with.
        audit: of these records; by default the built-in one, where it fits.
        audit_file: the table that ``audit`` was read from, for results to name.
    Raises:
        FormatError: ``earlier`` is not such a file.
    """
    filters = filters or Filters()
    population = select(evidence, filters)
    audited = fitting_audit(population, taxonomy) if audit is None else audit
    shares = share(population, taxonomy, period=period)
    data_date = max((r.data_date for r in evidence.reports if r.data_date and r.format != "releases"), default=None)
    labels = dict(zip(population.records["id"], population.records["weakness"], strict=True))
    return Assessment(
        name=name,
        primary=primary,
        data_digest=evidence_digest(evidence),
        data_date=data_date,
        by=population.by,
        period=period,
        filters=filters,
        total=population.records.height,
        withdrawn=population.withdrawn,
        undated=population.undated,
        left_out=population.left_out,
        without_severity=population.without_severity,
        shares=shares,
        corrected=corrected_share(population, audited, taxonomy, period=period),
        component_shares=share(population, taxonomy, methodologies=[primary], period="all", by_component=True),
        prevented=prevented(population, taxonomy, period=period),
        hotspots=hotspots(population, taxonomy, taxonomy.methodologies[primary], lines=lines),
        trend=trend(population, period=period, data_date=data_date),
        label_sources=_label_sources(population),
        agreement=label_agreement(population),
        comparison=_compare(earlier, labels, shares) if earlier is not None else None,
        labels=labels,
        reports=evidence.reports,
        records=record_table(population, taxonomy),
        audit=built_in_audit_used(audited) if audit is None else given_audit_used(audit, audit_file) if audit else None,
    )


def evidence_digest(evidence: Evidence) -> str:
    """Digest of everything that was read: of the digests of all inputs, in order."""
    joined = "\n".join(f"{r.format} {r.digest}" for r in evidence.reports)
    return f"sha256:{hashlib.sha256(joined.encode()).hexdigest()}"


def _label_sources(population: Population) -> list[LabelSourceRow]:
    grouped = population.records.group_by("label_source", "weakness").len().sort("label_source", "weakness")
    return [LabelSourceRow(*row) for row in grouped.iter_rows()]


class _EarlierResults(msgspec.Struct):
    shares: list[ShareRow]
    labels: dict[str, str]


class _Earlier(msgspec.Struct):
    method_version: str
    results: _EarlierResults


def _compare(earlier: bytes, labels: dict[str, str], shares: list[ShareRow]) -> Comparison:
    try:
        before = msgspec.json.decode(earlier, type=_Earlier)
    except msgspec.MsgspecError as error:
        raise FormatError(
            f"not a results.json of an assessment: {error}", hint="Give the file that `preventable assess` wrote"
        ) from error
    return compare_with(
        before.results.labels,
        before.results.shares,
        labels,
        shares,
        same_method=before.method_version == METHOD_VERSION,
    )

"""Which records a study counts: filters, dates and components, the same for every study."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec
import polars as pl

from preventable.errors import UsageError
from preventable.evidence.tables import NO_FILE, Evidence
from preventable.readers.kev import KevReader
from preventable.taxonomy.loader import Methodology

Dating = Literal["fix", "publication"]
Period = Literal["year", "quarter", "month", "all"]
UNDATED = "undated"
ALL = "all"


class Filters(msgspec.Struct, frozen=True):
    """What a study leaves out. Empty tuples and ``None`` leave nothing out."""

    components: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    exploited: bool = False
    since: date | None = None
    until: date | None = None
    by: Dating | None = None
    """None: by fix where any record has the date of its mainline fix, else by publication."""


class Population(msgspec.Struct, frozen=True):
    """The records of a study and what was left out, with counts."""

    records: pl.DataFrame
    """``advisories`` with ``date`` (by the chosen dating), rows in order of id."""
    touched: pl.DataFrame
    """``id, component``: each component a record touches, once; a record without files goes by its package, else it is
    ``unknown``."""
    by: Dating
    withdrawn: int
    without_severity: int
    """Left out by a severity filter because they carry none."""
    undated: int
    left_out: int
    """Left out by the filters, those without severity included."""


def select(evidence: Evidence, filters: Filters | None = None) -> Population:
    """Apply filters.

    Raises:
        UsageError: a component that no record touches.
    """
    filters = filters or Filters()
    records = evidence.advisories
    by: Dating = filters.by or ("fix" if records["fixed"].is_not_null().any() else "publication")
    records = records.with_columns(pl.col("fixed" if by == "fix" else "published").alias("date"))
    withdrawn = int(records["withdrawn"].is_not_null().sum())
    records = records.filter(pl.col("withdrawn").is_null())
    total = records.height
    touched = (
        evidence.files.select("id", "component")
        .unique(maintain_order=True)
        .join(records.select("id", "package"), on="id", how="right", maintain_order="right")
        .with_columns(pl.coalesce("component", "package", pl.lit(NO_FILE)).alias("component"))
        .select("id", "component")
    )
    if filters.components:
        known = set(touched["component"].unique())
        if unknown := [c for c in filters.components if c not in known]:
            raise UsageError(
                f"no record touches component {unknown[0]!r}",
                hint=f"Components: {', '.join(sorted(known)[:12])} ...",
            )
        inside = touched.filter(pl.col("component").is_in(filters.components))
        records = records.join(inside.select("id").unique(), on="id", how="semi", maintain_order="left")
    without_severity = 0
    if filters.severities:
        without_severity = int(records["severity"].is_null().sum())
        records = records.filter(pl.col("severity").is_in(filters.severities))
    if filters.exploited:
        marked = evidence.advisories["known_exploited"].is_not_null().any()
        if not marked and not any(r.format == KevReader.name for r in evidence.reports):
            raise UsageError(
                "no feed says which records are exploited",
                field="--exploited",
                hint=f"Add the catalogue ({KevReader.where}) with --advisories",
            )
        records = records.filter(pl.col("known_exploited").is_not_null())
    if filters.since or filters.until:
        records = records.filter(
            pl.col("date").is_between(filters.since or date.min, filters.until or date.max, closed="both")
        )
    touched = touched.join(records.select("id"), on="id", how="semi", maintain_order="left")
    if filters.components:
        touched = touched.filter(pl.col("component").is_in(filters.components))
    return Population(
        records=records,
        touched=touched,
        by=by,
        withdrawn=withdrawn,
        without_severity=without_severity,
        undated=int(records["date"].is_null().sum()),
        left_out=total - records.height,
    )


def period_column(period: Period) -> pl.Expr:
    """The name of the period a record's ``date`` lies in: ``2024``, ``2024-Q1``, ``2024-03`` or ``undated``."""
    day = pl.col("date")
    names = {
        "year": day.dt.strftime("%Y"),
        "quarter": pl.format("{}-Q{}", day.dt.year(), day.dt.quarter()),
        "month": day.dt.strftime("%Y-%m"),
        "all": pl.lit(ALL),
    }
    if period == "all":
        return names["all"].alias("period")
    return pl.when(day.is_null()).then(pl.lit(UNDATED)).otherwise(names[period]).alias("period")


def counted_column(methodology: Methodology, default_cwes: dict[str, int]) -> pl.Expr:
    """Whether each record counts as memory safety under a methodology; false for unknown ones."""
    cwe = pl.coalesce(pl.col("cwe"), pl.col("weakness").replace_strict(default_cwes, default=None))
    by_class = pl.col("weakness").is_in(methodology.classes)
    by_cwe = cwe.is_in(methodology.cwes_in).fill_null(value=False)
    counted = by_cwe if methodology.cwes_only else by_class | by_cwe
    if methodology.cwes_out:
        counted = counted & ~cwe.is_in(methodology.cwes_out).fill_null(value=False)
    return (counted & (pl.col("weakness") != "unknown")).alias("counted")


def admitted_column(methodology: Methodology) -> pl.Expr:
    """Whether each record belongs to a methodology's denominator."""
    plain = pl.col("informational").is_null()
    admitted = plain | pl.col("informational").is_in(methodology.admit_informational)
    if methodology.admit_severities:
        admitted = admitted & pl.col("severity").is_in(methodology.admit_severities).fill_null(value=False)
    return admitted.alias("admitted")

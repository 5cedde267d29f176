"""Which share of the records is memory safety, under every definition, per period and component."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import polars as pl

from preventable.stats.prevalence import unknown_bounds, wilson
from preventable.studies.population import (
    ALL,
    Period,
    Population,
    admitted_column,
    counted_column,
    period_column,
)
from preventable.taxonomy.loader import UNKNOWN, Methodology, Taxonomy


class ShareRow(msgspec.Struct, frozen=True):
    """One share. ``total`` includes ``unknown``; ``share = count / total``; ``low``/``high`` is its interval.

    ``bound_low``/``bound_high`` is the share if no unknown record counted, and if all did. A period or component with
    no record has no row.
    """

    methodology: str
    period: str
    component: str
    count: int
    total: int
    unknown: int
    share: float
    low: float
    high: float
    estimator: str
    bound_low: float
    bound_high: float
    not_admitted: int


def share(
    population: Population,
    taxonomy: Taxonomy,
    *,
    methodologies: Iterable[str] | None = None,
    period: Period = "year",
    by_component: bool = False,
    level: float = 0.95,
) -> list[ShareRow]:
    """Shares, pooled and per period; with ``by_component`` also per component.

    share = counted / admitted records, Wilson interval. A record that touches several components counts once in
    each of them and once in the pool, so components do not add up to the pool.

    Args:
        population: the records, see ``population.select``.
        taxonomy: methodologies and classes.
        methodologies: ids; all when not given.
        period: length of a period. Pooled rows have ``period`` and ``component`` = ``all``.
    Raises:
        KeyError: a methodology that the taxonomy lacks.
    """
    chosen = [taxonomy.methodologies[m] for m in (methodologies or taxonomy.methodologies)]
    rows: list[ShareRow] = []
    for methodology in chosen:
        marked = _marked(population.records, methodology, taxonomy).with_columns(period_column(period))
        frames = [(marked, [ALL], [ALL])]
        if period != "all":
            frames.append((marked, ["period"], [ALL]))
        if by_component:
            joined = marked.join(population.touched, on="id", how="inner", maintain_order="left")
            frames.append((joined, [ALL], ["component"]))
            if period != "all":
                frames.append((joined, ["period"], ["component"]))
        for frame, periods, components in frames:
            rows += _rows(frame, methodology.id, periods, components, level)
    return rows


def default_cwes(taxonomy: Taxonomy) -> dict[str, int]:
    """The CWE that stands for a class where only the class is known."""
    return {c.id: c.default_cwe for c in taxonomy.classes.values() if c.default_cwe}


def _marked(records: pl.DataFrame, methodology: Methodology, taxonomy: Taxonomy) -> pl.DataFrame:
    return records.select(
        "id",
        "date",
        admitted_column(methodology),
        counted_column(methodology, default_cwes(taxonomy)),
        (pl.col("weakness") == UNKNOWN).alias("unknown"),
    )


def _rows(
    frame: pl.DataFrame, methodology: str, periods: Sequence[str], components: Sequence[str], level: float
) -> list[ShareRow]:
    keys = [k for k in (*periods, *components) if k != ALL]
    aggregates = [
        (pl.col("admitted") & pl.col("counted")).sum().alias("count"),
        pl.col("admitted").sum().alias("total"),
        (pl.col("admitted") & pl.col("unknown")).sum().alias("unknown"),
        (~pl.col("admitted")).sum().alias("not_admitted"),
    ]
    grouped = frame.group_by(keys).agg(aggregates).sort(keys) if keys else frame.select(aggregates)
    rows = []
    for g in grouped.iter_rows(named=True):
        if g["total"] == 0:
            continue
        estimate = wilson(g["count"], g["total"], level=level)
        low, high = unknown_bounds(g["count"], g["unknown"], g["total"])
        rows.append(
            ShareRow(
                methodology,
                g.get("period", ALL),
                g.get("component", ALL),
                g["count"],
                g["total"],
                g["unknown"],
                estimate.value,
                estimate.low,
                estimate.high,
                estimate.method,
                low,
                high,
                g["not_admitted"],
            )
        )
    return rows

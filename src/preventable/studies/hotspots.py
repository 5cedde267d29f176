"""Where the memory-safety records lie: components, normalised where lines are known."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import polars as pl

from preventable.records import NotAvailable
from preventable.studies.population import Population, admitted_column, counted_column
from preventable.studies.share import default_cwes
from preventable.taxonomy.loader import UNKNOWN, Methodology, Taxonomy


class HotspotRow(msgspec.Struct, frozen=True):
    """One component. A record that touches several components counts in each.

    ``per_thousand_lines`` is records of memory safety per 1,000 lines of code, over the whole period of the data.
    """

    component: str
    records: int
    memory_safety: int
    unknown: int
    known_exploited: int
    lines: int | None
    per_thousand_lines: float | NotAvailable


def hotspots(
    population: Population,
    taxonomy: Taxonomy,
    methodology: Methodology,
    *,
    lines: Mapping[str, int] | None = None,
) -> list[HotspotRow]:
    """Components by memory-safety records, most first.

    Args:
        population: the records.
        taxonomy: classes.
        methodology: what counts as memory safety.
        lines: lines of code per component, from a census; components it lacks have no rate.
    """
    marked = population.records.filter(admitted_column(methodology)).select(
        "id",
        counted_column(methodology, default_cwes(taxonomy)),
        (pl.col("weakness") == UNKNOWN).alias("unknown"),
        pl.col("known_exploited").is_not_null().alias("exploited"),
    )
    grouped = (
        population.touched.join(marked, on="id", how="inner")
        .group_by("component")
        .agg(
            pl.len().alias("records"),
            pl.col("counted").sum().alias("memory_safety"),
            pl.col("unknown").sum(),
            pl.col("exploited").sum(),
        )
        .sort(["memory_safety", "records", "component"], descending=[True, True, False])
    )
    rows = []
    for g in grouped.iter_rows(named=True):
        size = (lines or {}).get(g["component"])
        rate: float | NotAvailable = (
            1000 * g["memory_safety"] / size if size else NotAvailable("no census of this component")
        )
        rows.append(
            HotspotRow(g["component"], g["records"], g["memory_safety"], g["unknown"], g["exploited"], size, rate)
        )
    return rows

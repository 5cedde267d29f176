"""Records per period and class, with the numbering regime that each belongs to."""

from __future__ import annotations

from datetime import date

import msgspec
import polars as pl

from preventable.studies.population import Period, Population, period_column

KERNEL_CNA_BEGAN = date(2024, 2, 13)
"""The kernel became a CVE numbering authority; earlier fixes got their numbers later, as backfill."""


class TrendRow(msgspec.Struct, frozen=True):
    """Records of one class dated in one period.

    ``backfill`` of them were fixed before their numbering authority began: they say nothing about a rate. ``partial``
    marks the last period when the data ends inside it.
    """

    period: str
    weakness: str
    count: int
    backfill: int
    partial: bool


def trend(population: Population, *, period: Period = "year", data_date: date | None = None) -> list[TrendRow]:
    """Counts per period and class, in order of period.

    Args:
        population: the records.
        period: length of a period.
        data_date: newest date in the data; the period that holds it is not over.
    """
    begun = pl.col("feed") == "kernel_cna"
    frame = population.records.select(
        period_column(period),
        "weakness",
        (begun & (pl.col("fixed") < KERNEL_CNA_BEGAN)).fill_null(value=False).alias("backfill"),
    )
    grouped = (
        frame.group_by("period", "weakness")
        .agg(pl.len().alias("count"), pl.col("backfill").sum())
        .sort("period", "weakness")
    )
    last = pl.DataFrame({"date": [data_date]}).select(period_column(period)).item() if data_date else None
    return [
        TrendRow(g["period"], g["weakness"], g["count"], g["backfill"], g["period"] == last)
        for g in grouped.iter_rows(named=True)
    ]

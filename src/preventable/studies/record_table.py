"""The record-level table: every id with its label and what each methodology makes of it; and what changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import polars as pl

from preventable.stats.agreement import Agreement, cohens_kappa
from preventable.studies.population import Population, admitted_column, counted_column
from preventable.studies.share import ShareRow, default_cwes
from preventable.taxonomy.loader import UNKNOWN, Taxonomy


def record_table(population: Population, taxonomy: Taxonomy) -> pl.DataFrame:
    """Columns ``id, published, fixed, component, severity, known_exploited, weakness, label_source, cwe`` and one
    per methodology: true, false, or null where the record is not admitted or its class is unknown."""
    components = population.touched.group_by("id", maintain_order=True).agg(
        pl.col("component").unique(maintain_order=True).str.join("; ")
    )
    cwes = default_cwes(taxonomy)
    columns = [
        pl.when(admitted_column(m) & (pl.col("weakness") != UNKNOWN)).then(counted_column(m, cwes)).alias(m.id)
        for m in taxonomy.methodologies.values()
    ]
    return population.records.join(components, on="id", how="left", maintain_order="left").select(
        "id", "published", "fixed", "component", "severity", "known_exploited", "weakness", "label_source", "cwe",
        *columns,
    )  # fmt: skip


def label_agreement(population: Population) -> Agreement | None:
    """Kappa between the CWE's class and the text's, over records where both decide; ``None`` under two records."""
    both = population.records.filter((pl.col("weakness_by_cwe") != UNKNOWN) & (pl.col("weakness_by_text") != UNKNOWN))
    if both.height < 2:
        return None
    return cohens_kappa(both["weakness_by_cwe"].to_list(), both["weakness_by_text"].to_list(), resamples=500)


class Change(msgspec.Struct, frozen=True):
    """How one pooled share moved since an earlier run."""

    methodology: str
    count_before: int
    total_before: int
    share_before: float
    count: int
    total: int
    share: float


class Comparison(msgspec.Struct, frozen=True):
    """What changed since an earlier ``results.json``."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    relabelled: tuple[tuple[str, str, str], ...]
    """id, class before, class now."""
    shares: tuple[Change, ...]
    same_method: bool
    """False: the methods changed too, so that the figures differ for more reasons than the data."""


def compare_with(
    earlier_labels: Mapping[str, str],
    earlier_shares: Sequence[ShareRow],
    labels: Mapping[str, str],
    shares: Sequence[ShareRow],
    *,
    same_method: bool,
) -> Comparison:
    """Records that came, went or changed class, and the pooled shares before and now."""
    before = {r.methodology: r for r in earlier_shares if r.period == r.component == "all"}
    now = {r.methodology: r for r in shares if r.period == r.component == "all"}
    return Comparison(
        added=tuple(sorted(labels.keys() - earlier_labels.keys())),
        removed=tuple(sorted(earlier_labels.keys() - labels.keys())),
        relabelled=tuple(
            (i, earlier_labels[i], labels[i])
            for i in sorted(labels.keys() & earlier_labels.keys())
            if earlier_labels[i] != labels[i]
        ),
        shares=tuple(
            Change(m, before[m].count, before[m].total, before[m].share, now[m].count, now[m].total, now[m].share)
            for m in now
            if m in before
        ),
        same_method=same_method,
    )

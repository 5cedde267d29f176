"""Section of the report: does the newcomer hold up?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from preventable.plain_text import two_digits
from preventable.report.model import Column, Figure, Section, Table

HEADLINE = 14
"""Rows of the forest plot at most: more cannot be read."""


def section(envelope: Mapping[str, Any]) -> Section:
    """The saved result of ``preventable compare`` as sentences, a forest plot and tables."""
    rows: Sequence[Mapping[str, Any]] = envelope["results"]
    shown = [r for r in rows if r["ratio"] is not None and not str(r["counts"]).startswith("class:")][:HEADLINE]
    caveats = " ".join(envelope["caveats"].values())
    window = envelope["window"]
    how = (
        f"Vulnerabilities fixed in mainline after {window['start']} and up to {window['end']} over million line-years "
        "(lines interpolated between dated snapshots). Rates with Garwood's exact Poisson intervals, ratios with exact "
        f"conditional binomial ones. {' '.join(envelope['notes'])} {caveats}"
    )
    return Section(
        id="compare",
        title="Does the newcomer hold up?",
        sentences=tuple(envelope["sentences"]),
        figures=(
            Figure(
                id="compare-forest",
                title="Rate ratios, new over old",
                how=how,
                chart=_forest(shown) if shown else None,
                alt="; ".join(_words(r) for r in shown),
                table=Table(_COLUMNS, list(rows)),
            ),
            Figure(
                id="compare-new-side",
                title=f"All {len(envelope['new_side'])} records whose fix touches the new language",
                how="Read in full where a hand class stands; the machine's class is blind to path and language.",
                table=Table(_NEW, list(envelope["new_side"])),
            ),
        ),
    )


def _forest(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    data = []
    for row in rows:
        # On a logarithmic axis nothing can be drawn at 0: such ends run to the edge.
        data.append(
            {
                "what": f"{row['population']}, {row['counts']}, {row['labels']}",
                "ratio": row["ratio"] or None,
                "low": max(row["low"], 0.01),
                "high": min(row["high"] if row["high"] is not None else 100.0, 100.0),
                "events": f"{row['events_new']} and {row['events_old']}",
            }
        )
    scale = alt.Scale(type="log", domain=[0.01, 100])
    base = alt.Chart(alt.InlineData(values=data)).encode(
        y=alt.Y("what:N", sort=None, title=None, axis=alt.Axis(labelLimit=340))
    )
    rule = alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_rule(strokeDash=[4, 4]).encode(x=alt.X("x:Q", scale=scale))
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", scale=scale, title="rate ratio, new over old (logarithmic; 1 = equal)"), x2="high:Q"
    )
    points = base.mark_point(filled=True, size=70).encode(
        x=alt.X("ratio:Q", scale=scale), tooltip=["what:N", "events:N", "ratio:Q", "low:Q", "high:Q"]
    )
    chart: dict[str, Any] = alt.layer(rule, bars, points).properties(width="container").to_dict()
    return chart


def _words(row: Mapping[str, Any]) -> str:
    high = "unbounded" if row["high"] is None else two_digits(row["high"])
    return (
        f"{row['population']}, {row['counts']} ({row['labels']}): {two_digits(row['ratio'])}, "
        f"from {two_digits(row['low'])} to {high}"
    )


_COLUMNS = (
    Column("population", "Population"),
    Column("counts", "Counts"),
    Column("labels", "Labels"),
    Column("events_new", "New", "count"),
    Column("events_old", "Old", "count"),
    Column("events_both", "Both", "count", "Fixes that touch both languages; on neither side"),
    Column("exposure_new", "New, MLOC-years", "number"),
    Column("exposure_old", "Old, MLOC-years", "number"),
    Column("rate_new", "New per MLOC-year", "number"),
    Column("rate_old", "Old per MLOC-year", "number"),
    Column("ratio", "Ratio", "number"),
    Column("low", "Low", "number"),
    Column("high", "High", "number"),
    Column("adjustment", "Adjustment"),
    Column("reason", "Note"),
)
_NEW = (
    Column("id", "Record"),
    Column("fixed", "Fixed", "date"),
    Column("machine", "Class by machine"),
    Column("hand", "Class by hand"),
    Column("boundary", "Second choice"),
    Column("unsafe", "Unsafe code had a part"),
    Column("reason", "Why"),
)

"""Section of the report: is it decided?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from preventable.plain_text import two_digits
from preventable.report.model import Column, Figure, Section, Table

THRESHOLD = 20.0
"""1 / alpha of a primary claim at 5%; the family's bar depends on the others (e-BH)."""


def section(envelope: Mapping[str, Any]) -> Section:
    """The saved result of ``preventable claims test``: sentences, e-values over the looks, confidence sequences."""
    rows: Sequence[Mapping[str, Any]] = envelope["results"]
    history = list(envelope["history"])
    statements: Mapping[str, str] = envelope["statements"]
    how = (
        "Mixture of likelihood ratios against the null that the rate ratio is at least the claimed bound; valid "
        "whenever one looks (Ville). Only fixes after the opening count; descriptive rows speak of the time before and "
        "give no verdict. "
        "Supported needs the plain and the cluster-robust e-value; several claims are judged by e-BH."
    )
    ends = [r for r in rows if r["high"] is not None]
    return Section(
        id="claims",
        title="Is it decided?",
        sentences=tuple(envelope["sentences"]),
        figures=(
            Figure(
                id="claims-e-values",
                title="E-values over the looks, with the threshold",
                how=how,
                chart=_path(history) if history else None,
                alt="; ".join(f"{p['claim']} on {p['data_date']}: {p['e_value']:.3g}" for p in history[-12:]),
                table=Table(_COLUMNS, [{**r, "statement": statements.get(r["claim"], "")} for r in rows]),
            ),
            Figure(
                id="claims-confidence",
                title="Confidence sequences of the rate ratio",
                how="Valid at all looks together for a constant ratio; by inversion of the mixture martingale.",
                chart=_sequence(ends) if ends else None,
                alt="; ".join(f"{r['claim']}: {two_digits(r['low'])} to {two_digits(r['high'])}" for r in ends),
            ),
        ),
    )


def _path(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    seen: dict[str, int] = {}
    data = []
    for point in history:
        look = seen[point["claim"]] = seen.get(point["claim"], 0) + 1
        value = min(max(point["e_value"], 1e-6), 1e12)
        data.append({"claim": point["claim"], "look": look, "date": point["data_date"], "e": value})
    scale = alt.Scale(type="log")
    lines = (
        alt.Chart(alt.InlineData(values=data))
        .mark_line(point=True)
        .encode(
            x=alt.X("look:Q", title="look", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("e:Q", scale=scale, title="e-value (logarithmic)"),
            color=alt.Color("claim:N", title=None),
            tooltip=["claim:N", "date:N", "e:Q"],
        )
    )
    rule = (
        alt.Chart(alt.InlineData(values=[{"bar": THRESHOLD}]))
        .mark_rule(strokeDash=[4, 4])
        .encode(y=alt.Y("bar:Q", scale=scale))
    )
    chart: dict[str, Any] = alt.layer(rule, lines).properties(width="container").to_dict()
    return chart


def _sequence(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    data = [
        {
            "claim": r["claim"] + (" (before the opening)" if r["descriptive"] else ""),
            "low": max(r["low"], 0.001),
            "high": min(r["high"], 1000.0),
            "bound": r["at_most"],
        }
        for r in rows
    ]
    scale = alt.Scale(type="log", domain=[0.001, 1000])
    base = alt.Chart(alt.InlineData(values=data)).encode(
        y=alt.Y("claim:N", sort=None, title=None, axis=alt.Axis(labelLimit=340))
    )
    bars = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", scale=scale, title="rate ratio (logarithmic)"), x2="high:Q"
    )
    ticks = base.mark_tick(thickness=3, size=18).encode(x=alt.X("bound:Q", scale=scale))
    chart: dict[str, Any] = alt.layer(bars, ticks).properties(width="container").to_dict()
    return chart


_COLUMNS = (
    Column("claim", "Claim"),
    Column("statement", "Statement"),
    Column("descriptive", "Descriptive"),
    Column("events_new", "New", "count"),
    Column("events_old", "Old", "count"),
    Column("exposure_new", "New, MLOC-years", "number"),
    Column("exposure_old", "Old, MLOC-years", "number"),
    Column("e_value", "E-value", "number"),
    Column("e_value_robust", "Robust", "number"),
    Column("e_value_against", "Against", "number"),
    Column("low", "Low", "number"),
    Column("high", "High", "number"),
    Column("verdict", "Verdict"),
    Column("status", "Status"),
    Column("reason", "Note"),
)

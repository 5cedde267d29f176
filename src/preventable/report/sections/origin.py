"""Section of the report: when the faults came in, and how long they lived until their fix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from statistics import fmean, median
from typing import Any

import altair as alt

from preventable.report.model import Column, Figure, Section, Table

NAMED = "named by the advisory"
LEVEL_OF_LIKELY = 0.5
HOW = (
    "Every commit behind a fix is weighed by what speaks for it: whether it first wrote the deleted lines or those "
    "beside the change (through moves and re-indentation), how much its code resembles the change, the words of the "
    "advisory, and the first affected release where the record names one. Weights of a fix sum to 1. The date of "
    "introduction is the weighted mean of the candidates' dates; the line is its interval. A commit that the advisory "
    "names stands. All are candidates, not findings about people."
)


def section(envelope: Mapping[str, Any]) -> Section:
    """The saved result of ``preventable origin`` as sentences, a timeline of introduction to fix, and tables."""
    fixes: Sequence[Mapping[str, Any]] = envelope["fixes"]
    top = {(row["advisory"], row["fix"]): row for row in envelope["results"] if row["rank"] == 1}
    dated = [f for f in fixes if f["introduced_date"] and f["fix_date"] and f["lifetime_days"] is not None]
    figures = []
    if dated:
        figures.append(_timeline(dated))
    figures.append(_table(fixes, top))
    return Section(
        id="origin",
        title="When did the faults come in?",
        sentences=tuple(_sentences(envelope, fixes, dated, top)),
        figures=tuple(figures),
    )


def _sentences(
    envelope: Mapping[str, Any],
    fixes: Sequence[Mapping[str, Any]],
    dated: Sequence[Mapping[str, Any]],
    top: Mapping[tuple[str, str], Mapping[str, Any]],
) -> list[str]:
    named = sum(f["outcome"] == NAMED for f in fixes)
    estimated = sum(f["outcome"] == "estimated" for f in fixes)
    likely = sum(row["weight"] >= LEVEL_OF_LIKELY and row["reason"] != NAMED for row in top.values())
    said = [
        f"Of {len(top):,} fixes looked at, {named:,} have an introducing commit that the advisory names; for "
        f"{estimated:,} candidates were weighed, and for {likely:,} of these one candidate has at least half of "
        "the weight."
    ]
    if dated:
        years = [f["lifetime_days"] / 365.25 for f in dated]
        said.append(
            f"From introduction to fix they lived {fmean(years):.1f} years on average, {median(years):.1f} in the "
            f"median ({len(years):,} fixes; only faults that were fixed are seen, so this is not what a fault "
            "introduced today must expect)."
        )
    left_out = [f for f in fixes if f["outcome"] not in (NAMED, "estimated")]
    if left_out:
        reasons = sorted({f["outcome"] for f in left_out})
        parts = [f"{sum(f['outcome'] == r for f in left_out):,} × {r}" for r in reasons]
        said.append(f"Left out: {', '.join(parts)}.")
    said += [f"Limit of the history: {limit}." for limit in envelope["limits"]]
    return said


def _timeline(dated: Sequence[Mapping[str, Any]]) -> Figure:
    ordered = sorted(dated, key=lambda f: (f["introduced_date"], f["fix_date"], f["advisory"]))
    rows = [
        {
            "order": number,
            "advisory": f["advisory"],
            "introduced": f["introduced_date"],
            "low": f["introduced_low"],
            "high": f["introduced_high"],
            "fixed": f["fix_date"],
            "how": "named" if f["outcome"] == NAMED else "estimated",
        }
        for number, f in enumerate(ordered)
    ]
    data = alt.InlineData(values=rows)
    y = alt.Y("order:O", axis=None, title=None)
    colour = alt.Color("how:N", title="introduction", scale=alt.Scale(range=["#d9822b", "#3274b5"]))
    tips = [alt.Tooltip(f"{name}:N") for name in ("advisory", "introduced", "low", "high", "fixed", "how")]
    x = alt.X("introduced:T", title=None)
    lived = alt.Chart(data).mark_rule(strokeWidth=1.5, opacity=0.45).encode(x=x, x2="fixed:T", y=y, color=colour)
    interval = alt.Chart(data).mark_rule(strokeWidth=4, opacity=0.35).encode(x="low:T", x2="high:T", y=y, color=colour)
    began = (
        alt.Chart(data)
        .mark_point(filled=True, size=28, opacity=1)
        .encode(x="introduced:T", y=y, color=colour, tooltip=tips)
    )
    chart = alt.layer(lived, interval, began).properties(width="container", height=max(160, 4 * len(rows))).to_dict()
    chart.pop("config", None)
    first, last = ordered[0]["introduced_date"], max(f["fix_date"] for f in ordered)
    estimated = sum(r["how"] == "estimated" for r in rows)
    dates = (
        f"{estimated:,} of their introductions estimated" if estimated else "every introduction named by an advisory"
    )
    longest = max(ordered, key=lambda f: f["lifetime_days"])
    return Figure(
        id="origin-timeline",
        title=f"From introduction to fix: {len(rows):,} faults between {_year(first)} and {_year(last)}, {dates}",
        how=HOW,
        chart=chart,
        alt=(
            f"One line per fault from its introduction to its fix, in the order of introduction, {first} to {last}. "
            f"The longest is {longest['advisory']}, {longest['lifetime_days'] / 365.25:.1f} years."
        ),
    )


def _year(day: str) -> int:
    return date.fromisoformat(day).year


def _table(fixes: Sequence[Mapping[str, Any]], top: Mapping[tuple[str, str], Mapping[str, Any]]) -> Figure:
    rows = []
    for fix in fixes:
        best = top.get((fix["advisory"], fix["fix"]))
        rows.append(
            {
                **{name: fix[name] for name in ("advisory", "outcome", "introduced_date", "fix_date", "lifetime_days")},
                "interval": f"{fix['introduced_low']} to {fix['introduced_high']}" if fix["introduced_low"] else None,
                "candidate": best["commit"][:12] if best else None,
                "weight": best["weight"] if best else None,
                "reason": best["reason"] if best else fix["note"],
            }
        )
    return Figure(
        id="origin-candidates",
        title="The weightiest candidate of each fix",
        how=HOW,
        table=Table(COLUMNS, rows),
    )


COLUMNS = (
    Column("advisory", "Advisory"),
    Column("candidate", "Candidate"),
    Column("weight", "Weight", "share", "Share of the weight of the listed candidates"),
    Column("introduced_date", "Introduced", "date"),
    Column("interval", "Interval"),
    Column("fix_date", "Fixed", "date"),
    Column("lifetime_days", "Days", "number"),
    Column("outcome", "How"),
    Column("reason", "Why"),
)

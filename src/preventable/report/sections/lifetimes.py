"""Section of the report: how long faults live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from preventable.report.model import Column, Figure, Section, Table


def section(envelope: Mapping[str, Any]) -> Section:
    """The saved result of ``preventable lifetimes`` as sentences, survival curves and tables."""
    rows: Sequence[Mapping[str, Any]] = envelope["results"]
    curves = [c for c in envelope["curves"] if c["name"] in ("naive", "corrected", "exponential", "weibull")]
    zero = envelope["zero"]
    how = (
        f"Introduced to fixed, by release dates or commits. {envelope['truncation'].capitalize()} truncation is "
        "corrected by non-parametric maximum likelihood (Lynden-Bell; Efron and Petrosian; Shen), the band is a "
        "bootstrap's; the fitted families are drawn given that a lifetime is observable at all. Nothing is known past "
        f"{envelope['longest_years']:.1f} years."
    )
    return Section(
        id="lifetimes",
        title="How long do faults live?",
        sentences=tuple(envelope["sentences"]),
        figures=(
            Figure(
                id="lifetimes-curves",
                title="Share of faults still alive by age",
                how=how,
                chart=_survival(curves) if curves else None,
                alt="; ".join(_words(c) for c in curves),
                table=Table(_COLUMNS, list(rows)),
            ),
            Figure(
                id="lifetimes-zero",
                title=f"{zero['records']:,} records live no day by release dates",
                how=f"{zero['same_release']:,} have one release for introduction and fix, {zero['fixed_before']:,} are "
                f"dated backwards. They enter as {zero['treatment']}.",
            ),
            Figure(
                id="lifetimes-published",
                title="Published naive lifetimes to set beside these",
                how="Recomputed from Alexopoulos et al., USENIX Security 2022; naive means and medians, other dating.",
                table=Table(_PUBLISHED, list(envelope["published"])),
            ),
        ),
    )


def _survival(curves: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    lines, band = [], []
    for curve in curves:
        for at, (years, share) in enumerate(zip(curve["years"], curve["survival"], strict=True)):
            lines.append({"curve": curve["name"], "years": years, "alive": share})
            if curve["low"]:
                band.append({"years": years, "low": curve["low"][at], "high": curve["high"][at]})
    x = alt.X("years:Q", title="years since introduction")
    y = alt.Y("alive:Q", title="share still alive", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    layers = [
        alt.Chart(alt.InlineData(values=lines))
        .mark_line(interpolate="step-after")
        .encode(x=x, y=y, color=alt.Color("curve:N", title=None), strokeDash=alt.StrokeDash("curve:N", title=None))
    ]
    if band:
        area = alt.Chart(alt.InlineData(values=band)).mark_area(opacity=0.2, interpolate="step-after")
        layers.insert(0, area.encode(x="years:Q", y=alt.Y("low:Q", title="share still alive"), y2="high:Q"))
    chart: dict[str, Any] = alt.layer(*layers).properties(width="container").to_dict()
    return chart


def _words(curve: Mapping[str, Any]) -> str:
    half = next((y for y, s in zip(curve["years"], curve["survival"], strict=True) if s <= 0.5), None)
    return (
        f"{curve['name']}: half are gone after {half:.1f} years"
        if half is not None
        else f"{curve['name']}: over half live on"
    )


_COLUMNS = (
    Column("by", "By"),
    Column("group", "Group"),
    Column("events", "Fixed", "count"),
    Column("dated", "Dated", "count"),
    Column("left_censored", "Older than the first release", "count"),
    Column("naive_mean", "Naive mean", "number"),
    Column("naive_median", "Naive median", "number"),
    Column("corrected_mean", "Corrected mean", "number"),
    Column("corrected_median", "Corrected median", "number"),
    Column("exponential_mean", "Exponential mean", "number"),
    Column("exponential_p", "Fit, p", "number"),
    Column("weibull_shape", "Weibull shape", "number"),
    Column("half_life", "Half-life", "number"),
    Column("hidden_share", "Still hidden", "share"),
    Column("tau", "Tau", "number", "Conditional Kendall's tau of lifetime and age of code"),
    Column("tau_p", "Tau, p", "number"),
    Column("reason", "Note"),
)
_PUBLISHED = (
    Column("project", "Project"),
    Column("mean_years", "Mean", "number"),
    Column("median_years", "Median", "number"),
)

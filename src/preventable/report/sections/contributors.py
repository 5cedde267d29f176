"""The section of saved contributor counts: who keeps the code, without a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from preventable.report.model import Column, Figure, Section, Table

_ALL = "all languages"
_WITHHELD = "withheld (under 5)"


def section(envelope: Mapping[str, Any]) -> Section:
    """Render the JSON of ``preventable contributors``."""
    rows: Sequence[Mapping[str, Any]] = envelope["results"]
    overall = [row for row in rows if row["language"] == _ALL]
    sentences = []
    if overall:
        # The newest quarter is usually not over.
        row = overall[-2] if len(overall) > 1 else overall[-1]
        sentences.append(
            f"In {row['quarter']}, {_count(row, 'active')} people wrote {_count(row, 'commits')} commits; "
            f"{_count(row, 'newcomers')} of them were new."
        )
        if row["turnover"]:
            t = row["turnover"]
            sentences.append(
                f"Of the {t['denominator']:,.0f} people active in the year that ended a year earlier, "
                f"{t['numerator']:,.0f} were not active in the year up to then: a turnover of {t['value']:.0%} "
                f"(95% interval {t['low']:.0%} to {t['high']:.0%})."
            )
        sentences.append(f"Half of the lines there then were written by {_count(row, 'hold_half')} people.")
    ever = [pair for pair in envelope["pairs"] if pair["quarter"] == "all"]
    for pair in ever:
        if {pair["first"], pair["second"]} == {"C", "Rust"}:
            sentences.append(
                f"{_count(pair, 'both')} people have written both C and Rust, {_count(pair, 'only_first')} C alone and "
                f"{_count(pair, 'only_second')} Rust alone."
            )
    sentences += [f"{limit['count']:,} × {limit['what']}." for limit in envelope["limits"]]
    figures = [_activity(rows)] if overall else []
    if ever:
        figures.append(_pairs(ever))
    return Section("contributors", "Who keeps the code", tuple(sentences), tuple(figures))


def _count(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if value is None:
        return _WITHHELD if name in row["withheld"] else "an unknown number of"
    return f"{value:,}"


def _activity(rows: Sequence[Mapping[str, Any]]) -> Figure:
    best: dict[str, int] = {}
    for row in rows:
        best[row["language"]] = max(best.get(row["language"], 0), row["active"] or 0)
    shown = sorted((name for name in best if best[name]), key=lambda name: (-best[name], name))[:7]
    points = [
        {"quarter": row["quarter"], "language": row["language"], "active": row["active"]}
        for row in rows
        if row["language"] in shown and row["active"] is not None
    ]
    chart = (
        alt.Chart(alt.InlineData(values=points))
        .mark_line(point=True)
        .encode(
            x=alt.X("quarter:O", title=None, axis=alt.Axis(labelOverlap=True)),
            y=alt.Y("active:Q", title="active authors"),
            color=alt.Color("language:N", title=None, legend=alt.Legend(orient="top", columns=4)),
            tooltip=["quarter:O", "language:N", "active:Q"],
        )
        .properties(width="container", height=280)
    )
    names = ("active", "newcomers", "stayed", "base", "left", "reviewers", "testers", "hold_half")
    labels = {
        "stayed": "stayed a year",
        "base": "active a year earlier",
        "left": "of them left",
        "hold_half": "hold half",
    }
    return Figure(
        id="contributors-activity",
        title=f"Active authors per quarter; at most {best.get(_ALL, 0):,} in one quarter",
        how="Authors of commits other than merges that changed a text file, by quarter of the author date (UTC) and "
        "language; a header counts as its language. People are told apart by .mailmap, e-mail address and full name; "
        "programs are left out. Counts from 1 to 4 are withheld and missing here. Newcomers: first commit in the "
        "language; stayed: again active within four quarters; hold half: fewest people with half of the lines.",
        chart=chart.to_dict(),
        alt="Lines of active authors per quarter, one per language.",
        table=Table(
            (
                Column("quarter", "quarter"),
                Column("language", "language"),
                Column("commits", "commits", "count"),
                *(Column(name, labels.get(name, name), "count") for name in names),
            ),
            [{name: row[name] for name in ("quarter", "language", "commits", *names)} for row in rows],
        ),
    )


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> Figure:
    return Figure(
        id="contributors-both",
        title="People who have written both of two languages",
        how="Authors with a commit in each, over the whole history. Counts from 1 to 4 are withheld.",
        table=Table(
            (
                Column("first", "one"),
                Column("second", "other"),
                Column("both", "both", "count"),
                Column("only_first", "only the one", "count"),
                Column("only_second", "only the other", "count"),
            ),
            [{k: p[k] for k in ("first", "second", "both", "only_first", "only_second")} for p in pairs],
        ),
    )

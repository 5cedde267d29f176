"""The section of a saved lineage: how old the code is, how long lines live, how much is written and removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from preventable.report.model import Column, Figure, Section, Table

UNKNOWN = "unknown"
_ALL = "all languages"
_AGES = {"last_touched": "last touched", "substantive": "last substantive change"}
_LANGUAGES_SHOWN = 8


def section(envelope: Mapping[str, Any]) -> Section:
    """Render the JSON of ``preventable lineage``."""
    rows: Sequence[Mapping[str, Any]] = envelope["results"]
    snapshots = envelope["snapshots"]
    last = snapshots[-1]
    now = [row for row in rows if row["snapshot"] == last["snapshot"]]
    sentences = [_ages(now, last)]
    halves = {(h["age"], h["language"]): h for h in envelope["half_life"]}
    for age, words in _AGES.items():
        half = halves.get((age, _ALL))
        if half is not None:
            sentences.append(_half_sentence(half, words))
    sentences += [f"{limit['count']:,} × {limit['what']}." for limit in envelope["limits"] if limit["count"]]
    figures = [_cohorts(rows, snapshots, envelope)]
    if envelope["survival"]:
        figures.append(_survival(envelope))
    if envelope["churn"]:
        figures.append(_churn(envelope))
    return Section("lineage", "How old the code is", tuple(sentences), tuple(figures))


def _year(cohort: str) -> str:
    return cohort if cohort == UNKNOWN else cohort[:4]


def _ages(now: Sequence[Mapping[str, Any]], last: Mapping[str, Any]) -> str:
    total = sum(row["lines"] for row in now)
    years = sorted({_year(row["cohort"]) for row in now} - {UNKNOWN})
    if not total or not years:
        return f"At {last['snapshot']} there are {total:,} lines, none of known age."
    since = years[-2:][0]
    touched = sum(row["lines"] for row in now if row["cohort"] != UNKNOWN and _year(row["cohort"]) >= since)
    text = (
        f"At {last['snapshot']} there are {total:,} lines in {last['files']:,} text files; {touched:,} of them "
        f"({touched / total:.1%}) were last touched in {since} or later"
    )
    if all(row["lines_substantive"] is not None for row in now):
        changed = sum(
            row["lines_substantive"] for row in now if row["cohort"] != UNKNOWN and _year(row["cohort"]) >= since
        )
        text += f", {changed:,} ({changed / total:.1%}) if whitespace and ignored commits do not count"
    return text + "."


def _half_sentence(half: Mapping[str, Any], words: str) -> str:
    years = half["years"]
    if not isinstance(years, int | float):
        return f"Half-life of a line by {words}: not available, {years['reason']}."
    low, high = half["low"], half["high"]
    if low is None and high is None:
        bounds = "no interval: too few cohorts"
    else:
        upper = "beyond what is seen" if high is None else f"{high:.1f}"
        bounds = f"95% interval {low:.1f} to {upper}, {half['cohorts']} cohorts"
    return f"Half of the lines are gone {years:.1f} years after the quarter they date from by {words} ({bounds})."


def _cohorts(
    rows: Sequence[Mapping[str, Any]], snapshots: Sequence[Mapping[str, Any]], envelope: Mapping[str, Any]
) -> Figure:
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        cell = sums[row["snapshot"], _year(row["cohort"])]
        cell[0] += row["lines"]
        cell[1] += row["lines_substantive"] or 0
    order = [s["snapshot"] for s in snapshots]
    place = {label: number for number, label in enumerate(order)}
    table = [
        {"snapshot": snapshot, "cohort": cohort, "lines": counts[0], "lines_substantive": counts[1]}
        for (snapshot, cohort), counts in sorted(sums.items(), key=lambda item: (place[item[0][0]], item[0][1]))
    ]
    chart = (
        alt.Chart(alt.InlineData(values=table))
        .mark_area()
        .encode(
            x=alt.X("snapshot:O", sort=order, title=None, axis=alt.Axis(labelOverlap=True)),
            y=alt.Y("lines:Q", stack="zero", title="lines"),
            color=alt.Color("cohort:O", title="year", scale=alt.Scale(scheme="viridis")),
            order=alt.Order("cohort:O"),
            tooltip=["snapshot:O", "cohort:O", alt.Tooltip("lines:Q", format=",")],
        )
        .properties(width="container", height=320)
    )
    first, final = snapshots[0], snapshots[-1]
    return Figure(
        id="lineage-cohorts",
        title=f"From {first['lines']:,} lines at {first['snapshot']} to {final['lines']:,} at {final['snapshot']}, "
        "by the year each line dates from",
        how=f"Replay of {envelope['commits']:,} commits ({envelope['merges']:,} merges) from git's zero-context diffs. "
        "Each line of each text file is counted by the year of the author date (UTC) of the commit that git blame "
        "names; the table has the substantive age beside it. Binary files have no lines; implausible dates and cut-off "
        "history are `unknown`.",
        chart=chart.to_dict(),
        alt=f"Stacked areas of lines by year of origin over {len(order)} snapshots, "
        f"{final['lines']:,} lines at the last.",
        table=Table(
            (
                Column("snapshot", "snapshot"),
                Column("cohort", "year"),
                Column("lines", "lines, last touched", "count"),
                Column("lines_substantive", "lines, substantive", "count"),
            ),
            [row for row in table if row["snapshot"] == final["snapshot"]],
        ),
    )


def _survival(envelope: Mapping[str, Any]) -> Figure:
    points = [
        {
            "age": _AGES[p["age"]],
            "language": p["language"],
            "years": p["quarters"] / 4,
            "share": p["share"],
        }
        for p in envelope["survival"]
    ]
    chart = (
        alt.Chart(alt.InlineData(values=points))
        .mark_line()
        .encode(
            x=alt.X("years:Q", title="years since the end of the quarter a line dates from"),
            y=alt.Y("share:Q", title="share still there", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("language:N", title=None, legend=alt.Legend(orient="top", columns=4)),
            strokeDash=alt.StrokeDash("age:N", title=None, legend=alt.Legend(orient="top")),
            tooltip=["language:N", "age:N", "years:Q", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(width="container", height=300)
    )
    halves = [
        {
            "language": h["language"],
            "age": _AGES[h["age"]],
            "years": h["years"] if isinstance(h["years"], int | float) else None,
            "low": h["low"],
            "high": h["high"],
            "cohorts": h["cohorts"],
        }
        for h in envelope["half_life"]
    ]
    known = [h for h in halves if h["years"] is not None and h["language"] == _ALL]
    title = "How long lines survive"
    if known:
        title += ": half-life " + ", ".join(f"{h['years']:.1f} years by {h['age']}" for h in known)
    return Figure(
        id="lineage-survival",
        title=title,
        how=f"{envelope['half_life'][0]['method']}." if envelope["half_life"] else "No cohort is old enough.",
        chart=chart.to_dict(),
        alt="Curves of the share of lines still there by age, one per language and age definition.",
        table=Table(
            (
                Column("language", "language"),
                Column("age", "age by"),
                Column("years", "half-life, years", "number"),
                Column("low", "low", "number"),
                Column("high", "high", "number"),
                Column("cohorts", "cohorts", "count"),
            ),
            halves,
        ),
    )


def _churn(envelope: Mapping[str, Any]) -> Figure:
    totals: dict[str, int] = defaultdict(int)
    for row in envelope["churn"]:
        totals[row["language"]] += row["added"] + row["removed"]
    shown = sorted(totals, key=lambda name: (-totals[name], name))[:_LANGUAGES_SHOWN]
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in envelope["churn"]:
        cell = sums[row["quarter"], row["language"] if row["language"] in shown else "others"]
        cell[0] += row["added"]
        cell[1] += row["removed"]
    table = [
        {"quarter": quarter, "language": language, "added": added, "removed": removed}
        for (quarter, language), (added, removed) in sorted(sums.items())
    ]
    bars = [
        {"quarter": row["quarter"], "language": row["language"], "lines": lines, "what": what}
        for row in table
        for lines, what in ((row["added"], "added"), (-int(str(row["removed"])), "removed"))
    ]
    chart = (
        alt.Chart(alt.InlineData(values=bars))
        .mark_bar()
        .encode(
            x=alt.X("quarter:O", title=None, axis=alt.Axis(labelOverlap=True)),
            y=alt.Y("lines:Q", title="lines added (up) and removed (down)"),
            color=alt.Color("language:N", title=None, legend=alt.Legend(orient="top", columns=5)),
            tooltip=["quarter:O", "language:N", "what:N", alt.Tooltip("lines:Q", format=",")],
        )
        .properties(width="container", height=280)
    )
    added, removed = (sum(row[name] for row in envelope["churn"]) for name in ("added", "removed"))
    return Figure(
        id="lineage-churn",
        title=f"{added:,} lines were added and {removed:,} removed",
        how="Sums over all commits but merges, on all merged branches, by quarter of the author date (UTC) and "
        "language of the path; a rename counts only the lines it changed.",
        chart=chart.to_dict(),
        alt="Bars of lines added and removed per quarter by language.",
        table=Table(
            (
                Column("quarter", "quarter"),
                Column("language", "language"),
                Column("added", "added", "count"),
                Column("removed", "removed", "count"),
            ),
            table,
        ),
    )

"""The section of a saved series of censuses: languages over releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from preventable.report.model import Column, Figure, Section, Table

_SHOWN_LANGUAGES = 8


def section(envelope: Mapping[str, Any]) -> Section:
    """Render the JSON of ``preventable census series``."""
    rows: Sequence[Mapping[str, Any]] = [row for row in envelope["results"] if row["bucket"] == "code"]
    releases = list(dict.fromkeys(row["release"] for row in envelope["results"]))
    last = sorted((r for r in rows if r["release"] == releases[-1]), key=lambda r: -(r["code"] or 0))
    shown = [row["language"] for row in last[:_SHOWN_LANGUAGES]]
    if any(row["language"] == "Rust" for row in rows) and "Rust" not in shown:
        shown.append("Rust")
    data = [
        {"release": r["release"], "language": r["language"], "code": r["code"]} for r in rows if r["language"] in shown
    ]
    chart = (
        alt.Chart(alt.Data(values=data))  # type: ignore[no-untyped-call]  # the schema classes have no types
        .mark_line(point=True)
        .encode(
            x=alt.X("release:N", sort=releases, title="release", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("code:Q", title="lines of code", scale=alt.Scale(type="log")),
            color=alt.Color("language:N", sort=shown, title="language"),
            tooltip=["release:N", "language:N", alt.Tooltip("code:Q", format=",")],
        )
        .properties(width="container", height=320)
    )
    sentences = tuple(_change(rows, language, releases) for language in ("C", "Rust") if _has(rows, language))
    table = [
        {
            "release": row["release"],
            "language": row["language"],
            "code": row["code"],
            "unsafe_share": row["unsafe_lines"] / row["code"]
            if row["unsafe_lines"] is not None and row["code"]
            else None,
        }
        for row in rows
        if row["language"] in shown
    ]
    return Section(
        "census-series",
        "Languages over releases",
        sentences,
        (
            Figure(
                id="census-series-languages",
                title=sentences[-1] if sentences else f"{len(releases)} releases",
                how=(
                    f"Lines of code per release, bucket code, counted by {envelope.get('counter', 'the counter')}; "
                    "the scale is logarithmic. Unsafe share: lines of Rust inside unsafe over all lines of Rust."
                ),
                chart=chart.to_dict(),
                alt="Lines of code per language over releases. " + " ".join(sentences),
                table=Table(
                    (
                        Column("release", "Release"),
                        Column("language", "Language"),
                        Column("code", "Lines of code", "count"),
                        Column("unsafe_share", "Unsafe share", "share"),
                    ),
                    table,
                ),
            ),
        ),
    )


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else part / whole


def _has(rows: Sequence[Mapping[str, Any]], language: str) -> bool:
    return any(row["language"] == language for row in rows)


def _change(rows: Sequence[Mapping[str, Any]], language: str, releases: Sequence[str]) -> str:
    lines = {row["release"]: row["code"] or 0 for row in rows if row["language"] == language}
    first, last = lines.get(releases[0], 0), lines.get(releases[-1], 0)
    return f"{language} went from {first:,} lines of code in {releases[0]} to {last:,} in {releases[-1]}."

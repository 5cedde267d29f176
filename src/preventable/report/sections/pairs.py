"""Section of the report: counterparts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from preventable.plain_text import two_digits
from preventable.report.model import Column, Figure, Section, Table


def section(envelope: Mapping[str, Any]) -> Section:
    """The saved result of ``preventable compare --pairs`` as sentences and a table."""
    rows: Sequence[Mapping[str, Any]] = envelope["results"]
    return Section(
        id="pairs",
        title="Counterparts: the old code and what replaces it",
        sentences=tuple(pair_sentence(r) for r in rows),
        figures=(
            Figure(
                id="pairs-table",
                title=f"{len(rows)} pairs, {sum(r['ratio'] is not None for r in rows)} of them with a rate ratio",
                how="Both sides are counted over the days on which both were there, inside the numbering regime. No "
                "ratio stands without functional overlap and stated deployment. "
                + " ".join(envelope["caveats"].values()),
                table=Table(_COLUMNS, [{**r, "too_young": "; ".join(r["too_young"])} for r in rows]),
            ),
        ),
    )


def pair_sentence(row: Mapping[str, Any]) -> str:
    """What is known of one pair: sizes, ratio or why there is none, overlap, deployment, what is too young to say."""
    head = f"{row['title']}: {row['new']} ({_lines(row['lines_new'])}) beside {row['old']} ({_lines(row['lines_old'])})"
    young = f" But {'; '.join(row['too_young'])}." if row["too_young"] else ""
    where = (
        f" Functional overlap: {row['overlap']}. Deployment of {row['new']}: {row['deployment_new'] or 'not stated'}; "
        f"of {row['old']}: {row['deployment_old'] or 'not stated'}."
    )
    if row["ratio"] is None or row["low"] is None:
        return f"{head}: no rate ratio, for {row['reason']}.{where}{young}"
    high = "unbounded" if row["high"] is None else two_digits(row["high"])
    return (
        f"{head}: {row['events_new']} and {row['events_old']} vulnerabilities from {row['start']} to {row['end']}, "
        f"a rate ratio of {two_digits(row['ratio'])} (from {two_digits(row['low'])} to {high}, unadjusted)."
        f"{where}{young}"
    )


def _lines(count: int | None) -> str:
    return "size unknown" if count is None else f"{count:,} lines"


_COLUMNS = (
    Column("pair", "Pair"),
    Column("new", "New"),
    Column("old", "Old"),
    Column("lines_new", "Lines, new", "count"),
    Column("lines_old", "Lines, old", "count"),
    Column("unsafe_share", "Unsafe share", "share"),
    Column("overlap", "Overlap"),
    Column("deployment_new", "Deployment, new"),
    Column("deployment_old", "Deployment, old"),
    Column("events_new", "Vulnerabilities, new", "count"),
    Column("events_old", "Vulnerabilities, old", "count"),
    Column("ratio", "Ratio", "number"),
    Column("low", "Low", "number"),
    Column("high", "High", "number"),
    Column("too_young", "Too young or small to say"),
    Column("reason", "Why no ratio"),
    Column("source", "Source of facts"),
)

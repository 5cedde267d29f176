"""Section of the report: the share under every definition, by the labels, corrected, and by the audit alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from preventable.report.model import Column, Figure, Section, Table
from preventable.report.wording import which_audit, who_read
from preventable.stats.ppi import AUDIT_ALONE

_WAYS = (("labels", "share", "low", "high"), ("corrected", "corrected", "corrected_low", "corrected_high"),
         ("audit only", "audit_only", "audit_only_low", "audit_only_high"))  # fmt: skip
_LOOKS = {"labels": ("#3274b5", "circle"), "corrected": ("#0b6e4f", "square"), "audit only": ("#d9822b", "diamond")}


def section(envelope: Mapping[str, Any]) -> Section:
    """The saved result of ``preventable share`` as a ladder over definitions, three rungs each."""
    rows: Sequence[Mapping[str, Any]] = envelope["results"]
    pooled = sorted((r for r in rows if r["period"] == r["component"] == "all"), key=lambda r: float(r["share"]))
    corrected = [r for r in pooled if r.get("corrected") is not None]
    readers = sorted({str(r["reader_kind"]) for r in corrected})
    sentences = [f"{r['methodology']}: {_said(r)}." for r in pooled]
    how = (
        "By the labels: counted / admitted records, Wilson interval. Corrected: prediction-powered inference (PPI++) "
        "on a random sample that was read in full; exact where it is small. Audit only: Wilson on that sample. "
    )
    if readers:
        how += f"The audited records: {who_read(', '.join(readers))}."
        if "model" in readers:
            how += " The readers are models, which may err alike: their agreement is likely higher than between people."
    if audit := envelope.get("audit"):
        how += " The audit: " + which_audit(*(audit[k] for k in ("name", "rows", "settled", "design", "reader_kind")))
        how += f"; {audit['digest']}." if audit["digest"] else "."
    return Section(
        id="share-corrected",
        title="The share with its labelling error",
        sentences=tuple(sentences),
        figures=(
            Figure(
                id="share-corrected-ladder",
                title="Share by definition: labels, corrected, audit only",
                how=how,
                chart=_ladder(pooled) if pooled else None,
                alt=" ".join(sentences),
                table=Table(_COLUMNS, list(rows)),
            ),
        ),
        short="Corrected share",
    )


def _ladder(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    data = [
        {"definition": r["methodology"], "estimate": way, "share": value, "low": low, "high": high}
        for r in rows
        for way, value, low, high in _ways(r)
    ]
    ways = [way for way in _LOOKS if any(r["estimate"] == way for r in data)]
    colours = alt.Scale(domain=ways, range=[_LOOKS[way][0] for way in ways])
    shapes = alt.Scale(domain=ways, range=[_LOOKS[way][1] for way in ways])
    base = alt.Chart(alt.InlineData(values=data)).encode(
        y=alt.Y("definition:N", sort=[r["methodology"] for r in rows], title=None),
        yOffset=alt.YOffset("estimate:N", sort=list(_LOOKS)),
        color=alt.Color("estimate:N", scale=colours, title=None),
    )
    axis = alt.Axis(format="%", tickCount=8)
    bars = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", axis=axis, title="share of records"), x2="high:Q")
    points = base.mark_point(filled=True, size=50, opacity=1).encode(
        x="share:Q", shape=alt.Shape("estimate:N", scale=shapes, title=None)
    )
    chart: dict[str, Any] = (bars + points).properties(width="container", height=alt.Step(18)).to_dict()
    return chart


def _ways(row: Mapping[str, Any]) -> list[tuple[str, float, float, float]]:
    """The estimates of a row; where the audit is too small to correct the labels, its exact share alone."""
    found = {way: (row[value], row[low], row[high]) for way, value, low, high in _WAYS if row.get(value) is not None}
    if row.get("corrected_by") == AUDIT_ALONE and "corrected" in found:
        found["audit only"] = found.pop("corrected")
    return [(way, *figures) for way, figures in found.items()]


def _said(row: Mapping[str, Any]) -> str:
    shown = {way: _interval(*figures) for way, *figures in _ways(row)}
    said = f"{shown['labels']} by the labels"
    if "corrected" in shown:
        said += f", {shown['corrected']} corrected by {row['audited']} audited records"
        return f"{said}, {shown['audit only']} by these alone" if "audit only" in shown else said
    if "audit only" in shown:
        return f"{said}, {shown['audit only']} by {row['audited']} audited records alone, too few to correct the labels"
    return f"{said}; no audit of these records, so not corrected"


def _interval(value: object, low: object, high: object) -> str:
    return f"{100 * float(str(value)):.1f}% (95%: {100 * float(str(low)):.1f}% to {100 * float(str(high)):.1f}%)"


_COLUMNS = (
    Column("methodology", "definition"),
    Column("period", "period"),
    Column("component", "component"),
    Column("count", "count", "count"),
    Column("total", "records", "count"),
    Column("share", "by the labels", "share"),
    Column("low", "low", "share"),
    Column("high", "high", "share"),
    Column("corrected", "corrected", "share"),
    Column("corrected_low", "low", "share"),
    Column("corrected_high", "high", "share"),
    Column("audit_only", "audit only", "share"),
    Column("audit_only_low", "low", "share"),
    Column("audit_only_high", "high", "share"),
    Column("audited", "audited", "count"),
    Column("reader_kind", "read by"),
)

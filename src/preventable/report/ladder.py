"""The rungs of a definition: its share by the labels, corrected by an audit, and by the audit alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from preventable.records import Estimate
from preventable.report.charts import LADDER_LOOKS
from preventable.report.model import Column
from preventable.report.wording import percent, who_read
from preventable.stats.ppi import AUDIT_ALONE
from preventable.studies.corrected import CorrectedRow
from preventable.studies.share import ShareRow

AUDIT_COLUMNS = (
    Column("corrected", "corrected", "share", "the share corrected by an audit"),
    Column("corrected_low", "low", "share", "lower end of the 95% interval of the corrected share"),
    Column("corrected_high", "high", "share", "upper end of the 95% interval of the corrected share"),
    Column("audit_only", "audit only", "share", "the share by the audited records alone"),
    Column("audit_only_low", "low", "share", "lower end of the 95% interval by the audit alone"),
    Column("audit_only_high", "high", "share", "upper end of the 95% interval by the audit alone"),
    Column("audited", "audited", "count", "records of the audit"),
    Column("reader_kind", "read by", help="who read the audited records: human, model or mixed"),
)
"""What an audit adds to a table of shares."""


def ladder_rows(pooled: Iterable[ShareRow], audited: Mapping[str, CorrectedRow]) -> list[dict[str, object]]:
    """The rows of ``charts.ladder``, definitions in order of their share by the labels; ``audited`` by definition."""
    by_labels: Sequence[ShareRow] = sorted(pooled, key=lambda r: (r.share, r.methodology))
    rows: list[dict[str, object]] = [
        {"definition": r.methodology, "from": "labels", **{k: getattr(r, k) for k in (
            "share", "low", "high", "bound_low", "bound_high", "count", "total", "estimator")}}
        for r in by_labels
    ]  # fmt: skip
    return rows + [
        {"definition": r.methodology, "from": source, "share": e.value, "low": e.low, "high": e.high,
         "count": e.numerator, "total": e.denominator, "estimator": e.method}
        for r in by_labels
        if r.methodology in audited
        for source, e in _by_audit(audited[r.methodology])
    ]  # fmt: skip


def in_words(row: ShareRow, audited: CorrectedRow | None) -> str:
    """The rungs of one definition for those who cannot see them."""
    said = f"{row.methodology} {percent(row.share)} ({row.count:,} of {row.total:,})"
    for source, e in _by_audit(audited) if audited else ():
        said += f", {LADDER_LOOKS[source][2]} {percent(e.value)} ({percent(e.low)}–{percent(e.high)})"
    return said


def how_audited(audited: Iterable[CorrectedRow]) -> str:
    """Who read the audit and how its rungs were computed; empty where there is none."""
    kinds = sorted({r.reader_kind for r in audited})
    if not kinds:
        return ""
    return (
        f"The audit, a random sample of these records: {who_read(', '.join(kinds))}. “Corrected”: prediction-powered "
        "inference (PPI++) over it. “By the audit alone”: the share among its records, by their weights where it was "
        "drawn by strata; Wilson interval, exact where the audit is too small to correct the labels. "
    )


def _by_audit(row: CorrectedRow) -> list[tuple[str, Estimate]]:
    """Where the audit is too small to correct the labels, its exact share alone."""
    if row.corrected.method == AUDIT_ALONE:
        return [("audit only", row.corrected)]
    return [("audit", row.corrected), *([("audit only", row.audit_only)] if row.audit_only else [])]

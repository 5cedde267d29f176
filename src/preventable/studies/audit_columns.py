"""Rows of ``share`` with what an audit says beside them: one rule for commands, tables and reports."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from preventable.studies.corrected import CorrectedRow
from preventable.studies.population import ALL
from preventable.studies.share import ShareRow

BESIDE: dict[str, type[pl.DataType]] = {
    "corrected": pl.Float64, "corrected_low": pl.Float64, "corrected_high": pl.Float64, "corrected_by": pl.String,
    "audit_only": pl.Float64, "audit_only_low": pl.Float64, "audit_only_high": pl.Float64, "audited": pl.Int64,
    "reader_kind": pl.String,
}  # fmt: skip
"""The columns in their order, and the type of each in a table."""


def with_audit(shares: Sequence[ShareRow], corrected: Sequence[CorrectedRow]) -> list[dict[str, object]]:
    """Rows of ``share`` with ``BESIDE`` after their own members.

    What no correction was made for has None in all of them, also for ``audited``: single components, periods that
    cannot be corrected, and records of which fewer than two were audited. 0 audited is a count.
    """
    by_row = {(r.methodology, r.period): r for r in corrected}
    return [
        msgspec.structs.asdict(r) | _beside(by_row.get((r.methodology, r.period)) if r.component == ALL else None)
        for r in shares
    ]


def _beside(r: CorrectedRow | None) -> dict[str, object]:
    if r is None:
        return dict.fromkeys(BESIDE)
    only = r.audit_only
    alone = (only.value, only.low, only.high) if only else (None, None, None)
    values = (
        r.corrected.value, r.corrected.low, r.corrected.high, r.corrected.method, *alone, r.audited, r.reader_kind,
    )  # fmt: skip
    return dict(zip(BESIDE, values, strict=True))

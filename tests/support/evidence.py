"""Evidence made by hand: a few records with known answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from preventable.evidence.tables import Evidence, build_evidence
from preventable.records import Advisory, CodeRange, CweClaim, Label, LabelReason, ReadReport, Span

UNKNOWN = "unknown"


class BothLabels(NamedTuple):
    """Labels as ``build_evidence`` takes them, the standing one given by hand."""

    standing: Label
    by_cwe: Label
    by_text: Label


def report(name: str = "jsonl", **changes: Any) -> ReadReport:
    """A read report of one clean load."""
    values: dict[str, Any] = {
        "location": "feed", "format": name, "licence": "none", "digest": "sha256:" + "0" * 64,
        "data_date": date(2025, 6, 30), "read": 1, "rejected": 0, "duplicate": 0, "failed": 0,
    }  # fmt: skip
    return ReadReport(**{**values, **changes})


def record(
    identity: str,
    weakness: str = UNKNOWN,
    *,
    cwe: int | None = None,
    by_cwe: str | None = None,
    by_text: str | None = None,
    fixed: date | None = None,
    **fields: Any,
) -> tuple[Advisory, BothLabels]:
    """A record and its labels: the one that stands, the CWE's, the text's."""
    ranges = (CodeRange(fixed_commit="f" * 40, fixed_date=fixed, mainline=True),) if fixed else ()
    fields = {"feed": "jsonl", "file": "feed", "ranges": ranges, **fields}
    if cwe is not None:
        fields.setdefault("cwes", (CweClaim(cwe, "file"),))
    source = "none" if weakness == UNKNOWN else "cwe" if by_cwe == weakness else "rules"
    words = (LabelReason("phrase", "words", "rules", Span("text", 0, 5)),) if source == "rules" else ()
    stands = Label(identity, weakness, source, cwe, words)
    return Advisory(id=identity, **fields), BothLabels(
        stands,
        Label(identity, by_cwe or UNKNOWN, "cwe" if by_cwe else "none"),
        Label(identity, by_text or (weakness if source == "rules" else UNKNOWN), "rules", None, words),
    )


def evidence(rows: Sequence[tuple[Advisory, BothLabels]], reports: Sequence[ReadReport] | None = None) -> Evidence:
    """Tables of such records; the component is the first part of a path."""
    ordered = sorted(rows, key=lambda row: row[0].id)
    return build_evidence(
        [a for a, _ in ordered],
        [labels for _, labels in ordered],
        [report(read=len(ordered))] if reports is None else reports,
        lambda path: path.split("/")[0],
    )

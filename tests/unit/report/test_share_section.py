from __future__ import annotations

import pytest

from preventable.report.sections.share import section
from preventable.stats.ppi import AUDIT_ALONE

ROW = {
    "methodology": "strict", "period": "all", "component": "all", "count": 30, "total": 100, "unknown": 5, "share": 0.3,
    "low": 0.22, "high": 0.4, "estimator": "wilson", "corrected": 0.35, "corrected_low": 0.3, "corrected_high": 0.4,
    "corrected_by": "ppi++", "audit_only": 0.36, "audit_only_low": 0.28, "audit_only_high": 0.45, "audited": 120,
    "reader_kind": "model",
}  # fmt: skip


def test_three_rungs_and_who_read() -> None:
    found = section({"results": [ROW]})
    figure = found.figures[0]
    assert figure.chart is not None
    assert figure.alt
    assert "models, which may err alike" in figure.how
    assert "35.0% (95%: 30.0% to 40.0%) corrected by 120 audited records" in found.sentences[0]
    assert found.sentences[0].endswith(", 36.0% (95%: 28.0% to 45.0%) by these alone.")
    assert found.sentences[0] in figure.alt
    assert figure.table is not None
    assert {"audit_only", "audit_only_low", "audit_only_high"} <= {c.name for c in figure.table.columns}


def test_the_audit_is_named_and_each_row_says_who_read() -> None:
    audit = {"name": "own.csv", "digest": "sha256:ab", "rows": 9, "settled": 8, "design": "by strata",
             "reader_kind": "human"}  # fmt: skip
    (figure,) = section({"results": [ROW], "audit": audit}).figures
    assert "The audit: own.csv, 8 of 9 records settled, drawn by strata, read by people; sha256:ab." in figure.how
    assert figure.table is not None
    assert figure.table.columns[-1].name == "reader_kind"
    assert "The audit:" not in section({"results": [ROW], "audit": None}).figures[0].how


def test_an_audit_too_small_to_correct_the_labels_is_not_said_to() -> None:
    few = {"corrected_by": AUDIT_ALONE, "corrected": 0.36, "corrected_low": 0.27, "corrected_high": 0.46, "audited": 40}
    found = section({"results": [ROW | few]})
    assert found.sentences[0] == (
        "strict: 30.0% (95%: 22.0% to 40.0%) by the labels, 36.0% (95%: 27.0% to 46.0%) by 40 audited records alone, "
        "too few to correct the labels."
    )
    chart = found.figures[0].chart
    assert chart is not None
    (drawn,) = chart["datasets"].values()
    assert [(r["estimate"], r["low"]) for r in drawn] == [("labels", 0.22), ("audit only", 0.27)]


@pytest.mark.parametrize("missing", [{"corrected": None, "audit_only": None, "audited": 0, "reader_kind": None}])
def test_without_an_audit_it_says_so(missing: dict[str, object]) -> None:
    found = section({"results": [ROW | missing]})
    assert "no audit of these records" in found.sentences[0]
    assert "read by" not in found.figures[0].how


def test_nothing_to_show_is_not_a_fault() -> None:
    assert section({"results": []}).figures[0].chart is None


def test_the_legend_has_one_entry_per_estimate_and_says_that_no_person_read() -> None:
    figure = section({"results": [ROW]}).figures[0]
    assert "read by language models, by no person" in figure.how
    assert figure.chart is not None
    colour, shape = (figure.chart["layer"][1]["encoding"][channel]["scale"]["domain"] for channel in ("color", "shape"))
    assert colour == shape == ["labels", "corrected", "audit only"]

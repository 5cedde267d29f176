"""The ladder over definitions: three marks each where there was an audit, in the legend, in words and in the table."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from preventable.records import Estimate
from preventable.report.assessment import sections
from preventable.report.charts import LADDER_LOOKS
from preventable.report.ladder import how_audited
from preventable.report.model import Figure
from preventable.stats.ppi import AUDIT_ALONE
from preventable.stats.prevalence import wilson
from preventable.studies.assessment import Assessment, assess
from preventable.studies.corrected import CorrectedRow
from preventable.taxonomy.loader import builtin
from support.evidence import evidence, record


def assessment(method: str | None = "ppi++") -> Assessment:
    """30 records, strict by half of them; audited for one definition, if at all."""
    rows = [record(f"A-{n:02}", "spatial" if n % 2 else "null", fixed=date(2024, 5, 1)) for n in range(30)]
    found = assess(evidence(rows), builtin(), name="Test", audit=())
    if method is None:
        return found
    row = CorrectedRow(
        "strict", "all", wilson(15, 30), Estimate(0.4, 0.3, 0.5, 8, 20, method), wilson(8, 20), 20, 1.0, "model"
    )
    return msgspec.structs.replace(found, corrected=[row])


def ladder(a: Assessment) -> Figure:
    return next(f for s in sections(a, builtin()) for f in s.figures if f.id == "share-ladder")


def marks(found: Figure) -> list[dict[str, Any]]:
    assert found.chart is not None
    rows = [r for values in found.chart["datasets"].values() for r in values if r["from"] != "published"]
    return [r for r in rows if r["definition"] == "strict"]


def layers(found: Figure) -> list[dict[str, Any]]:
    assert found.chart is not None
    each: list[dict[str, Any]] = found.chart["layer"]
    return each


def test_the_audit_s_own_share_is_a_third_mark_with_its_interval() -> None:
    found = ladder(assessment())
    alone = wilson(8, 20)
    assert [(r["from"], r["share"]) for r in marks(found)] == [("labels", 0.5), ("audit", 0.4), ("audit only", 0.4)]
    last = marks(found)[-1]
    assert (last["low"], last["high"], last["count"], last["total"]) == (alone.low, alone.high, 8, 20)


def test_marks_of_one_definition_share_its_row_and_hide_none_of_each_other() -> None:
    found = ladder(assessment())
    heights = {layer["mark"]["yOffset"] for layer in layers(found) if layer["mark"]["type"] == "tick"}
    assert sorted(heights) == [-10, 0, 10]
    ticks = [layer["mark"]["size"] for layer in layers(found) if layer["mark"]["type"] == "tick"]
    assert max(ticks) < 10
    order = layers(found)[0]["encoding"]["y"]["sort"]
    assert len(order) == len(set(order))
    assert "strict" in order
    assert not [name for name in order if "corrected" in name]


def test_the_legend_names_every_kind_of_mark() -> None:
    colour = layers(ladder(assessment()))[0]["encoding"]["color"]
    assert colour["scale"]["domain"] == ["labels", "audit", "audit only", "published"]
    assert len(set(colour["scale"]["range"])) == 4
    for name, (_, _, words) in LADDER_LOOKS.items():
        assert f"'{name}': '{words}'" in colour["legend"]["labelExpr"]


def test_the_third_mark_is_in_words_and_in_the_table() -> None:
    found = ladder(assessment())
    alone = f"by the audit alone 40.0% ({100 * wilson(8, 20).low:.1f}%–{100 * wilson(8, 20).high:.1f}%)"
    assert f"strict 50.0% (15 of 30), corrected by an audit 40.0% (30.0%–50.0%), {alone}" in found.alt
    assert found.table is not None
    names = [c.name for c in found.table.columns]
    assert names[names.index("high") + 1 :][:7] == [
        "corrected", "corrected_low", "corrected_high", "audit_only", "audit_only_low", "audit_only_high", "audited",
    ]  # fmt: skip
    (row,) = [r for r in found.table.rows if r["methodology"] == "strict"]
    assert (row["audit_only"], row["audited"]) == (0.4, 20)
    (other,) = [r for r in found.table.rows if r["methodology"] == "broad"]
    assert (other["audit_only"], other["audited"]) == (None, None)
    assert "read by language models, by no person" in found.how
    assert "By the audit alone" in found.how


def test_an_audit_too_small_to_correct_the_labels_has_its_exact_share_alone() -> None:
    found = ladder(assessment(AUDIT_ALONE))
    assert [(r["from"], r["low"]) for r in marks(found)][1:] == [("audit only", 0.3)]
    assert "corrected by an audit" not in found.alt
    assert "by the audit alone 40.0% (30.0%–50.0%)" in found.alt


def test_without_an_audit_nothing_speaks_of_one() -> None:
    found = ladder(assessment(None))
    assert [r["from"] for r in marks(found)] == ["labels"]
    assert {layer["mark"].get("yOffset", 0) for layer in layers(found)} == {0}
    assert found.table is not None
    assert not [c.name for c in found.table.columns if "audit" in c.name or "corrected" in c.name]
    assert "audit" not in found.alt
    assert "audit" not in found.how.split("Diamonds")[0]


@pytest.mark.parametrize(("kind", "said"), [("human", "read by people"), ("unsaid", "by whom is not said")])
def test_who_read_is_said_in_a_sentence(kind: str, said: str) -> None:
    (row,) = assessment().corrected
    assert f"a random sample of these records: {said}. " in how_audited(
        [msgspec.structs.replace(row, reader_kind=kind)]
    )
    assert how_audited([]) == ""

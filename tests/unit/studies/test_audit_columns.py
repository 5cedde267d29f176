"""Rows of ``share`` beside their audit: what is not known is None, never 0."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from preventable.studies.audit import Audited
from preventable.studies.audit_columns import BESIDE, with_audit
from preventable.studies.corrected import CorrectedRow, corrected_share, uncorrected_periods
from preventable.studies.population import Filters, Period, Population, select
from preventable.studies.share import share
from preventable.taxonomy.loader import builtin
from support.evidence import evidence, record

NAMES = tuple(BESIDE)
FIXED = {2023: 30, 2024: 90}
"""Records by year of their fix; every other one was published in the year after it."""
EVIDENCE = evidence(
    [
        record(f"R-{year}-{n:02}", "spatial" if n % 3 else "leak", fixed=date(year, 5, 1), files=("net/a.c",),
               published=date(year + n % 2, 6, 1))
        for year, number in FIXED.items()
        for n in range(number)
    ]
)  # fmt: skip


def audited(number: int, *, stratify: str = "") -> list[Audited]:
    """Every so manieth record read as it is labelled, with a weight by year of publication or by parity."""
    frame = EVIDENCE.advisories.sort("id").gather_every(EVIDENCE.advisories.height // number)
    weights = {"year": lambda y, _: float(y - 2020), "parity": lambda _, n: 1.0 + n % 2}
    return [
        Audited(i, w, w, w, False, "", "human", stratify and str(day.year),
                weights[stratify](day.year, n) if stratify else None)
        for n, (i, w, day) in enumerate(frame.select("id", "weakness", "published").iter_rows())
    ]  # fmt: skip


def corrected(
    audit: list[Audited], period: Period = "year", **filters: object
) -> tuple[Population, list[CorrectedRow]]:
    population = select(EVIDENCE, Filters(**filters))  # type: ignore[arg-type]
    return population, corrected_share(population, audit, builtin(), methodologies=["strict", "broad"], period=period)


def test_the_columns_follow_those_of_the_labels_in_order() -> None:
    population, rows = corrected(audited(30))
    found = with_audit(share(population, builtin(), methodologies=["strict"]), rows)
    assert NAMES == (
        "corrected", "corrected_low", "corrected_high", "corrected_by",
        "audit_only", "audit_only_low", "audit_only_high", "audited", "reader_kind",
    )  # fmt: skip
    assert all(tuple(row)[-len(NAMES) :] == NAMES for row in found)
    pooled = found[0]
    (row,) = [r for r in rows if (r.methodology, r.period) == ("strict", "all")]
    assert row.audit_only is not None
    assert [pooled[n] for n in NAMES] == [
        row.corrected.value, row.corrected.low, row.corrected.high, row.corrected.method,
        row.audit_only.value, row.audit_only.low, row.audit_only.high, 30, "human",
    ]  # fmt: skip
    assert [row["audited"] for row in found if row["period"] != "all"] == [8, 22]


def test_what_no_correction_was_made_for_is_none_also_the_count() -> None:
    population, rows = corrected(audited(30))
    by_component = share(population, builtin(), methodologies=["strict"], period="all", by_component=True)
    net = next(r for r in with_audit(by_component, rows) if r["component"] == "net")
    assert [net[n] for n in NAMES] == [None] * len(NAMES)
    shares = share(population, builtin(), methodologies=["strict"])
    assert {row[n] for row in with_audit(shares, []) for n in NAMES} == {None}


def test_a_period_without_an_audited_record_has_none_of_its_own() -> None:
    published = {i: day.year for i, day in EVIDENCE.advisories.select("id", "published").iter_rows()}
    late = [a for a in audited(120) if published[a.id] > 2023]
    population, rows = corrected(late, by="publication")
    found = with_audit(share(population, builtin(), methodologies=["strict"]), rows)
    (early,) = [r for r in found if r["period"] == "2023"]
    assert (early["audited"], early["audit_only"], early["audit_only_low"]) == (0, None, None), "0 is a count here"
    assert early["corrected"] is not None, "it borrows"


def test_nothing_is_borrowed_from_an_audit_that_is_too_small() -> None:
    """It corrects no label, so that it says nothing of periods that it does not reach."""
    population, rows = corrected([a for a in audited(30) if a.id.startswith("R-2024")])
    found = with_audit(share(population, builtin(), methodologies=["strict"]), rows)
    (early,) = [r for r in found if r["period"] == "2023"]
    assert [early[n] for n in NAMES] == [None] * len(NAMES)
    whole = next(r for r in found if r["period"] == "all")
    assert (whole["audit_only_low"], whole["audit_only_high"]) == (whole["corrected_low"], whole["corrected_high"])


def test_types_hold_where_every_row_is_empty() -> None:
    population, _ = corrected([])
    found = with_audit(share(population, builtin(), methodologies=["strict"]), [])
    frame = pl.DataFrame(found, schema_overrides=BESIDE, infer_schema_length=None)
    assert {n: frame.schema[n] for n in NAMES} == BESIDE


@pytest.mark.parametrize("period", ["year", "month"])
def test_years_of_publication_shown_by_fix_say_what_to_do(period: Period) -> None:
    audit = audited(40, stratify="year")
    _, rows = corrected(audit, period)
    assert {r.period for r in rows} == {"all"}
    said = uncorrected_periods(rows, audit, EVIDENCE, period)
    assert said is not None
    assert said.startswith("periods are not corrected, only the whole is")
    assert said.endswith("add --by publication")
    _, as_told = corrected(audit, period, by="publication")
    assert len({r.period for r in as_told}) > 2, "the advice helps"
    assert uncorrected_periods(as_told, audit, EVIDENCE, period) is None


def test_where_no_date_helps_another_sample_is_named() -> None:
    audit = audited(40, stratify="parity")
    for by in ("fix", "publication"):
        _, rows = corrected(audit, by=by)
        said = uncorrected_periods(rows, audit, EVIDENCE, "year")
        assert said is not None
        assert "periods need a simple sample, or one drawn with --stratify year" in said
        assert "add --by" not in said


def test_only_definitions_without_corrected_periods_are_named() -> None:
    audit = audited(40, stratify="year")
    _, rows = corrected(audit)
    _, more = corrected(audit, by="publication")
    mixed = [r for r in rows if r.methodology == "strict"] + [r for r in more if r.methodology == "broad"]
    said = uncorrected_periods(mixed, audit, EVIDENCE, "year")
    assert said is not None
    assert said.startswith("periods under strict are not corrected")


def test_nothing_is_said_where_nothing_is_left_out() -> None:
    simple = audited(40)
    assert uncorrected_periods(corrected(simple)[1], simple, EVIDENCE, "year") is None
    by_year = audited(40, stratify="year")
    assert uncorrected_periods(corrected(by_year, "all")[1], by_year, EVIDENCE, "all") is None
    assert uncorrected_periods([], by_year, EVIDENCE, "year") is None

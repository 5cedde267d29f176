"""The summary says what its figures cover, who read, and until when."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from preventable.records import Estimate, ReadReport
from preventable.report.summary import summary
from preventable.report.wording import rounded, who_read
from preventable.stats.ppi import AUDIT_ALONE
from preventable.studies.assessment import Assessment, assess
from preventable.studies.audit import READER_KINDS
from preventable.studies.corrected import CorrectedRow
from preventable.taxonomy.loader import builtin
from support.evidence import evidence, record, report


def assessment(*more: ReadReport, exploited: int = 0) -> Assessment:
    rows = [
        record(f"A-{n}", "spatial" if n % 2 else "null", fixed=date(2024, 5, 1), files=("net/a.c",),
               known_exploited=date(2024, 6, 1) if n < exploited else None)
        for n in range(30)
    ]  # fmt: skip
    return assess(evidence(rows, [report(read=30), *more]), builtin(), name="Test", audit=())


def sentence(a: Assessment, start: str) -> str:
    (found,) = [s for s in summary(a) if start in s]
    return found


def test_the_span_of_definitions_is_one_sentence() -> None:
    assert sentence(assessment(), "Depending on the definition").startswith(
        "Depending on the definition, the share runs from "
    )


def test_safe_rust_is_said_to_cover_all_classes_and_to_be_extrapolated() -> None:
    said = sentence(assessment(), "safe Rust")
    assert said.startswith("Across all weakness classes, not only memory safety,")
    assert "might have been avoided with effort" in said
    assert "240 CVEs of Linux drivers" in said
    assert said.endswith("are carried over to all records of that class.")


def test_one_expected_record_is_no_plural() -> None:
    a = assessment()
    few = [msgspec.structs.replace(r, count=1.2) if r.state == "by_construction" else r for r in a.prevented]
    said = sentence(msgspec.structs.replace(a, prevented=few), "safe Rust")
    assert "would have ruled out about 1 record by construction" in said


@pytest.mark.parametrize(("exploited", "start"), [(1, "1 record is known"), (3, "3 records are known")])
def test_exploited_records_are_a_lower_bound_of_a_dated_catalogue(exploited: int, start: str) -> None:
    a = assessment(report("kev", data_date=date(2025, 8, 25)), exploited=exploited)
    said = sentence(a, "known to be exploited")
    assert said.startswith(start)
    assert "CISA's catalogue as of 2025-08-25. That is a lower bound" in said


def test_a_catalogue_without_a_date_gets_none() -> None:
    said = sentence(assessment(report("kev", data_date=None), exploited=1), "known to be exploited")
    assert "catalogue. That is" in said


def test_unusable_rows_are_named_by_what_they_are_rows_of() -> None:
    a = assessment(report("releases", failed=5), report("osv", failed=2), report("osv", failed=1), report("kev"))
    assert sentence(a, "could not be used").startswith(
        "5 rows of release dates and 3 rows of osv records could not be used"
    )
    assert not [s for s in summary(assessment()) if "could not be used" in s]


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ("model", "read by language models, by no person"),
        ("human", "read by people"),
        ("mixed", "read by people and language models"),
        ("model, human", "read by people and language models"),
        ("unsaid", "by whom is not said"),
    ],
)
def test_who_read_is_said_in_words(kinds: str, said: str) -> None:
    assert who_read(kinds) == said


def test_every_kind_of_reader_has_words() -> None:
    assert all(who_read(kind).startswith("read by ") for kind in READER_KINDS)


def test_the_corrected_share_says_that_no_person_read() -> None:
    a = assessment()
    half = Estimate(0.5, 0.4, 0.6, 50, 100, "wilson")
    row = CorrectedRow("strict", "all", half, half, half, 100, 1.0, "model")
    corrected = msgspec.structs.replace(a, corrected=[row])
    said = sentence(corrected, "Corrected by an audit")
    assert "100 records drawn at random (read by language models, by no person), it is 50.0%" in said
    few = msgspec.structs.replace(row, corrected=msgspec.structs.replace(half, method=AUDIT_ALONE), audited=40)
    alone = sentence(msgspec.structs.replace(a, corrected=[few]), "By an audit of 40")
    assert "alone, too few to correct the labels, it is 50.0%" in alone
    assert "uncorrected; `preventable audit draw`" in sentence(msgspec.structs.replace(a, corrected=[]), "No record of")


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0"), (0.2, "under 1"), (27.89, "28"), (1234.5678, "1,235"), (12, "12")]
)
def test_expected_counts_are_whole_records(number: float, shown: str) -> None:
    assert rounded(number) == shown

"""Rates, ratios, sides and sentences of the comparison; exposure over time."""

from __future__ import annotations

from datetime import date

import pytest

from preventable.readers.exposure import ExposureRow
from preventable.records import NotAvailable
from preventable.stats.rates import rate_ratio
from preventable.studies.compare import HAND_COUNTED, HAND_LEFT_OUT, Comparison, Reading, Sides, compare
from preventable.studies.events import Event
from preventable.studies.exposure import Exposure, Population
from preventable.taxonomy.loader import builtin

START, END = date(2024, 1, 1), date(2025, 12, 31)
LINES = [
    ExposureRow(date(2024, 1, 1), "drivers/gpu", "Rust", "shipped", 10_000, 500),
    ExposureRow(date(2024, 1, 1), "drivers/gpu", "C", "shipped", 900_000),
    ExposureRow(date(2024, 1, 1), "drivers/gpu", "header", "shipped", 100_000),
    ExposureRow(date(2024, 1, 1), "fs", "C", "shipped", 1_000_000),
    ExposureRow(date(2024, 1, 1), "fs", "C", "test", 9_000_000),
    ExposureRow(date(2024, 1, 1), "rust", "Rust", "vendored", 9_000_000),
]


def event(
    name: str, *languages: str, weakness: str = "spatial", component: str = "drivers/gpu", **more: object
) -> Event:
    values = {
        "id": name, "fixed": date(2025, 1, 1), "published": None, "introduced": None, "introduced_before": False,
        "introduced_commit": None, "introduced_version": None, "fixed_version": None,
        "languages": frozenset(languages), "components": (component,), "weakness": weakness, "cwe": None, "branches": 0,
    } | more  # fmt: skip
    return Event(**values)  # type: ignore[arg-type]  # a test's shorthand


def answer(events: list[Event], readings: dict[str, Reading] | None = None, **more: object) -> Comparison:
    return compare(
        events, Exposure(LINES), more.pop("sides", Sides()), builtin().methodologies, start=START, end=END,  # type: ignore[arg-type]
        readings=readings, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_figures_are_those_of_the_exact_test() -> None:
    result = answer([event("A", "Rust"), *(event(f"C{i}", "C") for i in range(40)), event("N", "C", weakness="null")])
    row = next(r for r in result.rows if (r.population, r.counts) == ("everything", "strict"))
    expected = rate_ratio(1, row.exposure_new, 40, row.exposure_old)
    assert (row.events_new, row.events_old, row.ratio) == (1, 40, pytest.approx(expected.value))
    assert row.exposure_old == pytest.approx(2.0 * (END - START).days / 365.25)
    assert (row.low, row.high) == (expected.low, expected.high)
    assert row.adjustment == "unadjusted"
    assert row.caveats


def test_vendored_and_test_code_is_no_exposure() -> None:
    exposure = Exposure(LINES)
    assert exposure.mloc_years(Population(frozenset({"Rust"})), START, END) == pytest.approx(0.02, rel=0.01)


def test_headers_go_to_the_stated_side() -> None:
    old = answer([event("H", "header")]).rows[0]
    new = answer([event("H", "header")], sides=Sides(headers="new")).rows[0]
    assert (old.events_old, new.events_new) == (1, 1)
    assert new.exposure_new > old.exposure_new


def test_a_fix_in_both_languages_is_on_neither_side_and_shown() -> None:
    row = answer([event("B", "Rust", "C"), event("C", "C")]).rows[0]
    assert (row.events_new, row.events_old, row.events_both) == (0, 1, 1)


def test_the_first_sentence_says_that_the_evidence_does_not_decide() -> None:
    result = answer([event("A", "Rust"), *(event(f"C{i}", "C") for i in range(100))])
    assert result.sentences[0].startswith("The evidence does not decide")


def test_a_decided_comparison_says_so() -> None:
    result = answer([*(event(f"R{i}", "Rust") for i in range(20)), *(event(f"C{i}", "C") for i in range(20))])
    assert "higher rate" in result.sentences[0]


def test_hand_readings_and_their_boundaries_bound_the_count() -> None:
    readings = {
        "A": Reading("A", "race", "yes", boundary="temporal"),
        "B": Reading("B", "spatial", "no", boundary="logic"),
        "D": Reading("D", "deadlock", "no"),
    }
    result = answer([event(i, "Rust") for i in "ABD"] + [event("C", "C")], readings)
    counts = {r.labels: r.events_new for r in result.rows if (r.population, r.counts) == ("everything", "strict")}
    assert counts == {"machine": 3, "hand": 1, HAND_COUNTED: 2, HAND_LEFT_OUT: 0}


def test_unsafe_and_safe_are_apart() -> None:
    readings = {"A": Reading("A", "race", "yes"), "B": Reading("B", "spatial", "no")}
    parts = {u.part: u for u in answer([event(i, "Rust") for i in "ABX"] + [event("C", "C")], readings).unsafe}
    assert (parts["unsafe"].events, parts["safe"].events, parts["unknown"].events) == (("A",), ("B",), ("X",))
    assert parts["unsafe"].exposure == pytest.approx(0.001, rel=0.01)


def test_without_history_age_matching_is_not_available() -> None:
    assert isinstance(answer([event("A", "Rust"), event("C", "C")]).age_matched, NotAvailable)


def test_age_matching_compares_the_same_years_of_writing() -> None:
    """Old C code with many faults is no comparison for young Rust code."""
    cohorts = [
        ("2023", ExposureRow(date(2024, 1, 1), "x", "Rust", "shipped", 10_000)),
        ("2023", ExposureRow(date(2024, 1, 1), "x", "C", "shipped", 10_000)),
        ("2001", ExposureRow(date(2024, 1, 1), "x", "C", "shipped", 1_000_000)),
    ]
    events = [event("A", "Rust", introduced=date(2023, 5, 1)), event("B", "C", introduced=date(2023, 2, 1))]
    events += [event(f"O{i}", "C", introduced=date(2001, 2, 1)) for i in range(500)]
    row = answer(events, cohorts=cohorts).age_matched
    assert not isinstance(row, NotAvailable)
    assert (row.events_new, row.events_old, row.ratio, row.adjustment) == (1, 1, pytest.approx(1.0), "age-matched")


def test_lines_are_interpolated_for_description_and_predictable_for_tests() -> None:
    exposure = Exposure([ExposureRow(date(2024, 1, 1), "a", "C", "shipped", 0),
                         ExposureRow(date(2024, 12, 31), "a", "C", "shipped", 2_000_000)])  # fmt: skip
    everything = Population(frozenset({"C"}))
    assert exposure.mloc_years(everything, date(2024, 1, 1), date(2024, 12, 31)) == pytest.approx(365 / 365.25)
    assert exposure.known_before(everything, date(2024, 12, 31)) == 0
    assert exposure.known_before(everything, date(2024, 1, 1)) is None

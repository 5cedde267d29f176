"""Lifetimes of hand-made faults: groups, zero lifetimes, what is unknown."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from preventable.errors import StatisticsInputError
from preventable.evidence.tables import NO_FILE
from preventable.studies.events import Event
from preventable.studies.lifetimes import lifetimes, release_cycles

RELEASES = {f"6.{n}": date(2014, 1, 1) + timedelta(days=63 * n) for n in range(70)}


def fault(name: str, introduced: date | None, fixed: date, **more: object) -> Event:
    values = {
        "id": name, "fixed": fixed, "published": None, "introduced": introduced, "introduced_before": False,
        "introduced_commit": name, "introduced_version": None, "fixed_version": None, "languages": frozenset({"C"}),
        "components": ("lib",), "weakness": "spatial", "cwe": None, "branches": 1,
    } | more  # fmt: skip
    return Event(**values)  # type: ignore[arg-type]  # a test's shorthand


def simulated(seed: int, n: int, window: tuple[float, float]) -> list[Event]:
    """Exponential lifetimes of three years, seen only if fixed in the window (years since 2005)."""
    rng = np.random.default_rng(seed)
    begun = 20 * rng.random(n)
    end = begun + rng.exponential(3.0, n)
    zero = date(2005, 1, 1)
    return [
        fault(f"F{i:06}", zero + timedelta(days=int(b * 365.25)), zero + timedelta(days=int(e * 365.25)))
        for i, (b, e) in enumerate(zip(begun, end, strict=True))
        if window[0] < e <= window[1] and int(e * 365.25) > int(b * 365.25)
    ]


def test_the_naive_mean_is_biased_and_the_corrected_figures_are_not() -> None:
    events = simulated(1, 4000, (0, 20))
    result = lifetimes(
        events, start=None, end=date(2024, 12, 31), first_date=None, releases={}, by=("all",), bootstrap=40
    )
    row = result.rows[0]
    assert row.naive_mean is not None
    assert row.exponential_mean is not None
    assert row.naive_mean < 2.75
    assert row.exponential_low < 3.0 < row.exponential_high  # type: ignore[operator]
    assert row.corrected_median == pytest.approx(3 * np.log(2), rel=0.15)
    assert row.hidden_share == pytest.approx(3 / 20, abs=0.03)


def test_a_window_too_narrow_gives_no_corrected_curve() -> None:
    events = simulated(2, 4000, (19, 20))
    result = lifetimes(
        events, start=date(2024, 1, 1), end=date(2024, 12, 31), first_date=None, releases={}, by=("all",)
    )
    assert result.rows[0].corrected_mean is None
    assert "too narrow" in result.rows[0].reason


def test_zero_lifetimes_are_explained_and_given_a_third_of_a_cycle() -> None:
    events = simulated(3, 2000, (0, 20))
    same = RELEASES["6.30"]
    events += [
        fault(f"Z{i}", same, same, introduced_version="6.30", fixed_version="6.30", branches=i) for i in range(2)
    ]
    events.append(fault("Y", RELEASES["6.31"], same))
    zero = lifetimes(events, start=None, end=date(2024, 12, 31), first_date=None, releases=RELEASES, by=("all",)).zero
    assert (zero.records, zero.same_release, zero.fixed_before) == (3, 2, 1)
    assert (zero.never_released, zero.reached_stable) == (1, 1)


def test_few_faults_give_counts_and_a_reason() -> None:
    events = simulated(4, 400, (0, 20))
    events.append(fault("R", date(2020, 1, 1), date(2021, 1, 1), languages=frozenset({"Rust"})))
    rows = lifetimes(
        events, start=None, end=date(2024, 12, 31), first_date=None, releases={}, by=("all", "language")
    ).rows
    rust = next(r for r in rows if r.group == "Rust")
    assert (rust.dated, rust.corrected_mean, rust.naive_mean) == (1, None, pytest.approx(366 / 365.25))
    assert "fewer" in rust.reason


def test_left_censored_faults_are_counted_apart() -> None:
    events = [*simulated(5, 1500, (0, 20)), fault("O", date(2005, 1, 1), date(2020, 1, 1), introduced_before=True)]
    row = lifetimes(
        events, start=None, end=date(2024, 12, 31), first_date=date(2005, 1, 1), releases={}, by=("all",)
    ).rows[0]
    assert row.left_censored == 1


def test_a_left_censored_fault_may_be_the_first_to_be_fixed() -> None:
    """The window then begins with its cycle, not with that of the first exactly dated fault."""
    start = date(2015, 1, 1)
    exact = [e for e in simulated(6, 3000, (10.5, 20)) if e.fixed > date(2016, 6, 1)]
    old = fault("O", date(2005, 1, 1), date(2015, 2, 1), introduced_before=True, fixed_version="6.5")
    row = lifetimes(
        [*exact, old], start=start, end=date(2024, 12, 31), first_date=date(2005, 1, 1), releases=RELEASES, by=("all",)
    ).rows[0]
    assert (row.left_censored, row.dated) == (1, len(exact))


def test_no_dated_fault_is_an_error() -> None:
    with pytest.raises(StatisticsInputError, match="introduction"):
        lifetimes([fault("A", None, date(2020, 1, 1))], start=None, end=date(2024, 1, 1), first_date=None, releases={})


def test_point_releases_make_no_cycle() -> None:
    cycles = release_cycles({"2.6.29": date(2009, 3, 23), "2.6.30": date(2009, 6, 9), "2.6.29.1": date(2009, 4, 2)})
    assert cycles == {"2.6.30": 78}


def test_without_files_the_package_is_the_component_and_the_language_unknown() -> None:
    nowhere = {"languages": frozenset(), "components": ()}
    events = [
        fault("A", date(2018, 1, 1), date(2019, 1, 1), **nowhere),
        fault("B", date(2018, 1, 1), date(2020, 1, 1), **nowhere),
        fault("C", date(2018, 1, 1), date(2020, 1, 1), languages=frozenset({"other"})),
        fault("D", date(2018, 1, 1), date(2020, 1, 1), components=()),
    ]
    rows = lifetimes(
        events, start=None, end=date(2024, 1, 1), first_date=None, releases={}, by=("component", "language"),
        packages={"A": "curl", "C": "curl"},
    ).rows  # fmt: skip
    assert [(r.by, r.group, r.events) for r in rows] == [
        ("component", "curl", 1), ("component", "lib", 1), ("component", "none", 1), ("component", NO_FILE, 1),
        ("language", "C", 1), ("language", "other", 1), ("language", "unknown", 2),
    ]  # fmt: skip


def test_what_is_outside_the_window_is_counted_with_its_reason() -> None:
    events = [fault(f"F{n}", date(2018, 1, 1), date(2019 + n, 1, 1)) for n in range(5)]
    result = lifetimes(
        events, start=date(2020, 1, 1), end=date(2022, 6, 1), first_date=None, releases={}, by=("all",)
    )  # fmt: skip
    assert result.rows[0].events == 2
    assert [(why.split(",")[0], count) for why, count in result.outside.items()] == [
        ("fixed up to 2020-01-01", 2), ("fixed after 2022-06-01", 1),
    ]  # fmt: skip
    assert any(sentence.startswith("1 more dated records are left out: fixed after") for sentence in result.sentences)

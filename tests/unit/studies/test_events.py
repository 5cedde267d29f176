"""Dating, sides, clusters and the window."""

from __future__ import annotations

from datetime import date

import pytest

from preventable.records import Advisory, CodeRange, Label
from preventable.studies.events import Dates, Event, clusters, date_events, side_of, window

RELEASES = {"6.1": date(2022, 12, 11), "6.8": date(2024, 3, 10), "6.9": date(2024, 5, 12), "6.8.3": date(2024, 4, 3)}
DATES = Dates(RELEASES, first_release="2.6.12", first_date=date(2005, 6, 17))


def advisory(name: str, *ranges: CodeRange, files: tuple[str, ...] = ("lib/a.c",)) -> Advisory:
    return Advisory(id=name, feed="test", file="test", files=files, ranges=ranges)


def mainline(introduced: str | None, fixed: str | None, commit: str = "c1") -> CodeRange:
    return CodeRange(
        introduced_version=introduced, introduced_commit=commit if introduced else None, fixed_version=fixed,
        fixed_commit="f", mainline=True,
    )  # fmt: skip


def dated(*advisories: Advisory) -> tuple[Event, ...]:
    return date_events(advisories, {}, DATES, lambda path: path.split("/")[0]).events


def test_only_the_mainline_pair_dates_an_event() -> None:
    stable = CodeRange(introduced_version="6.1", fixed_version="6.8.3")
    (event,) = dated(advisory("A", stable, mainline("6.1", "6.9")))
    assert (event.fixed, event.introduced, event.branches) == (RELEASES["6.9"], RELEASES["6.1"], 1)


def test_a_record_without_a_date_is_counted_with_its_reason() -> None:
    found = date_events([advisory("A"), advisory("B", mainline("6.1", "9.9"))], {}, DATES, lambda _: None)
    assert found.events == ()
    assert sum(found.undated.values()) == 2
    assert len(found.undated) == 2


def test_code_from_before_the_first_known_release_is_left_censored() -> None:
    (event,) = dated(advisory("A", mainline("2.6.12", "6.8")))
    assert (event.introduced_before, event.introduced) == (True, date(2005, 6, 17))


def test_an_unknown_introduction_stays_unknown() -> None:
    (event,) = dated(advisory("A", mainline(None, "6.8")))
    assert (event.introduced, event.introduced_before) == (None, False)


def test_of_two_introducing_commits_the_earlier_counts() -> None:
    (event,) = dated(advisory("A", mainline("6.8", "6.9"), mainline("6.1", "6.9", "c0")))
    assert event.introduced == RELEASES["6.1"]


def test_osv_releases_date_what_commits_alone_cannot() -> None:
    git = CodeRange(fixed_commit="abc", mainline=True)
    (event,) = dated(advisory("A", CodeRange(introduced_version="6.1", fixed_version="6.8"), git))
    assert (event.fixed, event.introduced) == (RELEASES["6.8"], RELEASES["6.1"])


@pytest.mark.parametrize(
    ("files", "side"),
    [(("a.rs",), "new"), (("a.c", "b.h"), "old"), (("a.rs", "b.c"), "both"), (("Kconfig",), None), (("b.h",), "old")],
)
def test_sides(files: tuple[str, ...], side: str | None) -> None:
    (event,) = dated(advisory("A", mainline("6.1", "6.8"), files=files))
    assert side_of(event, frozenset({"Rust"}), frozenset({"C", "header"})) == side


def test_faults_of_one_commit_fixed_together_are_one_event() -> None:
    events = dated(
        advisory("A", mainline("6.1", "6.8", "x")),
        advisory("B", mainline("6.1", "6.8", "x")),
        advisory("C", mainline("6.1", "6.9", "x")),
        advisory("D", mainline(None, "6.8")),
        advisory("E", mainline("2.6.12", "6.8", "import")),
        advisory("F", mainline("2.6.12", "6.8", "import")),
    )
    made = clusters(events, lambda e: "old")
    assert sorted(len(c) for c in made) == [1, 1, 1, 1, 2]


def test_the_cut_off_leaves_time_for_publication() -> None:
    events = dated(advisory("A", mainline("6.1", "6.8")), advisory("B", mainline("6.1", "6.9")))
    assert window(events, date(2024, 2, 13), date(2024, 5, 20), 45)[1] == RELEASES["6.8"]


def test_labels_are_taken_over_and_missing_ones_are_unknown() -> None:
    found = date_events(
        [advisory("A", mainline("6.1", "6.8")), advisory("B", mainline("6.1", "6.8"))],
        {"A": Label("A", "spatial", "rules", 787)}, DATES, lambda _: None,
    )  # fmt: skip
    assert [(e.weakness, e.cwe) for e in found.events] == [("spatial", 787), ("unknown", None)]

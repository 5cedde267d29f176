"""Languages by name, periods by date, people by spelling."""

from __future__ import annotations

from array import array

from preventable.code.counting import language_names
from preventable.code.history.commits import Commits
from preventable.code.history.languages import _BY_NAME, _BY_SUFFIX, OTHER, language_of
from preventable.code.history.people import _Join
from preventable.code.history.periods import month_of, period_snapshots, quarter_label, quarter_of


def test_common_languages_have_the_names_of_the_census() -> None:
    known = language_names()
    common = {"C", "C Header", "C++", "C++ Header", "Rust", "Perl", "Python", "CMake", "Makefile", "Markdown"}
    assert common <= known
    assert common <= set(_BY_SUFFIX.values()) | set(_BY_NAME.values())
    assert language_of("a/.gitignore") == OTHER
    assert language_of("kernel/sched/core.c") == "C"


def test_periods_are_utc() -> None:
    assert quarter_label(quarter_of(1_577_836_799)) == "2019-Q4"
    assert quarter_label(quarter_of(1_577_836_800)) == "2020-Q1"
    assert month_of(86_400 * 31) == 1


def commits(*seconds: int | None) -> Commits:
    count = len(seconds)
    return Commits(
        hex_length=40,
        ids=b"".join(b"%040x" % n for n in range(count)),
        first_parent=array("i", range(-1, count - 1)),
        other_parents={},
        author_seconds=list(seconds),
        commit_seconds=list(seconds),
    )


def test_every_period_has_a_snapshot_even_one_without_commits() -> None:
    year = 31_556_952
    found = period_snapshots(commits(1_580_515_200, 1_580_515_200 + 2 * year), "year")
    assert [(s.label, s.commit) for s in found] == [("2020", 0), ("2021", 0), ("2022", 1)]


def test_a_clock_that_went_back_does_not_take_lines_back() -> None:
    found = period_snapshots(commits(1_580_515_200, 1_590_515_200, 1_581_515_200, 1_600_515_200), "quarter")
    assert [(s.label, s.commit) for s in found] == [("2020-Q1", 2), ("2020-Q2", 2), ("2020-Q3", 3)]


def test_broken_clocks_fall_back_to_the_committer_or_are_unknown() -> None:
    history = commits(1_580_515_200, 3_600, 4_102_448_400, None)
    assert history.author_seconds == [1_580_515_200, None, None, None]
    assert history.odd == [1, 2, 3]


def test_one_person_by_address_or_full_name_but_not_by_first_name() -> None:
    join = _Join()
    for value in ("Ann Lee <a@x>", "ann lee <b@y>", "A. L. <B@Y>", "Ann <c@z>", "Ann <d@z>"):
        join.add(value)
    assert join.root("Ann Lee <a@x>") == join.root("A. L. <B@Y>")
    assert join.root("Ann <c@z>") != join.root("Ann <d@z>")

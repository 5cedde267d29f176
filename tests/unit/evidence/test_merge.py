"""Which records of several feeds are one vulnerability."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from typing import Any

import pytest

from preventable.evidence.merge import by_id, ids_by_name, merge_advisories, shared_aliases
from preventable.records import Advisory, CodeRange, CweClaim


def record(name: str, *aliases: str, **more: Any) -> Advisory:
    return Advisory(name, "osv", "f.json", aliases=aliases, **more)


def test_a_sibling_in_the_same_feed_hides_no_earlier_record() -> None:
    """B is CVE-1 by one name and shares another with its sibling A, which stands before it."""
    one = [record("CVE-1")]
    two = [record("A", "GHSA-x"), record("B", "GHSA-x", "CVE-1")]
    assert [a.id for a in merge_advisories([one, two]).records] == ["A", "CVE-1"]
    assert [a.id for a in merge_advisories([two, one]).records] == ["A", "B"]


def test_the_id_goes_before_an_alias() -> None:
    known = [record("RUSTSEC-1", "CVE-9"), record("RUSTSEC-2", "CVE-9")]
    again = [record("RUSTSEC-2", "CVE-9")]
    merged = merge_advisories([known, again]).records
    assert [(a.id, a.aliases) for a in merged] == [("RUSTSEC-1", ("CVE-9",)), ("RUSTSEC-2", ("CVE-9", "RUSTSEC-2"))]


def test_a_feed_tells_which_of_its_records_are_one_with_an_earlier_one() -> None:
    first = [record("CVE-1"), record("CVE-2")]
    second = [record("GHSA-1", "CVE-1"), record("CVE-2"), record("GHSA-3")]
    assert merge_advisories([first, second, []]).joined == (frozenset(), {"GHSA-1", "CVE-2"}, frozenset())


def test_what_is_said_by_a_name_goes_to_the_record_that_is_meant() -> None:
    """The id itself goes before an alias; an alias of two records tells of neither."""
    records = [record("A", "B", "X"), record("B", "X", "Y")]
    assert ids_by_name(records) == {"A": "A", "B": "B", "Y": "B"}
    assert by_id({"Y": 1, "B": 2, "X": 3, "C": 4}, records) == {"B": 2, "X": 3, "C": 4}
    assert by_id({"B": 2, "Y": 1}, records) == {"B": 2}
    assert shared_aliases(records) == {"X": ["A", "B"]}


BARE = CodeRange(fixed_commit="a" * 40, mainline=True)
ELSEWHERE = CodeRange(fixed_version="9.9")
FIXED = CodeRange(fixed_version="6.8", fixed_date=date(2024, 3, 10))
DATED = CodeRange(
    introduced_version="6.1", introduced_commit="b" * 40, introduced_date=date(2022, 12, 11),
    fixed_version="6.8", fixed_commit="c" * 40, fixed_date=date(2024, 3, 10), mainline=True,
)  # fmt: skip
STABLE = CodeRange(
    introduced_version="6.1", introduced_commit="b" * 40, introduced_date=date(2022, 12, 11),
    fixed_version="6.7.9", fixed_commit="d" * 40, fixed_date=date(2024, 3, 20),
)  # fmt: skip


@pytest.mark.parametrize("order", list(permutations(range(5))))
def test_what_dates_a_fault_is_taken_in_any_order_and_once(order: tuple[int, ...]) -> None:
    """A bare commit, a release that nobody dates, a fix without its branch, nothing: none hides the mainline pair."""
    ranges: list[tuple[CodeRange, ...]] = [(BARE,), (ELSEWHERE,), (FIXED, STABLE), (STABLE, DATED), ()]
    (one,) = merge_advisories([[record(f"X-{i}", "CVE-1", ranges=ranges[i])] for i in order]).records
    assert one.ranges == (STABLE, DATED)


def test_the_first_ranges_stand_where_no_other_dates_more() -> None:
    first, second = record("CVE-1", ranges=(BARE,)), record("CVE-1", ranges=(CodeRange(fixed_commit="e" * 40),))
    assert merge_advisories([[first], [second]]).records[0].ranges == (BARE,)
    assert merge_advisories([[second], [first]]).records[0].ranges == second.ranges


def test_a_commit_dates_where_a_clone_knows_it() -> None:
    first, second = record("CVE-1", ranges=(ELSEWHERE,)), record("CVE-1", ranges=(BARE,))
    assert merge_advisories([[first], [second]]).records[0].ranges == (ELSEWHERE,)
    known = frozenset({BARE.fixed_commit or ""})
    assert merge_advisories([[first], [second]], dated_commits=known).records[0].ranges == (BARE,)


@pytest.mark.parametrize("withdrawn_first", [False, True])
def test_a_withdrawn_record_hides_no_live_one(withdrawn_first: bool) -> None:
    """GitHub withdraws an advisory in favour of the CVE's own."""
    cwe = CweClaim(416, "osv")
    gone = record(
        "GHSA-1", "CVE-1", title="Duplicate", text="withdrawn", ranges=(DATED,), withdrawn=date(2024, 6, 1), cwes=(cwe,)
    )
    live = record("CVE-1", title="net: fix", text="A use after free", ranges=(BARE,))
    (one,) = merge_advisories([[gone], [live]] if withdrawn_first else [[live], [gone]]).records
    assert (one.id, one.title, one.text, one.ranges) == ("CVE-1", live.title, live.text, (BARE,))
    assert (one.withdrawn, one.cwes) == (None, (cwe,))


def test_what_all_have_withdrawn_is_withdrawn_since_the_last_did() -> None:
    feeds = [[record("CVE-1", withdrawn=date(2024, month, 1))] for month in (3, 6, 1)]
    assert merge_advisories(feeds).records[0].withdrawn == date(2024, 6, 1)


def test_later_feeds_fill_what_the_first_leaves_empty() -> None:
    bare = record("GHSA-1", "CVE-1", text=" ")
    told = record("CVE-1", title="net: fix", text="A use after free", package="net", impact="root", files=("a.c",))
    for feeds in ([[bare], [told]], [[told], [bare]]):
        (one,) = merge_advisories(feeds).records
        assert (one.title, one.text, one.package, one.impact, one.files) == (
            told.title, told.text, told.package, told.impact, told.files,
        )  # fmt: skip
    other = record("CVE-1", title="other", text="other", package="other")
    assert merge_advisories([[told], [other]]).records[0].text == told.text


def test_a_text_that_tells_nothing_stands_only_where_there_is_no_other() -> None:
    empty = record("CVE-1", title="n/a", text="Rejected reason: a duplicate")
    told = record("GHSA-1", "CVE-1", title="net: fix", text="A use after free")

    def tells_nothing(text: str) -> bool:
        return text.startswith("Rejected")

    (one,) = merge_advisories([[empty], [told]], tells_nothing=tells_nothing).records
    assert (one.id, one.title, one.text) == ("CVE-1", told.title, told.text)
    twice = merge_advisories([[empty], [record("CVE-1", text="Rejected reason: b")]], tells_nothing=tells_nothing)
    assert twice.records[0].text == empty.text


def test_a_record_that_names_those_of_two_feeds_makes_them_one_in_any_order() -> None:
    feeds = [[record("GHSA-a")], [record("CVE-1")], [record("OSV-9", "GHSA-a", "CVE-1")]]
    assert [len(merge_advisories(order).records) for order in permutations(feeds)] == [1] * 6


def test_two_records_of_one_feed_stay_two_whoever_names_both() -> None:
    """The third joins the one that it names without doubt, else that with the lower id."""
    pair = [record("GHSA-1", "CVE-3"), record("GHSA-2", "CVE-3")]
    for feeds in ([[record("CVE-3")], pair], [pair, [record("CVE-3")]]):
        assert "CVE-3" in {n for a in merge_advisories(feeds).records for n in (a.id, *a.aliases) if a.id != "GHSA-2"}
        assert len(merge_advisories(feeds).records) == 2
    named = [record("CVE-3", "GHSA-2")]
    for feeds in ([named, pair], [pair, named]):
        assert "GHSA-1" in {a.id for a in merge_advisories(feeds).records}, "left alone"


def test_an_alias_of_several_records_in_several_feeds_tells_of_none() -> None:
    """A column that says "N/A" throughout is no name; a CVE that two records of one feed share is one."""
    feeds = [[record(f"{feed}-{i:05}", "N/A") for i in range(5_000)] for feed in "AB"]
    assert len(merge_advisories(feeds).records) == 10_000
    again = [[record(f"{i:05}", "N/A") for i in range(20_000)] for _ in "AB"]
    assert len(merge_advisories(again).records) == 20_000
    assert len(merge_advisories([[record("A", "CVE-1"), record("B", "CVE-1")], [record("C", "CVE-1")]]).records) == 2
    named = [
        [record("CVE-1"), record("A", "CVE-1"), record("B", "CVE-1")],
        [record("C", "CVE-1"), record("D", "CVE-1")],
    ]
    assert len(merge_advisories(named).records) == 3


def test_a_format_without_a_word_for_it_takes_no_withdrawal_back() -> None:
    gone = record("RUSTSEC-1", withdrawn=date(2020, 1, 1))
    copy = record("RUSTSEC-1", text="a copy")
    for feeds in ([[gone], [copy]], [[copy], [gone]]):
        assert merge_advisories(feeds).records[0].withdrawn is None
        assert merge_advisories(feeds, silent={"osv"}).records[0].withdrawn == date(2020, 1, 1)

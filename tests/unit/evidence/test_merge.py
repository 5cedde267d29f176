"""Which records of several feeds are one vulnerability."""

from __future__ import annotations

from preventable.evidence.tables import by_id, ids_by_name, merge_advisories
from preventable.records import Advisory


def record(name: str, *aliases: str) -> Advisory:
    return Advisory(name, "osv", "f.json", aliases=aliases)


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

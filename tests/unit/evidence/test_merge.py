"""Which records of several feeds are one vulnerability."""

from __future__ import annotations

from preventable.evidence.tables import merge_advisories
from preventable.records import Advisory


def record(name: str, *aliases: str) -> Advisory:
    return Advisory(name, "osv", "f.json", aliases=aliases)


def test_a_sibling_in_the_same_feed_hides_no_earlier_record() -> None:
    """B is CVE-1 by one name and shares another with its sibling A, which stands before it."""
    one = [record("CVE-1")]
    two = [record("A", "GHSA-x"), record("B", "GHSA-x", "CVE-1")]
    assert [a.id for a in merge_advisories([one, two])] == ["A", "CVE-1"]
    assert [a.id for a in merge_advisories([two, one])] == ["A", "B"]


def test_the_id_goes_before_an_alias() -> None:
    known = [record("RUSTSEC-1", "CVE-9"), record("RUSTSEC-2", "CVE-9")]
    again = [record("RUSTSEC-2", "CVE-9")]
    merged = merge_advisories([known, again])
    assert [(a.id, a.aliases) for a in merged] == [("RUSTSEC-1", ("CVE-9",)), ("RUSTSEC-2", ("CVE-9", "RUSTSEC-2"))]

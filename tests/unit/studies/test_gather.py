"""Whose ranges are dated by what, before records of several feeds are merged."""

from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest

from preventable.evidence.tables import mainline_range
from preventable.readers.registry import Load
from preventable.records import Advisory, CodeRange, ReadReport
from preventable.studies.embedded import embedded_releases
from preventable.studies.gather import dated_loads, merge_loads

LINUX = CodeRange(fixed_version="6.8", fixed_commit="a" * 40, mainline=True)


def loaded(feed: str, name: str, *ranges: CodeRange, releases: dict[str, date] | None = None, text: str = "") -> Load:
    advisory = Advisory(name, feed, "f", text=text, aliases=("CVE-2024-1",), ranges=ranges)
    return Load(ReadReport(name, feed, "", "", None, 1, 0, 0, 0), (advisory,), releases=releases or {})


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_kernels_ranges_are_dated_whichever_record_stands(order: tuple[int, ...]) -> None:
    """``assess -a GHSA -a vulns`` has the fix's date as ``assess -a vulns -a GHSA`` has."""
    loads = [
        loaded("osv", "GHSA-1"),
        loaded("osv", "OSV-1", CodeRange(fixed_commit="b" * 40, mainline=True)),
        loaded("kernel_cna", "CVE-2024-1", LINUX),
    ]
    (one,), _ = merge_loads(dated_loads([loads[i] for i in order]))
    found = mainline_range(one)
    assert found is not None
    assert found.fixed_date == embedded_releases()["6.8"]


def test_releases_of_linux_date_nothing_else() -> None:
    kernel = loaded("kernel_cna", "CVE-2024-1", LINUX)
    other, _ = dated_loads([loaded("osv", "CVE-2024-1", CodeRange(fixed_version="6.8")), kernel])
    assert other.advisories[0].ranges[0].fixed_date is None


def test_release_dates_that_are_given_date_every_feed_and_stand_for_the_embedded_ones() -> None:
    day = date(2020, 1, 1)
    given = loaded("osv", "CVE-2024-1", CodeRange(fixed_version="6.8"), releases={"6.8": day})
    loads = dated_loads([given, loaded("kernel_cna", "CVE-2024-1", LINUX)])
    assert [one.advisories[0].ranges[0].fixed_date for one in loads] == [day, day]
    tagged = dated_loads([loaded("kernel_cna", "CVE-2024-1", LINUX)], {"6.8": day})
    assert tagged[0].advisories[0].ranges[0].fixed_date == day


def test_a_rejected_number_leaves_the_other_feeds_text() -> None:
    loads = [
        loaded("cve5", "CVE-2024-1", text="** REJECT ** DO NOT USE THIS CANDIDATE NUMBER."),
        loaded("osv", "GHSA-1", text="A use after free"),
    ]
    (one,), _ = merge_loads(loads)
    assert (one.id, one.text) == ("CVE-2024-1", "A use after free")

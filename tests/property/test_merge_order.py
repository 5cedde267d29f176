"""Which records are one vulnerability does not depend on the order in which feeds are given."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from preventable.evidence.merge import merge_advisories
from preventable.records import Advisory

NAMES = st.sampled_from("ABCDEFG")
FEED = st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=4)
FEEDS = st.lists(FEED, min_size=2, max_size=4)
Groups = frozenset[frozenset[str]]


def groups(feeds: list[dict[str, list[str]]], order: list[int]) -> Groups:
    """The records of each vulnerability as ``feed/id``: an alias that each has to itself, for aliases are gathered."""
    marked = [
        [Advisory(name, "t", "t", aliases=(*aliases, f"{at}/{name}")) for name, aliases in feed.items()]
        for at, feed in enumerate(feeds)
    ]
    merged = merge_advisories([marked[at] for at in order]).records
    return frozenset(frozenset(n for n in record.aliases if "/" in n) for record in merged)


def components(feeds: list[dict[str, list[str]]]) -> Groups:
    """Plainly: what is connected by names, over all feeds."""
    parts: list[tuple[set[str], set[str]]] = []
    for at, feed in enumerate(feeds):
        for name, aliases in feed.items():
            marks, names = {f"{at}/{name}"}, {name, *aliases}
            apart = []
            for part in parts:
                if part[1] & names:
                    marks |= part[0]
                    names |= part[1]
                else:
                    apart.append(part)
            parts = [*apart, (marks, names)]
    return frozenset(frozenset(marks) for marks, _ in parts)


def feeds_of(group: frozenset[str]) -> list[str]:
    return [mark.split("/")[0] for mark in group]


@given(FEEDS, st.randoms(use_true_random=False))
def test_the_groups_are_the_same_in_any_order(feeds: list[dict[str, list[str]]], random: Random) -> None:
    order = list(range(len(feeds)))
    random.shuffle(order)
    assert groups(feeds, order) == groups(feeds, sorted(order))


@given(FEEDS)
def test_groups_are_components_without_two_records_of_a_feed(feeds: list[dict[str, list[str]]]) -> None:
    found = groups(feeds, list(range(len(feeds))))
    whole = components(feeds)
    for group in found:
        assert len(set(feeds_of(group))) == len(group), "two records of one feed stay two"
        assert any(group <= part for part in whole), "only what names connect is one"
    for part in whole:
        if len(set(feeds_of(part))) == len(part):
            assert part in found, "nothing else keeps connected records apart"

"""Which records of several feeds are one vulnerability, what the one record says, and whom a name means.

The groups do not depend on the order of the feeds; which record of a group stands does: the first feed's that its
publisher has not withdrawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from preventable.records import Advisory, CodeRange

T = TypeVar("T")


class Merged(msgspec.Struct, frozen=True):
    """Records of several feeds, each vulnerability once.

    records: sorted by id; joined: per feed, in the order given, the ids of its records that are one with an earlier
    feed's.
    """

    records: tuple[Advisory, ...]
    joined: tuple[frozenset[str], ...]


def merge_advisories(
    feeds: Sequence[Sequence[Advisory]],
    *,
    dated_commits: Container[str] = frozenset(),
    tells_nothing: Callable[[str], bool] = lambda _text: False,
    silent: Container[str] = frozenset(),
) -> Merged:
    """One record per vulnerability: the first feed's stands, the others' fill what it lacks and add CWEs and aliases.

    Records of two feeds, of one format or several, are the same vulnerability when they share an id or an alias. Two
    records of one feed stay two, also where a third names both. An alias that several records have in each of several
    feeds, and none as its id, tells of none of them ("N/A").

    Ranges are never mixed: those of one record are taken, see ``_most_telling``. A record that was withdrawn gives way
    to one that was not; the vulnerability counts as withdrawn when all its records are that can say so.

    Args:
        feeds: records, their ranges dated as far as releases date them.
        dated_commits: commits whose date is known.
        tells_nothing: whether a text speaks of no fault at all (its number was rejected); another then goes first.
        silent: formats that cannot say that a record was withdrawn.
    """
    records = [(at, record) for at, feed in enumerate(feeds) for record in feed]
    joined: list[set[str]] = [set() for _ in feeds]
    merged: list[Advisory] = []
    for group in _groups(records):
        members = [records[i] for i in group]
        for at, record in members:
            if at != members[0][0]:
                joined[at].add(record.id)
        merged.append(_one([record for _, record in members], dated_commits, tells_nothing, silent))
    return Merged(tuple(sorted(merged, key=lambda a: a.id)), tuple(frozenset(ids) for ids in joined))


def _groups(records: Sequence[tuple[int, Advisory]]) -> list[list[int]]:
    """Indexes of the records of each vulnerability, in the order given.

    What has the same id is united first; then, name by name, what shares a name. Names that no feed has on two records
    go first, then ids go before mere aliases, then the alphabet decides. Records that share a name with several of
    one feed join the one that has it as its id, else the one with the lowest id, as long as they find no other record
    of their own feed there; else the next.
    """
    owner = list(range(len(records)))
    feeds = [{feed} for feed, _ in records]
    holders: dict[str, list[int]] = {}
    for i, (_, record) in enumerate(records):
        for name in {record.id, *record.aliases}:
            holders.setdefault(name, []).append(i)

    def root(i: int) -> int:
        while owner[i] != i:
            owner[i] = owner[owner[i]]
            i = owner[i]
        return i

    def unite(members: Iterable[int]) -> None:
        places: dict[int, None] = {}
        order: list[int] = []
        full: dict[int, int] = {}  # feed -> so many places from the first on have a record of it
        for one in map(root, members):
            if one in places:
                continue
            own = feeds[one]
            at = max(full.get(feed, 0) for feed in own)
            while at < len(order) and not own.isdisjoint(feeds[order[at]]):
                at += 1
            if len(own) == 1:
                full[next(iter(own))] = at + 1
            if at == len(order):
                order.append(one)
                places[one] = None
            else:
                owner[one] = order[at]
                feeds[order[at]] |= own

    def rank(name: str) -> tuple[bool, bool, str]:
        members = holders[name]
        twice = len({records[i][0] for i in members}) < len(members)
        return twice, all(records[i][1].id != name for i in members), name

    def means_none(name: str) -> bool:
        """Such as "N/A": no id, and on several records of several feeds."""
        twice = [n for n in Counter(records[i][0] for i in holders[name]).values() if n > 1]
        return len(twice) > 1 and all(records[i][1].id != name for i in holders[name])

    shared = [name for name, members in holders.items() if len(members) > 1 and not means_none(name)]
    for name in shared:
        unite(i for i in holders[name] if records[i][1].id == name)
    for name in sorted(shared, key=rank):
        unite(sorted(holders[name], key=lambda i: (records[i][1].id != name, records[i][1].id)))
    groups: dict[int, list[int]] = {}
    for i in range(len(records)):
        groups.setdefault(root(i), []).append(i)
    return list(groups.values())


def _one(
    members: Sequence[Advisory],
    dated_commits: Container[str],
    tells_nothing: Callable[[str], bool],
    silent: Container[str],
) -> Advisory:
    """What the records of one vulnerability, in the order of their feeds, say together."""
    if len(members) == 1:
        return members[0]
    if live := any(a.withdrawn is None and a.feed not in silent for a in members):
        members = sorted(members, key=lambda a: a.withdrawn is not None)
    first, *others = members
    telling = [a for a in members if not tells_nothing(a.text)] or members
    rated = next((a for a in members if a.cvss_score is not None or a.severity), first)
    return msgspec.structs.replace(
        first,
        title=next((a.title for a in telling if a.title.strip()), first.title),
        text=next((a.text for a in telling if a.text.strip()), first.text),
        impact=next((a.impact for a in telling if a.impact.strip()), first.impact),
        aliases=tuple(dict.fromkeys((*first.aliases, *(n for a in others for n in (*a.aliases, a.id))))),
        cwes=tuple(dict.fromkeys(c for a in members for c in a.cwes)),
        published=next((a.published for a in members if a.published), None),
        severity=rated.severity,
        cvss_score=rated.cvss_score,
        cvss_vector=rated.cvss_vector,
        package=next((a.package for a in members if a.package), first.package),
        files=next((a.files for a in members if a.files), ()),
        ranges=_most_telling(members, dated_commits),
        withdrawn=None if live else max((a.withdrawn for a in members if a.withdrawn), default=None),
    )


def _most_telling(members: Sequence[Advisory], dated_commits: Container[str]) -> tuple[CodeRange, ...]:
    """The ranges of the one record that dates the fault best; among equals the first's.

    They are not put together: the same branch told twice, with a commit here and a release there, would count as two.
    A withdrawn record's are taken only where no other has any.
    """

    def told(r: CodeRange) -> tuple[bool, ...]:
        fixed = r.fixed_date is not None or (r.fixed_commit is not None and r.fixed_commit in dated_commits)
        introduced = r.introduced_date is not None or (
            r.introduced_commit is not None and r.introduced_commit in dated_commits
        )
        # Commits alone may be those of any branch, whatever the feed's format makes of them; a release beside the
        # commit is what the kernel's own pairs have.
        pair = r.mainline and r.fixed_commit is not None and r.fixed_version is not None
        return (
            fixed,
            fixed and pair,
            fixed and r.mainline,
            introduced,
            r.introduced_version is not None or r.introduced_commit is not None,
            r.fixed_version is not None or r.fixed_commit is not None,
        )

    have = [a for a in members if a.ranges]
    have = [a for a in have if a.withdrawn is None] or have
    return max(have, key=lambda a: max(told(r) for r in a.ranges)).ranges if have else ()


def ids_by_name(advisories: Sequence[Advisory]) -> dict[str, str]:
    """Id or alias -> id of the record that is meant: in other feeds an alias may be the id.

    An alias that two records share tells of neither and is left out; see ``shared_aliases``.

    Example:
        >>> ids_by_name([Advisory("GHSA-1", "osv", "", aliases=("CVE-1",))])
        {'GHSA-1': 'GHSA-1', 'CVE-1': 'GHSA-1'}
    """
    own = {a.id: a.id for a in advisories}
    return own | {name: ids[0] for name, ids in _owners(advisories).items() if len(ids) == 1 and name not in own}


def shared_aliases(advisories: Sequence[Advisory]) -> dict[str, list[str]]:
    """Aliases that mean no one record -> the ids of the records that share each.

    Example:
        >>> shared_aliases([Advisory(name, "osv", "", aliases=("CVE-1",)) for name in ("GHSA-2", "GHSA-1")])
        {'CVE-1': ['GHSA-1', 'GHSA-2']}
    """
    own = {a.id for a in advisories}
    return {name: sorted(ids) for name, ids in _owners(advisories).items() if len(ids) > 1 and name not in own}


def _owners(advisories: Sequence[Advisory]) -> dict[str, list[str]]:
    owners: dict[str, dict[str, None]] = {}
    for a in advisories:
        for alias in a.aliases:
            owners.setdefault(alias, {})[a.id] = None
    return {name: list(ids) for name, ids in owners.items()}


def by_id(found: Mapping[str, T], advisories: Sequence[Advisory]) -> dict[str, T]:
    """What is known by name, by the ids that the records have here; what is said of the id itself goes first."""
    ids = ids_by_name(advisories)
    known: dict[str, T] = {}
    for name, what in found.items():
        one = ids.get(name, name)
        if one == name or one not in known:
            known[one] = what
    return known

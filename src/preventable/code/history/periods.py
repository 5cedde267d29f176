"""Calendar periods (UTC) as whole numbers and labels, and the snapshots that fall on their ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Literal

import msgspec

from preventable.code.history.commits import Commits
from preventable.code.history.gitcall import Repository

Every = Literal["quarter", "month", "year", "tags", "head"]
EVERY: tuple[Every, ...] = ("quarter", "month", "year", "tags", "head")
UNKNOWN_COHORT = "unknown"
_DAY_ZERO = date(1970, 1, 1).toordinal()
_MONTHS = {"quarter": 3, "month": 1, "year": 12}


class Snapshot(msgspec.Struct, frozen=True):
    """A commit at which the lines are counted, and what to call it."""

    label: str
    commit: int
    ends: int | None = None
    """The period this is the end of, as :func:`quarter_of` numbers quarters; None for tags and head."""


def month_of(seconds: int) -> int:
    """Months since 1970 of a Unix time."""
    return _month_of_day(seconds // 86_400)


@cache
def _month_of_day(day: int) -> int:
    at = date.fromordinal(_DAY_ZERO + day)
    return (at.year - 1970) * 12 + at.month - 1


def quarter_of(seconds: int) -> int:
    """Quarters since 1970 of a Unix time.

    Example:
        >>> quarter_of(0), quarter_label(quarter_of(1_700_000_000))
        (0, '2023-Q4')
    """
    return month_of(seconds) // 3


def quarter_label(quarter: int) -> str:
    """The label of a quarter: ``2023-Q4``."""
    return f"{1970 + quarter // 4}-Q{quarter % 4 + 1}"


def _label(period: int, months: int) -> str:
    if months == 12:
        return str(1970 + period)
    return quarter_label(period) if months == 3 else f"{1970 + period // 12}-{period % 12 + 1:02}"


def period_snapshots(commits: Commits, every: Literal["quarter", "month", "year"]) -> list[Snapshot]:
    """The last commit of every period on the chain of first parents, from the first commit to the last.

    The last commit of a period is the last one on the chain whose committer date lies in or before it (what
    ``git rev-list --first-parent --before`` finds). The last period is that of the newest date; it is
    usually not over.
    """
    months = _MONTHS[every]
    last: dict[int, int] = {}
    for index in commits.first_parent_chain():
        seconds = commits.commit_seconds[index]
        if seconds is not None:
            last[month_of(seconds) // months] = index
    if not last:
        return []
    snapshots = []
    newest = -1
    for period in range(min(last), max(last) + 1):
        newest = max(newest, last.get(period, -1))
        snapshots.append(Snapshot(_label(period, months), newest, period if months == 3 else None))
    return snapshots


def tag_snapshots(repository: Repository, commits: Commits) -> tuple[list[Snapshot], list[str]]:
    """The commits that tags name, in order of history; and the tags that lie outside it."""
    listing = repository.run("for-each-ref", "--format=%(objectname) %(*objectname) %(refname:strip=2)", "refs/tags")
    inside: list[Snapshot] = []
    outside: list[str] = []
    for line in listing.decode("utf-8", "replace").splitlines():
        first, peeled, name = line.split(" ", 2)
        index = commits.index(peeled or first)
        if index is None:
            outside.append(name)
        else:
            inside.append(Snapshot(name, index))
    inside.sort(key=lambda s: (s.commit, s.label))
    return inside, outside


def cohorts_of(commits: Commits) -> Sequence[int]:
    """The quarter each commit was written in, -1 where its dates are implausible or its history is cut off."""
    return [-1 if seconds is None else quarter_of(seconds) for seconds in commits.author_seconds]

"""Events: advisories dated by their mainline fix, with their languages, components and class.

Publication dates say when a feed was written, not when a fault ended: records come in batches and are
backfilled. An event is dated by the release (or commit) of the mainline fix; what cannot be dated is counted
with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import PurePosixPath

import msgspec

from preventable.records import Advisory, CodeRange, Label
from preventable.taxonomy.loader import Methodology

LANGUAGE_OF_SUFFIX = {
    ".c": "C", ".h": "header", ".rs": "Rust", ".S": "assembly", ".s": "assembly", ".cc": "C++", ".cpp": "C++",
    ".cxx": "C++", ".hpp": "header", ".hh": "header", ".go": "Go", ".py": "Python", ".java": "Java",
}  # fmt: skip
UNKNOWN = "unknown"


class Event(msgspec.Struct, frozen=True):
    """One vulnerability with what dates and places it."""

    id: str
    fixed: date
    published: date | None
    introduced: date | None
    """None: the introducing commit or release is unknown."""
    introduced_before: bool
    """The introduction is only known to be at or before the first known release (left-censored)."""
    introduced_commit: str | None
    introduced_version: str | None
    fixed_version: str | None
    languages: frozenset[str]
    components: tuple[str, ...]
    weakness: str
    cwe: int | None
    branches: int
    """How many branches of the code the record names beside mainline."""


class Events(msgspec.Struct, frozen=True):
    """Dated events in order of their fix, and how many records could not be dated, by reason."""

    events: tuple[Event, ...]
    undated: Mapping[str, int]


class Dates(msgspec.Struct, frozen=True):
    """What turns versions and commits into dates.

    releases: version -> date; commits: commit -> date (preferred where given); first_release: versions at or
    before it (``2.6.12``: the import into git) tell only that the code is older.
    """

    releases: Mapping[str, date]
    commits: Mapping[str, date] = {}
    first_release: str | None = None
    first_date: date | None = None


def date_events(
    advisories: Sequence[Advisory],
    labels: Mapping[str, Label],
    dates: Dates,
    component_of: Callable[[str], str | None],
) -> Events:
    """Date every advisory by its mainline fix.

    Args:
        advisories: as read; withdrawn ones are counted as such.
        labels: by advisory id; a record without one has the class ``unknown``.
        dates: releases and commits with their dates.
        component_of: path -> component, or None.
    Returns:
        Events: sorted by date of the fix, then id.
    """
    events: list[Event] = []
    undated: Counter[str] = Counter()
    for advisory in advisories:
        if advisory.withdrawn is not None:
            undated["withdrawn by its publisher"] += 1
            continue
        ranges = [r for r in advisory.ranges if r.mainline] or list(advisory.ranges)
        fixes = [(d, r) for r in ranges if (d := _date(dates, r.fixed_date, r.fixed_commit, r.fixed_version))]
        versions = [r for r in advisory.ranges if not r.mainline]
        if not fixes and all(r.fixed_version is None for r in ranges):
            # A feed may give commits (no date at hand) and, in a second range, the releases of the same line.
            fixes = [(d, r) for r in versions if (d := _date(dates, r.fixed_date, None, r.fixed_version))]
        if not fixes:
            undated[_why_undated(ranges)] += 1
            continue
        fixed, fix = max(fixes, key=lambda pair: pair[0])  # with several fixes the last one ends the fault
        introduced, censored, origin = _introduction(ranges, dates)
        if introduced is None and all(r.introduced_version is None for r in ranges):
            introduced, censored, _ = _introduction(versions, dates)
        label = labels.get(advisory.id)
        files = [PurePosixPath(f) for f in advisory.files]
        events.append(
            Event(
                id=advisory.id,
                fixed=fixed,
                published=advisory.published,
                introduced=introduced,
                introduced_before=censored,
                introduced_commit=origin.introduced_commit if origin else None,
                introduced_version=origin.introduced_version if origin else None,
                fixed_version=fix.fixed_version,
                languages=frozenset(LANGUAGE_OF_SUFFIX.get(f.suffix, "other") for f in files),
                components=tuple(sorted({c for f in advisory.files if (c := component_of(f)) is not None})),
                weakness=label.weakness if label else UNKNOWN,
                cwe=label.cwe if label else None,
                branches=len(advisory.ranges) - len(ranges),
            )
        )
    return Events(tuple(sorted(events, key=lambda e: (e.fixed, e.id))), dict(sorted(undated.items())))


def side_of(event: Event, new: frozenset[str], old: frozenset[str]) -> str | None:
    """``new``, ``old``, ``both`` or None, by the languages of the files that the fix touches.

    Example:
        >>> side_of(_example(frozenset({"Rust", "header"})), frozenset({"Rust"}), frozenset({"C", "header"}))
        'both'
    """
    is_new, is_old = bool(event.languages & new), bool(event.languages & old)
    return "both" if is_new and is_old else "new" if is_new else "old" if is_old else None


def counted(event: Event, methodology: Methodology | None) -> bool:
    """Whether a methodology counts the event; None counts every one."""
    return methodology is None or methodology.counts(event.weakness, event.cwe)


def window(events: Sequence[Event], regime_start: date, data_date: date, settle_days: int) -> tuple[date, date]:
    """The days whose fixes can be expected to be in the feed: from the regime's start to a cut-off.

    The cut-off is the last date of a fix that lies at least ``settle_days`` before the end of the data, so
    that a release whose records are still being published is not taken for a quiet one.
    """
    latest = data_date - timedelta(days=settle_days)
    last = max((e.fixed for e in events if e.fixed <= latest), default=latest)
    return regime_start, max(last, regime_start)


def within(events: Sequence[Event], start: date, end: date) -> list[Event]:
    """Events fixed in ``(start, end]``."""
    return [e for e in events if start < e.fixed <= end]


def clusters(events: Sequence[Event], side: Callable[[Event], str | None]) -> list[tuple[Event, ...]]:
    """Events of one introducing commit and one side that were fixed on one date are one event.

    An unknown or left-censored introduction makes no cluster.

    Args:
        events: in the order in which their clusters are to come.
        side: see ``side_of``.
    """
    kept: dict[tuple[str, date, str | None], list[Event]] = {}
    for event in events:
        alone = event.introduced_commit is None or event.introduced_before
        commit = event.id if alone or event.introduced_commit is None else event.introduced_commit
        kept.setdefault((commit, event.fixed, side(event)), []).append(event)
    return [tuple(members) for members in kept.values()]


def _introduction(ranges: Sequence[CodeRange], dates: Dates) -> tuple[date | None, bool, CodeRange | None]:
    """The earliest introduction: a fault that came in two steps was there from the first."""
    best: tuple[date, bool, CodeRange] | None = None
    for r in ranges:
        if r.introduced_commit is None and r.introduced_version is None and r.introduced_date is None:
            continue
        censored = dates.first_release is not None and r.introduced_version == dates.first_release
        when = (
            dates.first_date if censored else _date(dates, r.introduced_date, r.introduced_commit, r.introduced_version)
        )
        if when is not None and (best is None or when < best[0]):
            best = (when, censored, r)
    return best if best else (None, False, next(iter(ranges), None))


def _date(dates: Dates, given: date | None, commit: str | None, version: str | None) -> date | None:
    if commit is not None and commit in dates.commits:
        return dates.commits[commit]
    if given is not None:
        return given
    return dates.releases.get(version) if version is not None else None


def _why_undated(ranges: Sequence[CodeRange]) -> str:
    if not ranges:
        return "the record names no range"
    if all(r.fixed_version is None and r.fixed_commit is None for r in ranges):
        return "not fixed"
    return "no date is known for the fixing release or commit"


def _example(languages: frozenset[str]) -> Event:
    return Event(
        id="X-1", fixed=date(2025, 1, 1), published=None, introduced=None, introduced_before=False,
        introduced_commit=None, introduced_version=None, fixed_version=None, languages=languages,
        components=(), weakness=UNKNOWN, cwe=None, branches=0,
    )  # fmt: skip

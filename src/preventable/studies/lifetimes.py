"""How long faults live: from the release or commit that introduced them to the one that fixed them.

What is seen is a biased sample. A fault introduced last year is seen only if it was short-lived; a feed that
began on a date also misses what was fixed before. Beside the naive mean stand the curve corrected for that
truncation, exponential and Weibull fits, and a test of the assumption that both corrections need.

A little over 500 lines: one question, whose rows, curves and sentences share the same groups.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from preventable.errors import FormatError, StatisticsInputError
from preventable.evidence.tables import NO_FILE
from preventable.stats.lifetime_fit import LifetimeFit, LifetimeSample, fit_lifetimes, hidden_share, sample
from preventable.stats.truncation import (
    SurvivalCurve,
    conditional_kendall_tau,
    doubly_truncated_survival,
)
from preventable.studies.events import LANGUAGE_OF_SUFFIX, UNKNOWN, Event
from preventable.studies.exposure import DAYS_PER_YEAR

Floats = NDArray[np.float64]
By = Literal["all", "class", "component", "language", "year"]
MINIMUM = 30
"""Smaller groups get their count and naive mean only."""
NARROW = "one year is too narrow a window to correct in"
WIDEST = 2.5
"""A corrected median whose interval spans more than this factor is said to be unknown."""
WEAKEST = 0.01
"""Below this chance of a window the corrected curve is said to be unknown."""
CURVE_POINTS = 160

PUBLISHED: tuple[Mapping[str, object], ...] = tuple(
    {"project": name, "mean_years": mean, "median_years": median}
    for name, mean, median in (
        ("Chromium", 2.04, 1.59), ("FFmpeg", 2.99, 2.31), ("Firefox", 3.62, 2.96), ("QEMU", 4.77, 4.25),
        ("Linux", 5.01, 4.28), ("Wireshark", 5.02, 4.04), ("httpd", 5.23, 4.26), ("Postgres", 6.40, 5.86),
        ("OpenSSL", 7.12, 6.87), ("PHP", 7.86, 7.33), ("tcpdump", 8.68, 8.86),
    )
)  # fmt: skip
"""Naive means and medians recomputed from Alexopoulos et al., USENIX Security 2022, to set beside ours."""


class Group(msgspec.Struct, frozen=True):
    """One row: a group of faults and how long they lived, in years. None is unknown, ``reason`` says why."""

    by: str
    group: str
    events: int
    """Fixed inside the window."""
    dated: int
    """Of these, with a known date of introduction."""
    left_censored: int
    unknown_introduction: int
    naive_mean: float | None
    naive_median: float | None
    corrected_mean: float | None
    corrected_median: float | None
    corrected_low: float | None
    corrected_high: float | None
    """Interval of the corrected median."""
    exponential_mean: float | None
    exponential_low: float | None
    exponential_high: float | None
    exponential_p: float | None
    """Of the fit; small means that the exponential does not fit."""
    weibull_mean: float | None
    weibull_shape: float | None
    weibull_p: float | None
    half_life: float | None
    hidden_share: float | None
    tau: float | None
    """Conditional Kendall's tau of lifetime and age of code; the corrections assume it is 0."""
    tau_p: float | None
    reason: str = ""


class Curve(msgspec.Struct, frozen=True):
    """Survival in years, thinned for drawing."""

    name: str
    years: tuple[float, ...]
    survival: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class Zero(msgspec.Struct, frozen=True):
    """Records whose lifetime by release dates is not positive, explained."""

    records: int
    same_release: int
    fixed_before: int
    never_released: int | None
    """Of the same release: no other branch is named, so that no release held the fault. None: not known."""
    reached_stable: int | None
    """Of the same release: other branches were fixed too; they had the introducing commit as a backport, so that
    users met a fault that no mainline release ever had. None: the data name no other branches."""
    ids: tuple[str, ...]
    treatment: str


class Lifetimes(msgspec.Struct, frozen=True):
    """Everything that ``lifetimes`` answers."""

    sentences: tuple[str, ...]
    rows: tuple[Group, ...]
    curves: tuple[Curve, ...]
    zero: Zero
    start: date | None
    end: date
    longest_years: float
    truncation: str
    published: tuple[Mapping[str, object], ...]
    outside: Mapping[str, int]
    """Dated records that are not among the events, by reason."""


def lifetimes(
    events: Sequence[Event],
    *,
    start: date | None,
    end: date,
    first_date: date | None,
    releases: Mapping[str, date],
    by: Sequence[By] = ("all", "class", "language", "year"),
    bootstrap: int = 100,
    name: str = "the code",
    packages: Mapping[str, str] | None = None,
) -> Lifetimes:
    """Lifetimes of the faults fixed in (start, end].

    Args:
        events: see ``studies.events``.
        start: begin of observation; None if the feed reaches back to the first release (right truncation).
        end: end of observation.
        first_date: of the first release that can be told apart.
        releases: dates of versions, for the length of a release cycle.
        by: how to group.
        bootstrap: resamples for the interval of the corrected curve of all faults.
        name: of the code, for the sentences.
        packages: by id of the record: the component of a fault whose record names no files.
    Raises:
        StatisticsInputError: no dated fault in the window.
    """
    seen = [e for e in events if (start is None or e.fixed > start) and e.fixed <= end]
    if not any(e.introduced is not None and not e.introduced_before for e in seen):
        raise StatisticsInputError(
            "no fault in the window has a known introduction", hint="Give release dates, or a clone"
        )
    cycles = release_cycles(releases)
    rows: list[Group] = []
    curves: list[Curve] = []
    longest = 0.0
    for kind in by:
        for label, part in _groups(seen, kind, packages or {}):
            whole = kind == "all"
            row, curve, fits = _group(
                kind, label, part, cycles, start=start, end=end, first_date=first_date,
                bootstrap=bootstrap if whole else bootstrap // 2,
            )  # fmt: skip
            rows.append(row)
            if whole and curve is not None:
                longest = curve.longest_days / DAYS_PER_YEAR
                curves += _curves(part, curve, fits)
            elif kind == "class" and curve is not None:
                curves.append(_thinned(label, curve))
    # What cannot be positive is a property of the feed: it is explained over all of it, not the window alone.
    zero = _zero([e for e in events if e.introduced is not None and not e.introduced_before])
    truncation = "right" if start is None else "double"
    outside = _outside(events, start, end)
    said = _sentences(rows[0], zero, truncation=truncation, longest=longest, start=start, end=end, name=name)
    return Lifetimes(
        sentences=(*said, *(f"{count:,} more dated records are left out: {why}." for why, count in outside.items())),
        rows=tuple(rows),
        curves=tuple(curves),
        zero=zero,
        start=start,
        end=end,
        longest_years=longest,
        truncation=truncation,
        published=PUBLISHED,
        outside=outside,
    )


def _outside(events: Sequence[Event], start: date | None, end: date) -> dict[str, int]:
    counts = {
        f"fixed up to {start}, before the window": sum(start is not None and e.fixed <= start for e in events),
        f"fixed after {end}, so late that the records of that time are not settled": sum(e.fixed > end for e in events),
    }
    return {why: count for why, count in counts.items() if count}


def with_origins(events: Sequence[Event], found: Mapping[str, date]) -> tuple[list[Event], int]:
    """Events whose introduction the record does not tell, dated by ``preventable origin``; and how many were.

    Example:
        >>> with_origins([], {})
        ([], 0)
    """
    made, filled = [], 0
    for event in events:
        when = found.get(event.id)
        if event.introduced is None and when is not None and when <= event.fixed:
            made.append(msgspec.structs.replace(event, introduced=when))
            filled += 1
        else:
            made.append(event)
    return made, filled


def read_origins(path: Path) -> dict[str, date]:
    """Advisory -> date of introduction, from a saved JSON result of ``preventable origin``; the earliest per record.

    Raises:
        FormatError: no such file, or not a saved origin.
    """
    if not path.is_file():
        raise FormatError("the saved origin does not exist", file=str(path), hint="preventable origin --format json")
    try:
        envelope = msgspec.json.decode(path.read_bytes(), type=_OriginEnvelope)
    except msgspec.MsgspecError as error:
        raise FormatError(f"not a saved origin: {error}", file=str(path)) from error
    if envelope.kind != "origin":
        raise FormatError(f"a result of kind {envelope.kind!r} tells no introductions", file=str(path), hint="origin")
    dates: dict[str, date] = {}
    for fix in envelope.fixes:
        if fix.introduced_date is not None:
            dates[fix.advisory] = min(fix.introduced_date, dates.get(fix.advisory, fix.introduced_date))
    return dates


class _OriginFix(msgspec.Struct):
    advisory: str
    introduced_date: date | None = None


class _OriginEnvelope(msgspec.Struct):
    kind: str
    fixes: list[_OriginFix] = []


def release_cycles(releases: Mapping[str, date]) -> dict[str, int]:
    """Main releases (``6.1``, ``2.6.30``, not ``6.1.5``) -> days since the one before.

    Example:
        >>> release_cycles({"6.1": date(2022, 12, 11), "6.2": date(2023, 2, 19), "6.1.5": date(2023, 1, 12)})
        {'6.2': 70}
    """
    main = sorted(
        (when, version)
        for version, when in releases.items()
        if re.fullmatch(r"(?:2\.6\.\d+|[3-9]\d*\.\d+|\d\d+\.\d+)", version)
    )
    return {version: (when - before).days for (before, _), (when, version) in pairwise(main)}


def _group(
    kind: str, label: str, part: Sequence[Event], cycles: Mapping[str, int], *, start: date | None, end: date,
    first_date: date | None, bootstrap: int,
) -> tuple[Group, SurvivalCurve | None, list[LifetimeFit]]:  # fmt: skip
    exact = [e for e in part if e.introduced is not None and not e.introduced_before]
    censored = [e for e in part if e.introduced_before]
    naive = np.array([max((e.fixed - e.introduced).days, 0) for e in exact if e.introduced], dtype=float)
    base = {
        "by": kind, "group": label, "events": len(part), "dated": len(exact), "left_censored": len(censored),
        "unknown_introduction": len(part) - len(exact) - len(censored),
        "naive_mean": float(naive.mean()) / DAYS_PER_YEAR if naive.size else None,
        "naive_median": float(np.median(naive)) / DAYS_PER_YEAR if naive.size else None,
    }  # fmt: skip
    if len(exact) < MINIMUM or kind == "year":
        small = f"fewer than {MINIMUM} dated faults" if len(exact) < MINIMUM else NARROW
        return Group(**base, **_NOTHING, reason=small), None, []  # type: ignore[arg-type]  # as declared
    data = _sample(exact, censored, cycles, start=start, end=end, first_date=first_date)
    reason = ""
    curve: SurvivalCurve | None = None
    window = (data.lifetime_days, data.earliest_days if start else np.full_like(data.lifetime_days, -np.inf),
              data.latest_days, data.weights)  # fmt: skip
    try:
        curve = doubly_truncated_survival(
            window[0], window[1], window[2], window[3], bootstrap=bootstrap, worth=WEAKEST, tolerance=1e-5
        )
    except StatisticsInputError as error:
        reason = error.what
    rounding = float(np.median(list(cycles.values()))) if cycles else 0.0
    exponential = fit_lifetimes(data, "exponential", rounding_days=rounding)
    weibull = fit_lifetimes(data, "weibull", rounding_days=rounding) if exponential is not None else None
    if exponential is None:
        reason = (reason + "; " if reason else "") + (
            "the lifetimes seen are as even over their windows as if faults never ended: nothing can be fitted"
        )
    tau = conditional_kendall_tau(*window)
    low, high = _median_interval(curve)
    if curve is not None and curve.weakest_window < WEAKEST:
        reason = (reason + "; " if reason else "") + (
            "the window is too narrow for the corrected curve of so few faults: its parts hardly overlap"
        )
    elif curve is not None and curve.low is not None and (low is None or high is None or high > WIDEST * low):
        reason = (reason + "; " if reason else "") + (
            "the window is too narrow for the corrected curve of so few faults: its median is only known from "
            f"{'0' if low is None else f'{low:.1f}'} to {'beyond' if high is None else f'{high:.1f}'} years"
        )
    best = _better(exponential, weibull)
    known = curve if curve is not None and "too narrow" not in reason else None
    return (
        Group(
            **base,  # type: ignore[arg-type]  # members as declared
            corrected_mean=known.mean_days() / DAYS_PER_YEAR if known else None,
            corrected_median=_years(known.quantile_days(0.5)) if known else None,
            corrected_low=low, corrected_high=high,
            exponential_mean=_years(exponential.mean_days if exponential else None),
            exponential_low=_years(exponential.mean_low if exponential else None),
            exponential_high=_years(exponential.mean_high if exponential else None),
            exponential_p=exponential.p_value if exponential else None,
            weibull_mean=_years(weibull.mean_days if weibull else None),
            weibull_shape=weibull.shape if weibull else None, weibull_p=weibull.p_value if weibull else None,
            half_life=_years(best.half_life_days if best else None),
            hidden_share=_hidden(best, data) if best else None,
            tau=tau.tau, tau_p=tau.p_value, reason=reason,
        ),
        known,
        [f for f in (exponential, weibull) if f is not None],
    )  # fmt: skip


_NOTHING: Mapping[str, None] = dict.fromkeys(
    [f for f in Group.__struct_fields__ if f not in (
        "by", "group", "events", "dated", "left_censored", "unknown_introduction", "naive_mean",
        "naive_median", "reason",
    )]
)  # fmt: skip


def _sample(
    exact: Sequence[Event], censored: Sequence[Event], cycles: Mapping[str, int], *, start: date | None,
    end: date, first_date: date | None,
) -> LifetimeSample:  # fmt: skip
    """Days of each fault and of its window.

    A release stands for the cycle that it ends: both moments are taken to the middle of their cycles, and
    the window begins where the first cycle in it does. Equal releases become a third of the cycle: two even
    moments in L days lie L/3 apart on average, and release dates cannot tell more.
    """
    began = float(_begin_of_first_cycle([*exact, *censored], cycles, start).toordinal()) if start is not None else 0.0
    x, u, v = [], [], []
    for event in exact:
        if event.introduced is None:
            continue
        cycle = cycles.get(event.introduced_version or "", 0)
        introduced = event.introduced.toordinal() - cycle / 2
        fixed = event.fixed.toordinal() - cycles.get(event.fixed_version or "", 0) / 2
        days = fixed - introduced if event.fixed > event.introduced else max(cycle, 1) / 3
        earliest = began - introduced if start is not None else -1.0
        x.append(days)
        u.append(min(earliest, days))
        v.append(max(end.toordinal() - introduced, days))
    window = (0.0, float("inf"))
    older: list[float] = []
    if first_date is not None and censored:
        zero = first_date.toordinal()
        older = [e.fixed.toordinal() - cycles.get(e.fixed_version or "", 0) / 2 - zero for e in censored]
        window = (max(began - zero, 0.0) if start is not None else 0.0, float(end.toordinal() - zero))
    return sample(x, u, v, censored_days=older, censored_window=window)


def _begin_of_first_cycle(exact: Sequence[Event], cycles: Mapping[str, int], start: date) -> date:
    first = min(exact, key=lambda e: e.fixed)
    return min(start, first.fixed - timedelta(days=cycles.get(first.fixed_version or "", 0)))


def _groups(seen: Sequence[Event], kind: By, packages: Mapping[str, str]) -> list[tuple[str, list[Event]]]:
    if kind == "all":
        return [("everything", list(seen))]
    found: dict[str, list[Event]] = {}
    for event in seen:
        for key in _keys(event, kind, packages):
            found.setdefault(key, []).append(event)
    return sorted(found.items(), key=lambda pair: pair[0])


def _keys(event: Event, kind: By, packages: Mapping[str, str]) -> Sequence[str]:
    if kind == "class":
        return (event.weakness,)
    if kind == "component":
        if not event.languages:  # the record names no files
            return (packages.get(event.id, NO_FILE),)
        return sorted({c.split("/")[0] for c in event.components}) or ("none",)
    if kind == "language":
        if not event.languages:
            return (UNKNOWN,)
        known = sorted(event.languages & set(LANGUAGE_OF_SUFFIX.values()) - {"header"})
        return known or ("header only" if "header" in event.languages else "other",)
    return (str(event.fixed.year),)


def _zero(exact: Sequence[Event]) -> Zero:
    chosen = [e for e in exact if e.introduced is not None and e.fixed <= e.introduced]
    same = [e for e in chosen if e.fixed == e.introduced]
    branches = Counter(e.branches > 0 for e in same)
    told = any(e.branches for e in exact)
    return Zero(
        records=len(chosen),
        same_release=len(same),
        fixed_before=len(chosen) - len(same),
        never_released=branches[False] if told else None,
        reached_stable=branches[True] if told else None,
        ids=tuple(sorted(e.id for e in chosen)),
        treatment="a third of the release cycle: the mean distance of two even moments within it",
    )


def _curves(part: Sequence[Event], curve: SurvivalCurve, fits: Sequence[LifetimeFit]) -> list[Curve]:
    days = np.sort([max((e.fixed - e.introduced).days, 0) for e in part if e.introduced and not e.introduced_before])
    times, counts = np.unique(days, return_counts=True)
    naive = SurvivalCurve(times.astype(float), 1 - np.cumsum(counts) / days.size, float(days[-1]), "naive")
    made = [_thinned("corrected", curve), _thinned("naive", naive)]
    grid = np.linspace(0, curve.longest_days, CURVE_POINTS)
    for fit in fits:
        # On the scale of the corrected curve: given that the lifetime is observable at all.
        tail = fit.survival(grid)
        inside = (tail - tail[-1]) / (1 - tail[-1])
        made.append(Curve(fit.family, _rounded(grid / DAYS_PER_YEAR), _rounded(inside)))
    return made


def _thinned(name: str, curve: SurvivalCurve) -> Curve:
    size = curve.time_days.size
    at = np.unique(np.linspace(0, size - 1, min(size, CURVE_POINTS)).astype(int))
    return Curve(
        name,
        _rounded(curve.time_days[at] / DAYS_PER_YEAR),
        _rounded(curve.survival[at]),
        _rounded(curve.low[at]) if curve.low is not None else (),
        _rounded(curve.high[at]) if curve.high is not None else (),
    )


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(v), 5) for v in values)


def _median_interval(curve: SurvivalCurve | None) -> tuple[float | None, float | None]:
    if curve is None or curve.low is None or curve.high is None:
        return None, None
    ends = []
    for band in (curve.low, curve.high):
        reached = np.flatnonzero(band <= 0.5)
        ends.append(float(curve.time_days[reached[0]]) / DAYS_PER_YEAR if reached.size else None)
    return ends[0], ends[1]


def _better(exponential: LifetimeFit | None, weibull: LifetimeFit | None) -> LifetimeFit | None:
    if exponential is None or weibull is None:
        return exponential or weibull
    return weibull if weibull.aic < exponential.aic else exponential


def _hidden(fit: LifetimeFit, data: LifetimeSample) -> float | None:
    covered = fit.survival(np.maximum(data.earliest_days, 0)) - fit.survival(data.latest_days)
    if not (covered > 1e-9).all():
        return None
    return hidden_share(fit, data.latest_days, data.earliest_days, data.weights)


def _years(days: float | None) -> float | None:
    return None if days is None or not np.isfinite(days) else days / DAYS_PER_YEAR


def _span(row: Group) -> str:
    low = "0" if row.exponential_low is None else f"{row.exponential_low:.2f}"
    return f"{low} to {'beyond' if row.exponential_high is None else f'{row.exponential_high:.2f}'}"


def _sentences(
    row: Group, zero: Zero, *, truncation: str, longest: float, start: date | None, end: date, name: str
) -> tuple[str, ...]:  # fmt: skip
    since = f"from {start} " if start else ""
    said = [
        f"The {row.dated:,} dated faults of {name} fixed {since}to {end} had lived {row.naive_mean:.2f} "
        f"years on average (median {row.naive_median:.2f}): biased, because only faults that ended are seen."
    ]
    if row.corrected_mean is not None:
        said.append(
            f"Corrected for {truncation} truncation the mean below the longest observable lifetime of "
            f"{longest:.1f} years is {row.corrected_mean:.2f} years (median {row.corrected_median:.2f})."
        )
    if row.exponential_mean is not None:
        fits = "fits" if (row.exponential_p or 0) > 0.05 else "does not fit well"
        said.append(
            f"An exponential has a mean of {row.exponential_mean:.2f} years ({_span(row)}) and {fits} "
            f"(p = {row.exponential_p:.2g})."
        )
    if row.hidden_share is not None:
        said.append(
            f"By the better fit a half-life of {row.half_life:.2f} years leaves {row.hidden_share:.0%} of "
            "the faults of the cohorts seen still hidden; that extrapolates beyond what the data show."
        )
    if row.tau is not None and row.tau_p is not None and row.tau_p < 0.05:
        said.append(
            f"Lifetime depends on the age of the code (conditional Kendall's tau {row.tau:+.3f}, p = "
            f"{row.tau_p:.2g}): the corrected figures lean on an assumption that the data contradict."
        )
    if row.left_censored:
        said.append(
            f"{row.left_censored:,} faults are older than the first known release: they enter the fits as "
            "left-censored and no mean."
        )
    if zero.records:
        spread = (
            f" ({zero.reached_stable:,} of them had been backported to stable branches, where users met a fault that "
            f"no mainline release had; {zero.never_released:,} name no other branch)"
            if zero.reached_stable is not None
            else ""
        )
        said.append(
            f"{zero.records:,} records have a lifetime of zero or less by release dates: {zero.same_release:,} were "
            f"introduced and fixed within one release cycle{spread}, {zero.fixed_before:,} are dated backwards."
        )
    return tuple(said)

"""Exposure: lines of code times years, per component and language, from dated snapshots."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from itertools import pairwise

import msgspec

from preventable.readers.exposure import ExposureRow
from preventable.records import NotAvailable

DAYS_PER_YEAR = 365.25
SHIPPED = frozenset({"shipped", "code", "production"})
"""Buckets that count: vendored, generated, test and unshipped code is apart."""


class Population(msgspec.Struct, frozen=True):
    """Whose lines: languages inside components (path prefixes; empty for everything)."""

    languages: frozenset[str]
    components: tuple[str, ...] = ()


class Exposure:
    """Snapshots of lines, to be summed, interpolated and integrated.

    Args:
        rows: see ``readers.exposure``.
        buckets: those that count.
    Example:
        >>> rows = [ExposureRow(date(2024, 1, 1), "lib", "C", "shipped", 1000),
        ...         ExposureRow(date(2025, 1, 1), "lib", "C", "shipped", 3000)]
        >>> everything = Population(frozenset({"C"}))
        >>> round(Exposure(rows).mloc_years(everything, date(2024, 1, 1), date(2025, 1, 1)), 5)
        0.002
    """

    def __init__(self, rows: Iterable[ExposureRow], buckets: Collection[str] = SHIPPED) -> None:
        self._rows = tuple(row for row in rows if row.bucket in buckets)
        self.dates: Sequence[date] = sorted({row.date for row in self._rows})
        self.components: Sequence[str] = sorted({row.component for row in self._rows})
        self.languages: Sequence[str] = sorted({row.language for row in self._rows})
        self._known = frozenset(self.components)
        self._series: dict[tuple[Population, bool], dict[date, int | None]] = {}

    def component_of(self, path: str) -> str | None:
        """The component that a path belongs to: the longest prefix, else the rest of its directory.

        Example:
            >>> names = ("drivers/gpu", "drivers/other")
            >>> rows = [ExposureRow(date(2024, 1, 1), c, "C", "shipped", 1) for c in names]
            >>> exposure = Exposure(rows)
            >>> exposure.component_of("drivers/gpu/a.c"), exposure.component_of("drivers/rtc/b.c")
            ('drivers/gpu', 'drivers/other')
        """
        parts = path.split("/")
        for end in range(len(parts) - 1, 0, -1):
            prefix = "/".join(parts[:end])
            if prefix in self._known:
                return prefix
            if f"{prefix}/other" in self._known:
                return f"{prefix}/other"
        return None

    def series(self, population: Population, *, unsafe: bool = False) -> dict[date, int | None]:
        """Lines of the population in every snapshot; None where unsafe lines were not counted."""
        known = self._series.get((population, unsafe))
        if known is not None:
            return known
        totals: dict[date, int | None] = dict.fromkeys(self.dates, 0)
        for row in self._rows:
            if row.language in population.languages and _inside(row.component, population.components):
                value, before = (row.unsafe_lines if unsafe else row.lines), totals[row.date]
                totals[row.date] = None if value is None or before is None else before + value
        self._series[population, unsafe] = totals
        return totals

    def known_before(self, population: Population, when: date) -> int | None:
        """Lines in the last snapshot strictly before a day, for predictable ratios; None if there is none."""
        at = bisect_left(self.dates, when)
        return self.series(population)[self.dates[at - 1]] if at else None

    def mloc_years(self, population: Population, start: date, end: date) -> float:
        """Million line-years between two days, lines interpolated linearly between snapshots.

        Before the first and after the last snapshot the nearest one is held.
        """
        lines = {when: value or 0 for when, value in self.series(population).items()}
        return _integral(self.dates, lines, start, end) / 1e6

    def unsafe_mloc_years(self, population: Population, start: date, end: date) -> float | NotAvailable:
        """The same for lines inside unsafe code."""
        series = self.series(population, unsafe=True)
        lines = {when: value for when, value in series.items() if value is not None}
        if len(lines) < len(series):
            return NotAvailable("the exposure facts do not count lines of unsafe code")
        return _integral(self.dates, lines, start, end) / 1e6

    def covers(self, start: date, end: date) -> tuple[int, int]:
        """Days of the window before the first and after the last snapshot, for which lines are only held."""
        return max(0, (self.dates[0] - start).days), max(0, (end - self.dates[-1]).days)


def _inside(component: str, wanted: Sequence[str]) -> bool:
    if component.startswith("pair/"):
        return component in wanted
    return not wanted or any(component == w or component.startswith(w + "/") for w in wanted)


def _integral(dates: Sequence[date], lines: dict[date, int], start: date, end: date) -> float:
    if end <= start or not dates:
        return 0.0

    def at(when: date) -> float:
        right = bisect_right(dates, when)
        if right == 0:
            return float(lines[dates[0]])
        if right == len(dates):
            return float(lines[dates[-1]])
        before, after = dates[right - 1], dates[right]
        share = (when - before).days / (after - before).days
        return lines[before] + share * (lines[after] - lines[before])

    knots = [start, *(d for d in dates if start < d < end), end]
    return sum((at(a) + at(b)) / 2 * (b - a).days for a, b in pairwise(knots)) / DAYS_PER_YEAR

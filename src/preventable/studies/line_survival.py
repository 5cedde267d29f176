"""Survival curves and half-life of code, from the lines of every cohort at the ends of all quarters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from preventable.code.history.cohorts import CohortCounter, Groups
from preventable.code.history.periods import Snapshot
from preventable.code.history.tree import Age
from preventable.records import NotAvailable

ALL = "all languages"


class SurvivalPoint(msgspec.Struct, frozen=True):
    """Share of lines that are still there so many quarters after the quarter they were written in."""

    age: str
    language: str
    quarters: int
    share: float
    at_risk: int


class HalfLife(msgspec.Struct, frozen=True):
    """Years until half of the lines are gone, with an interval from resampling cohorts."""

    age: str
    language: str
    years: float | NotAvailable
    low: float | None
    high: float | None
    level: float
    cohorts: int
    method: str


SURVIVAL_METHOD = (
    "share(k) = product over j < k of 1 - lost(j) / at_risk(j); at_risk(j): lines there j quarters after the "
    "end of their own quarter, lost(j): those gone one quarter later, summed over cohorts; "
    "interval: percentiles of 400 resamples of cohorts"
)
_RESAMPLES = 400
_LANGUAGES_SHOWN = 6


def survival_of(
    counter: CohortCounter, quarters: Sequence[Snapshot], groups: Groups, age: Age
) -> tuple[list[SurvivalPoint], list[HalfLife]]:
    """Curves and half-lives of all code and of its largest languages; none where there are no quarters.

    Args:
        counter: lines by cohort at the commits of ``quarters``.
        quarters: the ends of all quarters.
        groups: the languages of the counter's groups.
        age: one, or both.
    """
    if not quarters:
        return [], []
    size: dict[str, int] = defaultdict(int)
    last = counter.counts[quarters[-1].commit].touched.sum(axis=1)
    by_language: dict[str, list[int]] = defaultdict(list)
    for group, (language, _) in enumerate(groups.pairs):
        by_language[language].append(group)
        size[language] += int(last[group]) if group < len(last) else 0
    largest = sorted((lang for lang in by_language if size[lang]), key=lambda lang: (-size[lang], lang))
    choice: dict[str, list[int]] = {ALL: list(range(len(groups.pairs)))}
    choice.update({language: by_language[language] for language in sorted(largest[:_LANGUAGES_SHOWN])})
    ages = {"both": ("last_touched", "substantive"), "last-touched": ("last_touched",)}.get(age, ("substantive",))
    points: list[SurvivalPoint] = []
    halves: list[HalfLife] = []
    for name in ages:
        for language, members in choice.items():
            alive = np.zeros((len(quarters), counter.width - 1), dtype=np.int64)
            for number, snapshot in enumerate(quarters):
                count = counter.counts[snapshot.commit]
                table = count.substantive if name == "substantive" else count.touched
                alive[number] = table[[m for m in members if m < table.shape[0]], :-1].sum(axis=0)
            first = quarters[0].ends or 0
            risk, lost = at_risk(alive, first - counter.first_cohort)
            curve = survival_curve(risk, lost)
            points += [
                SurvivalPoint(
                    name, language, k, round(float(share), 6), int(risk[:, k].sum()) if k < risk.shape[1] else 0
                )
                for k, share in enumerate(curve)
            ]
            halves.append(_half_life(name, language, risk, lost, curve))
    return points, halves


def at_risk(alive: npt.NDArray[np.int64], offset: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lines at risk and lines lost by cohort and age.

    Args:
        alive: shape (quarters, cohorts): lines of each cohort at the end of each quarter.
        offset: cohort whose own quarter is the first row.
    Returns:
        Two arrays of shape (cohorts, quarters): by age in quarters since the end of the cohort's own one.
    """
    quarters, cohorts = alive.shape
    risk = np.zeros((cohorts, max(quarters - 1, 0)), dtype=np.int64)
    lost = np.zeros_like(risk)
    for cohort in range(cohorts):
        begin = max(cohort - offset, 0)
        series = alive[begin:, cohort]
        steps = len(series) - 1
        if steps > 0:
            risk[cohort, :steps] = series[:-1]
            lost[cohort, :steps] = np.maximum(series[:-1] - series[1:], 0)
    return risk, lost


def survival_curve(
    risk: npt.NDArray[np.int64] | npt.NDArray[np.float64], lost: npt.NDArray[np.int64] | npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Share still there by age, from 1 at age 0 to the greatest age at which any line is at risk.

    Example:
        >>> survival_curve(np.array([[100, 80]]), np.array([[20, 40]])).tolist()
        [1.0, 0.8, 0.4]
    """
    total, gone = risk.sum(axis=0), lost.sum(axis=0)
    seen = np.flatnonzero(total > 0)
    end = int(seen[-1]) + 1 if seen.size else 0
    hazard = np.divide(gone[:end], total[:end], out=np.zeros(end), where=total[:end] > 0)
    return np.concatenate([[1.0], np.cumprod(1.0 - hazard)])


def half_point(curve: npt.NDArray[np.float64]) -> float | None:
    """Age in quarters at which a curve first reaches one half, between points by a straight line."""
    below = np.flatnonzero(curve <= 0.5)
    if not below.size:
        return None
    k = int(below[0])
    if k == 0:
        return 0.0
    high, low = float(curve[k - 1]), float(curve[k])
    return k - 1 + (high - 0.5) / (high - low)


def _half_life(
    age: str,
    language: str,
    risk: npt.NDArray[np.int64],
    lost: npt.NDArray[np.int64],
    curve: npt.NDArray[np.float64],
) -> HalfLife:
    used = np.flatnonzero(risk.sum(axis=1) > 0)
    point = half_point(curve)
    low = high = None
    years: float | NotAvailable
    if point is None:
        years = NotAvailable(
            f"more than half of the lines outlive the {(len(curve) - 1) / 4:.4g} years that can be seen"
        )
    else:
        years = round(point / 4, 3)
        rng = np.random.default_rng(20260101)
        resamples = _RESAMPLES if used.size > 1 else 0
        drawn = [rng.integers(0, used.size, used.size) for _ in range(resamples)]
        # As floating-point numbers, for which there are fast products; counts of lines are exact in them.
        weights = np.array([np.bincount(d, minlength=used.size) for d in drawn], dtype=np.float64)
        weights = weights.reshape(resamples, used.size)
        found = []
        for total, gone in zip(weights @ risk[used], weights @ lost[used], strict=True):
            picked = half_point(survival_curve(total[None, :], gone[None, :]))
            found.append(np.inf if picked is None else picked / 4)
        if found:
            bounds = np.quantile(np.array(found), [0.025, 0.975], method="inverted_cdf")
            low = round(float(bounds[0]), 3) if np.isfinite(bounds[0]) else None
            high = round(float(bounds[1]), 3) if np.isfinite(bounds[1]) else None
    return HalfLife(age, language, years, low, high, 0.95, int(used.size), SURVIVAL_METHOD)

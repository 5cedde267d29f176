"""Rates of rare events and their ratios, with exact intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from preventable.errors import StatisticsInputError
from preventable.records import Estimate

Floats = NDArray[np.float64]


class RateRatio(msgspec.Struct, frozen=True, tag="rate_ratio"):
    """The rate of the new side over the rate of the old side, with its exact interval.

    ``value`` is ``None`` where the old side has no event; ``high`` is ``None`` where it is unbounded.
    """

    value: float | None
    low: float
    high: float | None
    events_new: int
    events_old: int
    exposure_new: float
    exposure_old: float
    p_value: float
    """Two-sided, of equal rates."""
    method: str
    level: float = 0.95


def poisson_interval(count: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Exact interval of a Poisson mean.

    low = chi2(a/2; 2k) / 2, high = chi2(1 - a/2; 2k + 2) / 2, a = 1 - level          Garwood 1936

    Args:
        count: shape (n,), integers >= 0.
        level: in (0, 1).
    Returns:
        low, high: shape (n,), float64; low is 0 where the count is 0.
    Raises:
        StatisticsInputError: a negative, fractional or non-finite count, or a level outside (0, 1).
    Source: doi:10.1093/biomet/28.3-4.437; golden numbers: tests/golden/rates.json (R poisson.test).
    Example:
        >>> low, high = poisson_interval([1])
        >>> round(float(low[0]), 4), round(float(high[0]), 4)
        (0.0253, 5.5716)
    """
    k = _counts(count, "count")
    tail = (1 - _level(level)) / 2
    low = np.where(k > 0, special.gammaincinv(np.maximum(k, 1), tail), 0.0)
    return np.asarray(low, dtype=np.float64), np.asarray(special.gammainccinv(k + 1, tail), dtype=np.float64)


def rate(count: int, exposure: float, level: float = 0.95) -> Estimate:
    """Events per unit of exposure with Garwood's interval.

    Args:
        count: events, >= 0.
        exposure: for example MLOC-years, > 0.
        level: in (0, 1).
    Returns:
        Estimate: value, low and high per unit of exposure; numerator the count, denominator the exposure.
    Raises:
        StatisticsInputError: a negative or fractional count, or an exposure that is not positive.
    Source: Garwood 1936, doi:10.1093/biomet/28.3-4.437.
    Example:
        >>> estimate = rate(1, 5.0)
        >>> round(estimate.value, 2), round(estimate.low, 3), round(estimate.high, 2)
        (0.2, 0.005, 1.11)
    """
    e = _exposure(exposure, "exposure")
    low, high = poisson_interval([count], level)
    return Estimate(
        value=count / e,
        low=float(low[0]) / e,
        high=float(high[0]) / e,
        numerator=count,
        denominator=e,
        method="Poisson, exact (Garwood 1936)",
        level=level,
    )


def rate_ratio(
    count_new: int, exposure_new: float, count_old: int, exposure_old: float, level: float = 0.95
) -> RateRatio:
    """Ratio of two Poisson rates, exact given the total number of events.

    X_new | X_new + X_old = n  ~  Binomial(n, p),  p = theta r / (1 + theta r),  r = e_new / e_old;
    the Clopper-Pearson limits of p give those of theta = p / (1 - p) / r.

    Args:
        count_new, count_old: events, >= 0.
        exposure_new, exposure_old: in one unit, > 0.
        level: in (0, 1).
    Returns:
        RateRatio: with no event at all the interval is [0, unbounded): nothing is known.
    Raises:
        StatisticsInputError: counts or exposures outside their domain.
    Source: Przyborowski and Wilenski 1940, doi:10.1093/biomet/31.3-4.313; golden numbers:
        tests/golden/rates.json (R poisson.test).
    Example:
        >>> ratio = rate_ratio(1, 0.5, 200, 30.0)
        >>> round(ratio.value, 3), round(ratio.low, 5), round(ratio.high, 4)
        (0.3, 0.00756, 1.6907)
    """
    x, y = int(_counts([count_new], "count_new")[0]), int(_counts([count_old], "count_old")[0])
    e_new, e_old = _exposure(exposure_new, "exposure_new"), _exposure(exposure_old, "exposure_old")
    tail = (1 - _level(level)) / 2
    n, r = x + y, e_new / e_old
    p_low = float(special.betaincinv(x, y + 1, tail)) if x > 0 else 0.0
    p_high = float(special.betaincinv(x + 1, y, 1 - tail)) if y > 0 else 1.0
    p_value = float(stats.binomtest(x, n, r / (1 + r)).pvalue) if n else 1.0
    return RateRatio(
        value=(x / e_new) / (y / e_old) if y else None,
        low=p_low / (1 - p_low) / r,
        high=p_high / (1 - p_high) / r if p_high < 1 else None,
        events_new=x,
        events_old=y,
        exposure_new=e_new,
        exposure_old=e_old,
        p_value=p_value,
        method="conditional binomial, exact (Clopper-Pearson)",
        level=level,
    )


def stratified_rate_ratio(
    count_new: Sequence[int],
    exposure_new: Sequence[float],
    count_old: Sequence[int],
    exposure_old: Sequence[float],
    level: float = 0.95,
) -> RateRatio:
    """Common rate ratio over strata (ages of code), exact given the events of each stratum.

    Given n_s = x_s + y_s the sum of the x_s is a sum of Binomial(n_s, theta r_s / (1 + theta r_s)); the
    limits of theta put half of 1 - level into each tail of that distribution. A stratum in which either
    side has no exposure says nothing about the ratio and is left out: that is what matching means.

    Args:
        count_new, count_old: shape (s,), events of each stratum, >= 0.
        exposure_new, exposure_old: shape (s,), >= 0, in one unit.
        level: in (0, 1).
    Returns:
        RateRatio: counts and exposures are those of the matched strata; the value is the conditional
        maximum-likelihood estimate.
    Raises:
        StatisticsInputError: lengths differ, a value is outside its domain, or no stratum has both exposures.
    Source: conditional inference as in Breslow and Day 1987, "Statistical methods in cancer research II",
        section 4.3; with one stratum it is ``rate_ratio`` (tested).
    Example:
        >>> ratio = stratified_rate_ratio([0, 1], [1.0, 2.0], [4, 9], [2.0, 3.0])
        >>> ratio.events_new, ratio.events_old, round(ratio.value, 2)
        (1, 13, 0.12)
    """
    x, y = _counts(count_new, "count_new"), _counts(count_old, "count_old")
    e_new, e_old = np.asarray(exposure_new, np.float64), np.asarray(exposure_old, np.float64)
    if not x.shape == y.shape == e_new.shape == e_old.shape:
        raise StatisticsInputError("counts and exposures of the strata differ in length")
    if not (np.all(np.isfinite(e_new)) and np.all(np.isfinite(e_old)) and min(e_new.min(), e_old.min()) >= 0):
        raise StatisticsInputError("an exposure is negative or not finite", field="exposure")
    both = (e_new > 0) & (e_old > 0)
    if not both.any():
        raise StatisticsInputError(
            "no stratum has exposure on both sides",
            hint="Nothing can be matched: report the crude ratio as unadjusted",
        )
    x, y, e_new, e_old = x[both], y[both], e_new[both], e_old[both]
    n, r = (x + y).astype(np.int64), e_new / e_old
    seen, total, tail = int(x.sum()), int(n.sum()), (1 - _level(level)) / 2
    centre = math.log(float(e_old.sum()) / float(e_new.sum()))

    def distribution(log_theta: float) -> Floats:
        odds = math.exp(log_theta) * r
        mass = np.ones(1)
        for n_s, p_s in zip(n, odds / (1 + odds), strict=True):
            if n_s:
                mass = np.convolve(mass, stats.binom.pmf(np.arange(n_s + 1), n_s, p_s))
        return mass

    def root(condition: str) -> float:
        def gap(log_theta: float) -> float:
            mass = distribution(log_theta)
            if condition == "low":
                return float(mass[seen:].sum()) - tail
            if condition == "high":
                return tail - float(mass[: seen + 1].sum())
            return float(mass @ np.arange(total + 1)) - seen

        return math.exp(float(optimize.brentq(gap, centre - 40, centre + 40, xtol=1e-10)))

    value = None if seen == total else root("value") if seen else 0.0
    return RateRatio(
        value=value,
        low=root("low") if seen else 0.0,
        high=root("high") if seen < total else None,
        events_new=seen,
        events_old=int(y.sum()),
        exposure_new=float(e_new.sum()),
        exposure_old=float(e_old.sum()),
        p_value=_two_sided(distribution(0.0), seen),
        method=f"conditional, exact, common to {int(both.sum())} strata",
        level=level,
    )


def _two_sided(mass: Floats, seen: int) -> float:
    return float(min(1.0, mass[mass <= mass[seen] * (1 + 1e-7)].sum()))


def _counts(values: ArrayLike, name: str) -> Floats:
    k = np.asarray(values, dtype=np.float64)
    if k.size == 0 or not np.all(np.isfinite(k)) or np.any(k < 0) or np.any(k != np.floor(k)):
        raise StatisticsInputError("a count must be an integer >= 0", field=name)
    return k


def _exposure(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise StatisticsInputError(f"an exposure must be positive and finite, not {value!r}", field=name)
    return float(value)


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise StatisticsInputError(f"a level lies between 0 and 1, not at {level!r}", field="level")
    return level

"""Distribution of lifetimes that are seen only when they end inside a window of observation.

A fault introduced last year is in the data only if it was short-lived (right truncation); a feed that
begins on a date also misses what was fixed before (left truncation); both together are double truncation.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from preventable.errors import StatisticsInputError

Floats = NDArray[np.float64]


class SurvivalCurve(msgspec.Struct, frozen=True):
    """S(t) = P(lifetime > t), given that the lifetime lies within what the window can show at all.

    time_days: shape (m,), ascending; survival: shape (m,), in [0, 1]; low, high: pointwise interval or None.
    """

    time_days: Floats
    survival: Floats
    longest_days: float
    """The longest lifetime that could have been observed: the curve says nothing beyond it."""
    method: str
    low: Floats | None = None
    high: Floats | None = None
    iterations: int = 0
    empty_risk_sets: int = 0
    """Times at which everybody at risk failed: the product-limit form is unreliable at and below them."""

    weakest_window: float = 1.0
    """The smallest estimated chance that a lifetime falls into the window of an observation (double
    truncation). Near 0 the chain of overlapping windows is all but broken and the curve arbitrary (Xiao and
    Hudgens 2019)."""

    def mean_days(self) -> float:
        """Mean of the distribution within the observable lifetimes."""
        mass = -np.diff(np.concatenate(([1.0], self.survival)))
        return float(mass @ self.time_days)

    def quantile_days(self, q: float) -> float | None:
        """The smallest time by which a share q has ended; None where the curve does not get there."""
        reached = np.flatnonzero(self.survival <= 1 - q + 1e-12)
        return float(self.time_days[reached[0]]) if reached.size else None


class QuasiIndependence(msgspec.Struct, frozen=True):
    """Conditional Kendall's tau between lifetime and date of introduction."""

    tau: float
    standard_error: float
    p_value: float
    pairs: float
    """Comparable pairs."""


def right_truncated_survival(
    lifetime_days: ArrayLike, observable_days: ArrayLike, weights: ArrayLike | None = None
) -> SurvivalCurve:
    """Survival of faults that are seen only once fixed (right-truncated).

    F(t) = prod_{u > t} (1 - d(u) / n(u)),  n(u) = #{ i : x_i <= u <= v_i }
    (Lynden-Bell 1971, Woodroofe 1985)

    Args:
        lifetime_days: shape (n,), >= 0.
        observable_days: shape (n,), days from introduction to the end of observation, >= lifetime_days.
        weights: shape (n,), multiplicities > 0; 1 by default.
    Returns:
        SurvivalCurve: at the distinct lifetimes, conditional on the longest observable one.
    Raises:
        StatisticsInputError: n == 0, NaN, negative, or lifetime_days > observable_days.
    Assumes: discovery does not depend on the date of introduction (see ``conditional_kendall_tau``).
    Source: doi:10.1093/mnras/155.1.95, doi:10.1214/aos/1176346584; golden numbers:
        tests/golden/truncation.json (R package survival, in reversed time).
    Example:
        >>> curve = right_truncated_survival([1.0, 2.0, 3.0], [4.0, 5.0, 3.0])
        >>> curve.survival.round(4).tolist()
        [0.6667, 0.3333, 0.0]
    """
    x, _, v, w = _checked(lifetime_days, None, observable_days, weights)
    times, index = np.unique(x, return_inverse=True)
    failed = _totals(index, w)
    # n(u): those that began (x <= u) minus those whose window closed before u (v < u)
    at_risk = np.cumsum(failed) - _weight_below(v, w, times)
    step = 1 - failed / at_risk
    empty = int(np.sum(step[1:] <= 1e-12))
    cumulative = np.append(np.cumprod(step[::-1])[::-1][1:], 1.0)
    return SurvivalCurve(
        time_days=times,
        survival=1 - cumulative,
        longest_days=float(v.max()),
        method="right-truncated product limit (Lynden-Bell 1971)",
        empty_risk_sets=empty,
    )


def doubly_truncated_survival(
    lifetime_days: ArrayLike,
    earliest_days: ArrayLike,
    latest_days: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    bootstrap: int = 0,
    level: float = 0.95,
    seed: int = 20240213,
    worth: float = 0.0,
    tolerance: float = 1e-7,
    max_iterations: int = 5000,
) -> SurvivalCurve:
    """Non-parametric maximum likelihood of lifetimes seen only between two dates (doubly truncated).

    f_j proportional to d_j / sum_i 1{u_i <= x_j <= v_i} / F_i,  F_i = sum_j f_j 1{u_i <= x_j <= v_i},
    iterated to the fixed point                                       Efron and Petrosian 1999, Shen 2010

    Args:
        lifetime_days: shape (n,), >= 0.
        earliest_days: shape (n,), days from introduction to the start of observation (may be negative).
        latest_days: shape (n,), days from introduction to the end; earliest <= lifetime <= latest.
        weights: shape (n,), multiplicities > 0; 1 by default.
        bootstrap: resamples of the observations for the pointwise interval; 0 for none.
        level: of that interval.
        seed: of the resampling.
        worth: no interval is computed if ``weakest_window`` is below this.
        tolerance: largest change of the survival curve at which the iteration ends.
        max_iterations: when to give up.
    Returns:
        SurvivalCurve: at the distinct lifetimes, given that a lifetime lies between the shortest and the
        longest that the window shows.
    Raises:
        StatisticsInputError: n == 0, NaN, an observation outside its own window, or no convergence.
    Assumes: discovery does not depend on the date of introduction (see ``conditional_kendall_tau``).
    Source: doi:10.1080/01621459.1999.10474187, doi:10.1007/s10463-008-0192-2; with an open start it is
        Lynden-Bell's estimator (tested, and tests/golden/truncation.json).
    Example:
        >>> curve = doubly_truncated_survival([1.0, 2.0, 3.0], [0.0, 1.0, 2.0], [4.0, 5.0, 3.0])
        >>> curve.survival.round(3).tolist()
        [0.5, 0.25, 0.0]
    """
    x, u, v, w = _checked(lifetime_days, earliest_days, latest_days, weights)
    times, index = np.unique(x, return_inverse=True)
    windows, window = np.unique(np.stack([u, v]), axis=1, return_inverse=True)
    window = window.ravel()
    first = np.searchsorted(times, windows[0], "left")
    last = np.searchsorted(times, windows[1], "right")
    died, seen = _totals(index, w)[None, :], _totals(window, w)[None, :]
    mass, iterations, moved = _npmle(died, seen, first, last, tolerance=tolerance, max_iterations=max_iterations)
    if moved > tolerance:
        raise StatisticsInputError(
            f"the estimate of doubly truncated lifetimes still moves by {moved:.1e} after {iterations} steps",
            hint="The window may be too narrow to identify the distribution: widen it, or fit a family",
        )
    survival = _survival(mass)[0]
    ends = np.concatenate(([0.0], np.cumsum(mass[0])))
    low = high = None
    weakest = float((ends[last] - ends[first]).min())
    if bootstrap and weakest >= worth:
        rng = np.random.default_rng(seed)
        cells, cell = np.unique(np.stack([index, window]), axis=1, return_inverse=True)
        share = _totals(cell.ravel(), w)
        total = share.sum()
        drawn = rng.multinomial(round(total), share / total, size=bootstrap).astype(np.float64)
        died_b, seen_b = np.zeros((bootstrap, times.size)), np.zeros((bootstrap, first.size))
        np.add.at(died_b.T, cells[0], drawn.T)
        np.add.at(seen_b.T, cells[1], drawn.T)
        resampled, _, _ = _npmle(died_b, seen_b, first, last, tolerance=1e-4, max_iterations=500, start=mass)
        tail = (1 - level) / 2
        low, high = np.quantile(_survival(resampled), [tail, 1 - tail], axis=0)
        low, high = np.minimum(low, survival), np.maximum(high, survival)
    return SurvivalCurve(
        time_days=times,
        survival=survival,
        longest_days=float(v.max()),
        method="doubly truncated maximum likelihood (Efron and Petrosian 1999; Shen 2010)",
        low=low,
        high=high,
        iterations=iterations,
        weakest_window=weakest,
    )


def conditional_kendall_tau(
    lifetime_days: ArrayLike,
    earliest_days: ArrayLike,
    latest_days: ArrayLike,
    weights: ArrayLike | None = None,
) -> QuasiIndependence:
    """Test that lifetime and date of introduction are unrelated where the window shows both.

    tau_c = mean of sign((x_i - x_j)(v_i - v_j)) over the comparable pairs, those with
    max(u_i, u_j) <= min(x_i, x_j) and max(x_i, x_j) <= min(v_i, v_j). With windows of calendar time v is
    the age of the code: tau_c > 0 says that older code held longer lifetimes.

    Args:
        lifetime_days, earliest_days, latest_days, weights: as in ``doubly_truncated_survival``; for right
            truncation alone pass -infinity as earliest_days.
    Returns:
        QuasiIndependence: tau in [-1, 1] with the standard error of a U-statistic.
    Raises:
        StatisticsInputError: as there, or no pair is comparable.
    Source: Tsai 1990, doi:10.1093/biomet/77.1.169; Martin and Betensky 2005, doi:10.1198/016214504000001538.
    Example:
        >>> tau = conditional_kendall_tau([1.0, 2.0, 3.0, 2.5], [0.0] * 4, [5.0, 6.0, 7.0, 8.0])
        >>> round(tau.tau, 3)
        0.667
    """
    x, u, v, w = _checked(lifetime_days, earliest_days, latest_days, weights)
    cells, cell = np.unique(np.stack([x, u, v]), axis=1, return_inverse=True)
    x, u, v = cells
    w = _totals(cell.ravel(), w)
    n = w.sum()
    comparable, concordant = np.zeros(x.size), np.zeros(x.size)
    for start in range(0, x.size, 512):
        part = slice(start, start + 512)
        lower = np.minimum(x[part, None], x[None, :])
        upper = np.maximum(x[part, None], x[None, :])
        pair = (np.maximum(u[part, None], u[None, :]) <= lower) & (upper <= np.minimum(v[part, None], v[None, :]))
        sign = np.sign((x[part, None] - x[None, :]) * (v[part, None] - v[None, :]))
        comparable[part] = pair @ w
        concordant[part] = (pair * sign) @ w
    comparable -= 1.0  # an observation is no pair with itself; its equals in the cell are
    pairs = float(w @ comparable)
    if pairs <= 0:
        raise StatisticsInputError("no two observations are comparable", hint="Widen the window")
    tau = float(w @ concordant) / pairs
    influence = 2 * n * (concordant - tau * comparable) / pairs
    error = float(np.sqrt(w @ influence**2) / n)
    z = abs(tau) / error if error > 0 else float("inf") if tau else 0.0
    return QuasiIndependence(tau=tau, standard_error=error, p_value=float(2 * special.ndtr(-z)), pairs=pairs / 2)


def _npmle(
    died: Floats,
    seen: Floats,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    *,
    tolerance: float,
    max_iterations: int,
    start: Floats | None = None,
) -> tuple[Floats, int, float]:
    """Fixed point for every row of ``died`` (rows are resamples), accelerated by squared extrapolation
    (SQUAREM; Varadhan and Roland 2008), each accelerated step being checked to lie in the simplex."""
    rows, m = died.shape
    mass = np.repeat(start, rows, axis=0) if start is not None else died / died.sum(axis=1, keepdims=True)
    mass = np.where(died > 0, np.maximum(mass, 1e-300), 0.0)
    pad = np.zeros((rows, 1))
    size = rows * (m + 1)
    offset = (np.arange(rows) * (m + 1))[:, None]
    begin_at, end_at = (offset + first[None, :]).ravel(), (offset + last[None, :]).ravel()

    def step(f: Floats) -> Floats:
        cumulative = np.concatenate([pad, np.cumsum(f, axis=1)], axis=1)
        covered = cumulative[:, last] - cumulative[:, first]
        share = np.divide(seen, covered, out=np.zeros_like(seen), where=(seen > 0) & (covered > 0))
        change = np.bincount(begin_at, share.ravel(), size) - np.bincount(end_at, share.ravel(), size)
        change = change.reshape(rows, m + 1)
        exposure = np.cumsum(change, axis=1)[:, :m]
        g = np.divide(died, exposure, out=np.zeros_like(died), where=died > 0)
        scaled: Floats = g / g.sum(axis=1, keepdims=True)
        return scaled

    iterations, moved = 0, np.inf
    while iterations < max_iterations and moved > tolerance:
        one = step(mass)
        two = step(one)
        iterations += 2
        r, s = one - mass, two - 2 * one + mass
        moved = float(np.abs(np.cumsum(r, axis=1)).max())
        norm = np.sqrt((s**2).sum(axis=1, keepdims=True))
        length = np.where(norm > 1e-15, -np.sqrt((r**2).sum(axis=1, keepdims=True)) / np.maximum(norm, 1e-15), -1)
        length = np.minimum(length, -1.0)
        jump = mass - 2 * length * r + length**2 * s
        inside = (jump >= 0).all(axis=1, keepdims=True)
        mass = np.where(inside, jump, two)
        mass = np.where(died > 0, np.maximum(mass, 1e-300), 0.0)
        mass /= mass.sum(axis=1, keepdims=True)
    return step(mass), iterations, moved


def _survival(mass: Floats) -> Floats:
    survival: Floats = np.clip(1 - np.cumsum(mass, axis=1), 0.0, 1.0)
    survival[:, -1] = 0.0
    return survival


def _weight_below(values: Floats, weights: Floats, at: Floats) -> Floats:
    order = np.argsort(values, kind="stable")
    cumulative = np.concatenate(([0.0], np.cumsum(weights[order])))
    below: Floats = cumulative[np.searchsorted(values[order], at, "left")]
    return below


def _checked(
    lifetime: ArrayLike, earliest: ArrayLike | None, latest: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats, Floats]:
    x, v = np.asarray(lifetime, np.float64).ravel(), np.asarray(latest, np.float64).ravel()
    u = np.full_like(x, -np.inf) if earliest is None else np.asarray(earliest, np.float64).ravel()
    w = np.ones_like(x) if weights is None else np.asarray(weights, np.float64).ravel()
    if not x.shape == u.shape == v.shape == w.shape:
        raise StatisticsInputError("lifetimes, windows and weights differ in length")
    if x.size == 0:
        raise StatisticsInputError("no lifetime was given")
    if np.isnan(x).any() or np.isnan(u).any() or np.isnan(v).any() or (x < 0).any():
        raise StatisticsInputError("a lifetime must be a number of days >= 0", field="lifetime_days")
    if not (np.isfinite(w).all() and (w > 0).all()):
        raise StatisticsInputError("weights must be positive and finite", field="weights")
    outside = (x > v) | (x < u)
    if outside.any():
        raise StatisticsInputError(
            f"{int(outside.sum())} lifetimes lie outside their own window of observation",
            field="lifetime_days",
            hint="They could not have been observed: check the dates",
        )
    return x, u, v, w


def _totals(index: NDArray[np.int64], weights: Floats) -> Floats:
    return np.bincount(index, weights).astype(np.float64)

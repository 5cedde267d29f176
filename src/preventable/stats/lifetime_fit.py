"""Parametric lifetimes under double truncation: exponential and Weibull, with left-censored introductions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from preventable.errors import StatisticsInputError

Floats = NDArray[np.float64]
Family = Literal["exponential", "weibull"]


class LifetimeSample(msgspec.Struct, frozen=True):
    """Lifetimes with the window in which each could have been seen.

    lifetime_days, earliest_days, latest_days, weights: shape (n,); earliest <= lifetime <= latest.
    censored_days: shape (k,), days from the first known release to the fix, of faults that are older than
    that release; censored_window: their common window, counted from that release.
    """

    lifetime_days: Floats
    earliest_days: Floats
    latest_days: Floats
    weights: Floats
    censored_days: Floats
    censored_weights: Floats
    censored_window: tuple[float, float]


class LifetimeFit(msgspec.Struct, frozen=True):
    """A fitted family. S(t) = exp(-(t / scale)^shape); shape is 1 for the exponential."""

    family: Family
    scale_days: float
    shape: float
    mean_days: float
    mean_low: float
    mean_high: float
    half_life_days: float
    half_life_low: float
    half_life_high: float
    log_likelihood: float
    aic: float
    distance: float
    """Largest gap between observed and fitted distribution, each within its own window (Kolmogorov)."""
    p_value: float
    """Of the fit: Pearson's chi-square over ten classes of equal probability. Small means it does not fit."""
    level: float = 0.95

    def survival(self, days: ArrayLike) -> Floats:
        """S(t) at the given days."""
        t = np.maximum(np.asarray(days, np.float64), 0.0)
        value: Floats = np.exp(-((t / self.scale_days) ** self.shape))
        return value


def sample(
    lifetime_days: ArrayLike,
    earliest_days: ArrayLike,
    latest_days: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    censored_days: ArrayLike = (),
    censored_weights: ArrayLike | None = None,
    censored_window: tuple[float, float] = (0.0, math.inf),
) -> LifetimeSample:
    """Check and convert arrays to a ``LifetimeSample``; equal rows are merged.

    Args: see ``LifetimeSample``; earliest_days below 0 counts as 0 (no truncation from the left).
    Raises:
        StatisticsInputError: lengths differ, no exact lifetime, NaN, or a lifetime outside its window.
    Example:
        >>> sample([1.0, 1.0], [0.0, 0.0], [2.0, 2.0]).weights
        array([2.])
    """
    x, u, v = (np.asarray(a, np.float64).ravel() for a in (lifetime_days, earliest_days, latest_days))
    w = np.ones_like(x) if weights is None else np.asarray(weights, np.float64).ravel()
    c = np.asarray(censored_days, np.float64).ravel()
    cw = np.ones_like(c) if censored_weights is None else np.asarray(censored_weights, np.float64).ravel()
    if not x.shape == u.shape == v.shape == w.shape or c.shape != cw.shape:
        raise StatisticsInputError("lifetimes, windows and weights differ in length")
    if x.size == 0:
        raise StatisticsInputError("no exactly dated lifetime was given")
    u = np.maximum(u, 0.0)
    if not (np.isfinite(x).all() and not np.isnan(v).any() and (x >= u).all() and (x <= v).all()):
        raise StatisticsInputError("a lifetime lies outside its own window, or is not a number")
    low, high = censored_window
    if c.size and not (0 <= low <= c.min() and c.max() <= high):
        raise StatisticsInputError("a left-censored fault lies outside its window", field="censored_days")
    cells, index = np.unique(np.stack([x, u, v]), axis=1, return_inverse=True)
    return LifetimeSample(
        lifetime_days=cells[0],
        earliest_days=cells[1],
        latest_days=cells[2],
        weights=np.bincount(index.ravel(), w).astype(np.float64),
        censored_days=c,
        censored_weights=cw,
        censored_window=censored_window,
    )


def fit_lifetimes(
    data: LifetimeSample,
    family: Family,
    *,
    level: float = 0.95,
    rounding_days: float = 0.0,
    max_years: float = 1000.0,
) -> LifetimeFit | None:
    """Maximum likelihood of truncated lifetimes.

    L = prod_i f(x_i) / (F(v_i) - F(u_i)) * prod_k S(c_k) / integral of S over the censored window

    The second product is for faults introduced at an unknown moment before the first known release, at a
    constant rate; for the exponential it equals an introduction at that release (no memory).

    Args:
        data: see ``sample``.
        family: ``exponential`` (S = exp(-t/scale)) or ``weibull`` (S = exp(-(t/scale)^shape)).
        rounding_days: width within which lifetimes are known, for the test of the fit only.
        level: of the intervals, by profile likelihood for the exponential and Wald on the logarithm else.
        max_years: a mean beyond this is no estimate.
    Returns:
        LifetimeFit, or None where the likelihood has no maximum: the lifetimes seen are as even over their
        windows as if faults never ended (the truncated exponential's well-known failure).
    Raises:
        StatisticsInputError: see ``sample``.
    Source: Deemer and Votaw 1955, doi:10.1214/aoms/1177728494 (truncated exponential);
        golden numbers: tests/golden/lifetime_fit.json (R optim).
    Example:
        >>> fit = fit_lifetimes(sample([1.0, 2.0, 3.0], [0.0] * 3, [100.0] * 3), "exponential")
        >>> round(fit.mean_days, 3)
        2.0
    """
    negative = _negative_log_likelihood(data)
    typical = max(float(np.average(data.lifetime_days, weights=data.weights)), 1.0)
    limit = math.log(max_years * 365.25)
    z = float(stats.norm.ppf(1 - (1 - level) / 2))
    if family == "exponential":
        best = optimize.minimize_scalar(
            lambda s: negative(s, 0.0),
            bounds=(math.log(typical) - 6, limit + 1),
            method="bounded",
            options={"xatol": 1e-9},
        )
        centre, shape_log, value = float(best.x), 0.0, float(best.fun)
        if centre > limit:
            return None
        low, high = _profile(lambda s: negative(s, 0.0), centre, value + z * z / 2, limit)
        ends = {
            "mean": (math.exp(low), math.exp(high)),
            "half": (math.exp(low) * math.log(2), math.exp(high) * math.log(2)),
        }
    else:

        def both(p: Floats) -> float:
            return negative(float(p[0]), float(p[1]))

        found = optimize.minimize(
            both,
            x0=np.array([math.log(typical), 0.0]),
            method="Nelder-Mead",
            options={"xatol": 1e-8, "fatol": 1e-9, "maxiter": 2000},
        )
        centre, shape_log, value = float(found.x[0]), float(found.x[1]), float(found.fun)
        if _log_mean(centre, shape_log) > limit or abs(shape_log) > 3:
            return None
        covariance = _covariance(negative, centre, shape_log)
        if covariance is None:
            return None
        ends = {}
        for name, function in (("mean", _log_mean), ("half", _log_half)):
            step = 1e-5
            gradient = np.array(
                [
                    (function(centre + step, shape_log) - function(centre - step, shape_log)) / (2 * step),
                    (function(centre, shape_log + step) - function(centre, shape_log - step)) / (2 * step),
                ]
            )
            spread = z * math.sqrt(float(gradient @ covariance @ gradient))
            middle = function(centre, shape_log)
            ends[name] = (math.exp(middle - spread), math.exp(middle + spread))
    scale, shape = math.exp(centre), math.exp(shape_log)
    distance = _distance(data, scale, shape)
    p_value = _goodness(data, family, scale, shape, rounding_days)
    return LifetimeFit(
        family=family,
        scale_days=scale,
        shape=shape,
        mean_days=math.exp(_log_mean(centre, shape_log)),
        mean_low=ends["mean"][0],
        mean_high=ends["mean"][1],
        half_life_days=math.exp(_log_half(centre, shape_log)),
        half_life_low=ends["half"][0],
        half_life_high=ends["half"][1],
        log_likelihood=-value,
        aic=2 * value + 2 * (1 if family == "exponential" else 2),
        distance=distance,
        p_value=p_value,
        level=level,
    )


def hidden_share(fit: LifetimeFit, latest_days: ArrayLike, earliest_days: ArrayLike, seen: ArrayLike) -> float:
    """Share of all faults ever introduced (in the cohorts seen) that are still hidden at the end.

    N_c = n_c / (F(v_c) - F(u_c));  hidden = sum_c N_c S(v_c) / sum_c N_c

    Args:
        fit: a fitted family; the answer extrapolates it beyond the longest lifetime seen.
        latest_days, earliest_days: shape (c,), window of each cohort of introduction.
        seen: shape (c,), faults of the cohort that were seen in the window.
    Returns:
        In [0, 1].
    Raises:
        StatisticsInputError: lengths differ or nothing was seen.
    Example:
        >>> fit = fit_lifetimes(sample([1.0, 2.0, 3.0], [0.0] * 3, [100.0] * 3), "exponential")
        >>> round(hidden_share(fit, [2.0], [0.0], [10]), 3)
        0.368
    """
    v, u, n = (np.asarray(a, np.float64).ravel() for a in (latest_days, earliest_days, seen))
    if not v.shape == u.shape == n.shape or not n.sum() > 0:
        raise StatisticsInputError("cohorts differ in length, or none has a fault")
    covered = fit.survival(np.maximum(u, 0.0)) - fit.survival(v)
    introduced = np.divide(n, covered, out=np.zeros_like(n), where=covered > 0)
    return float(introduced @ fit.survival(v) / introduced.sum())


def _negative_log_likelihood(data: LifetimeSample) -> Callable[[float, float], float]:
    x = np.maximum(data.lifetime_days, 1e-9)
    u, v, w = data.earliest_days, data.latest_days, data.weights
    c, cw = data.censored_days, data.censored_weights
    log_x, total = np.log(x), float(w.sum())
    low, high = data.censored_window
    grid = np.linspace(low, high, 257) if c.size and math.isfinite(high) else None

    def value(scale_log: float, shape_log: float) -> float:
        k = math.exp(shape_log)
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
            hazard = (x * math.exp(-scale_log)) ** k
            begin, end = (u * math.exp(-scale_log)) ** k, (v * math.exp(-scale_log)) ** k
            # log(exp(-begin) - exp(-end)), stable for narrow windows
            window = -begin + np.log(-np.expm1(-(end - begin)))
            density = math.log(k) - k * scale_log + (k - 1) * log_x - hazard
            result = float(w @ (density - window))
            if grid is not None:
                tail = np.exp(-((grid * math.exp(-scale_log)) ** k))
                area = float(np.trapezoid(tail, grid))
                if not area > 0:
                    return 1e300
                result += float(cw @ -((c * math.exp(-scale_log)) ** k)) - float(cw.sum()) * math.log(area)
        return -result if math.isfinite(result) else 1e300 + total

    return value


def _log_mean(scale_log: float, shape_log: float) -> float:
    return scale_log + math.lgamma(1 + math.exp(-shape_log))


def _log_half(scale_log: float, shape_log: float) -> float:
    return scale_log + math.log(math.log(2)) * math.exp(-shape_log)


def _profile(function: Callable[[float], float], centre: float, bound: float, limit: float) -> tuple[float, float]:
    def gap(s: float) -> float:
        return function(s) - bound

    low, high = centre - 0.01, centre + 0.01
    while gap(low) < 0 and low > centre - 12:
        low -= 0.1
    while gap(high) < 0 and high < limit + 5:
        high += 0.1
    left = float(optimize.brentq(gap, low, centre)) if gap(low) > 0 else -math.inf
    right = float(optimize.brentq(gap, centre, high)) if gap(high) > 0 else math.inf
    return left, right


def _covariance(function: Callable[[float, float], float], a: float, b: float) -> Floats | None:
    h = 1e-4
    centre = function(a, b)
    aa = (function(a + h, b) - 2 * centre + function(a - h, b)) / h**2
    bb = (function(a, b + h) - 2 * centre + function(a, b - h)) / h**2
    ab = (function(a + h, b + h) - function(a + h, b - h) - function(a - h, b + h) + function(a - h, b - h)) / (
        4 * h**2
    )
    determinant = aa * bb - ab * ab
    if not (aa > 0 and determinant > 0):
        return None
    return np.array([[bb, -ab], [-ab, aa]]) / determinant


def _uniforms(data: LifetimeSample, scale: float, shape: float) -> Floats:
    def survival(t: Floats) -> Floats:
        value: Floats = np.exp(-((t / scale) ** shape))
        return value

    begin, end = survival(data.earliest_days), survival(data.latest_days)
    share: Floats = (begin - survival(data.lifetime_days)) / np.maximum(begin - end, 1e-300)
    return np.clip(share, 0.0, 1.0)


def _distance(data: LifetimeSample, scale: float, shape: float) -> float:
    z = _uniforms(data, scale, shape)
    order = np.argsort(z, kind="stable")
    cumulative = np.cumsum(data.weights[order]) / data.weights.sum()
    before = cumulative - data.weights[order] / data.weights.sum()
    return float(max(np.abs(cumulative - z[order]).max(), np.abs(before - z[order]).max()))


def _goodness(data: LifetimeSample, family: Family, scale: float, shape: float, rounding: float) -> float:
    """Pearson's chi-square over ten classes of equal probability; each fitted parameter costs a degree.

    A lifetime that is known within a rounding width is spread evenly over it, inside its window.
    """
    classes = 10
    half = rounding / 2
    low, high = data.lifetime_days - half, data.lifetime_days + half
    ends = []
    for moved in (low, high):
        inside = np.clip(moved, data.earliest_days, data.latest_days)
        ends.append(_uniforms(msgspec.structs.replace(data, lifetime_days=inside), scale, shape))
    edges = np.linspace(0, 1, classes + 1)
    width = ends[1] - ends[0]
    # Share of each spread lifetime that lies below each edge; a point lies wholly on one side.
    spread = np.clip((edges[:, None] - ends[0]) / np.maximum(width, 1e-12), 0.0, 1.0)
    spread[-1] = 1.0
    observed = np.diff(spread @ data.weights)
    observed[0] += spread[0] @ data.weights
    expected = data.weights.sum() / classes
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(statistic, classes - 1 - (1 if family == "exponential" else 2)))

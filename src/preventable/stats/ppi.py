"""Shares from machine labels made valid by a small audited sample: prediction-powered inference.

The arithmetic works on moments and broadcasts, so that the coverage simulation of the tests runs the very code that
ships.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri

from preventable.errors import StatisticsInputError
from preventable.records import Estimate

F64 = npt.NDArray[np.float64]

FEW = 5
"""With fewer audited records than this on either side, the audit alone speaks, with an exact interval."""
SMALL = 100
"""Nor do fewer audited records than this carry enough disagreements to trust the correction."""
LARGEST_TAU = 0.5
"""Corrections of shares cannot differ by more between strata."""
BORROWED = 10
"""The variance over all strata counts for so many records in the variance of each, audited or predicted."""
AUDIT_ALONE = "audit-only, exact"
"""The method of an estimate that leaves the predictions out."""
_PSEUDO_ERRORS = 0.5
"""Variance of one imagined disagreement: an audit that shows none does not prove that there are none."""


class Moments(msgspec.Struct, frozen=True):
    """What PPI needs to know; every member broadcasts. y is the audited truth, f the prediction."""

    n: F64
    """Audited records."""
    total: F64
    """Records with a prediction only."""
    mean_y: F64
    mean_f: F64
    """Of the audited records."""
    mean_f_rest: F64
    """Of the others."""
    var_y: F64
    var_f: F64
    """Over the audited records, divisor n - 1."""
    var_f_rest: F64
    cov: F64
    """Of y and f over the audited records, divisor n - 1."""


class Pooled(msgspec.Struct, frozen=True):
    """One stratum (a year) with its share before and after partial pooling."""

    stratum: str
    estimate: Estimate
    audited: int
    records: int
    own_weight: float
    """How much of the correction is the stratum's own, 0 (all borrowed) to 1."""


def ppi_share(
    audited_truth: Sequence[bool] | F64,
    audited_prediction: Sequence[float] | F64,
    other_prediction: Sequence[float] | F64,
    *,
    level: float = 0.95,
) -> Estimate:
    """Share of records that count, from an audited simple random sample and predictions for all others (PPI++).

    theta(l) = mean_n(y) + l * (mean_N(f) - mean_n(f))
    l* = cov_n(y, f) / ((1 + n/N) var(f)), kept in [0, 1]       Angelopoulos, Duchi, Zrnic 2023 (PPI++)
    var = var_n(y - l f) / n + l² var_N(f) / N

    The interval is Wilson's with the sample size at which a plain count would have that variance, after one imagined
    disagreement is added, so that it holds near 0 and 1 and where the audit shows no error. With fewer than five
    audited records on either side, or fewer than 100 in all, the predictions are left out and the interval is
    Clopper and Pearson's, exact.

    Args:
        audited_truth: shape (n,), booleans, n >= 2.
        audited_prediction: shape (n,), in [0, 1], the prediction for the same records.
        other_prediction: shape (N,), in [0, 1], for the records that were not audited; may be empty.
        level: confidence level in (0, 1).
    Returns:
        Estimate: ``method`` is ``ppi++`` or ``audit-only, exact``; numerator and denominator are the audit's counts.
    Raises:
        StatisticsInputError: lengths differ, n < 2, NaN, a prediction outside [0, 1], or level outside (0, 1).
    Assumes: the audited records are a simple random sample of all, and were read without seeing the predictions.
    Source: arXiv:2301.09633, arXiv:2311.01453; Clopper and Pearson 1934; coverage: tests/unit/stats/test_coverage.py.
    Example:
        >>> e = ppi_share([True] * 40 + [False] * 60, [0.9] * 38 + [0.1] * 62, [0.9] * 350 + [0.1] * 650)
        >>> e.method, 0.3 < e.low < e.value < e.high < 0.5
        ('ppi++', True)
    """
    y, f = _checked(audited_truth, audited_prediction)
    rest = _predictions(other_prediction, "other_prediction")
    _check_level(level)
    n = len(y)
    count = int(y.sum())
    if _too_few(y) or len(rest) == 0:
        return clopper_pearson(count, n, level=level)
    value, low, high = ppi_interval(_moments(y, f, rest), level)
    return Estimate(float(value), float(low), float(high), count, n, "ppi++", level)


def ppi_interval(moments: Moments, level: float) -> tuple[F64, F64, F64]:
    """Value, low and high of PPI++ from moments; broadcasts. See ``ppi_share``; no fallback here."""
    value, variance, _ = _point(moments)
    n = moments.n
    inside = np.clip(value, 0.5 / n, 1 - 0.5 / n)
    effective = inside * (1 - inside) / np.maximum(variance + _PSEUDO_ERRORS / n**2, 1e-12)
    low, high = _wilson(np.clip(value, 0.0, 1.0), effective, level)
    return np.clip(value, 0.0, 1.0), low, high


def ppi_strata(
    strata: Sequence[str],
    audited_truth: Sequence[bool] | F64,
    audited_prediction: Sequence[float] | F64,
    other_strata: Sequence[str],
    other_prediction: Sequence[float] | F64,
    *,
    level: float = 0.95,
) -> list[Pooled]:
    """Shares per stratum (year) with partial pooling of the correction.

    In stratum s the correction d_s = mean(y - l f) has variance v_s = (SS_s + k v) / (n_s - 1 + k) / n_s: the stratum's
    own squares, with the variance v over all strata counting for k = 10 records. Over strata d_s ~ N(d, tau²), flat
    priors on d and on tau in [0, 0.5]. Given tau the shrunk correction is w_s d_s + (1 - w_s) d with
    w_s = tau² / (tau² + v_s); it is averaged over tau's posterior, whose spread enters the variance.
    theta_s = l mean_s(f) + that, and to its variance is added

    max(l² u_s, v (1 - n_s / N_s)) / N_s,  u_s = (sum over s of (f - mean_s(f))² + k u) / (N_s - 1 + k)

    with N_s the stratum's records and u the variance of all predictions: two or three that agree do not prove that the
    next would. The first is the error of theta_s as the rate behind the records, which is what the interval is for, as
    Wilson's of the labels is; the second that of theta_s as the share of these very records, whose own labelling errors
    are few and vary. The greater serves both.

    A stratum without an audited record borrows everything (own_weight 0). All records of a stratum enter mean_s(f),
    audited or not. With fewer than five audited records on either side, or fewer than 100 in all, each stratum's audit
    alone speaks, as in ``ppi_share``; a stratum without any is then left out, for nothing is known of it.

    The intervals hold on average over strata; one whose share lies far from all others' is drawn to them, and its own
    may cover less (docs/prevalence.md has figures).

    Args:
        strata: of the audited records, shape (n,).
        audited_truth: shape (n,), booleans.
        audited_prediction: shape (n,), in [0, 1].
        other_strata: of the others, shape (N,).
        other_prediction: shape (N,), in [0, 1].
        level: confidence level.
    Returns:
        One ``Pooled`` per stratum, sorted by name; where each audit speaks alone, of those that have one.
    Raises:
        StatisticsInputError: as ``ppi_share``, or lengths of strata that do not fit.
    Source: Gelman et al., Bayesian Data Analysis, 3rd ed., section 5.4; Gelman 2006, doi:10.1214/06-BA117A.
    """
    y, f = _checked(audited_truth, audited_prediction)
    rest = _predictions(other_prediction, "other_prediction")
    _check_level(level)
    if len(strata) != len(y) or len(other_strata) != len(rest):
        raise StatisticsInputError("as many strata as records are needed", field="strata")
    own, others = np.array(strata), np.array(other_strata)
    names = sorted({*strata, *other_strata})
    sizes = np.array([(own == s).sum() for s in names], dtype=np.float64)
    if _too_few(y):
        return [_alone(s, y[own == s], int((others == s).sum()), level) for s in names if (own == s).any()]
    _, _, power = _point(_moments(y, f, rest if len(rest) else f))
    tuned = float(power)
    residual = y - tuned * f
    seen = sizes > 0
    corrections = np.array([residual[own == s].mean() if (own == s).any() else 0.0 for s in names])
    noises = np.array([_noise(residual[own == s], residual) if (own == s).any() else np.inf for s in names])
    means, variances, weights = _shrink(corrections, noises, seen)
    overall = float(np.concatenate([f, rest]).var(ddof=1))
    residual_variance = _variance_of_residuals(residual)
    z = float(ndtri(0.5 + level / 2))
    pooled: list[Pooled] = []
    for i, name in enumerate(names):
        predictions = np.concatenate([f[own == name], rest[others == name]])
        count = len(predictions)
        value = tuned * float(predictions.mean()) + means[i]
        of_rate = tuned**2 * _shrunk_variance(predictions, overall)
        of_these = residual_variance * (1 - float(sizes[i]) / count)
        variance = variances[i] + max(of_rate, of_these) / count
        half = z * float(np.sqrt(variance))
        value, half = float(value), float(half)
        inside = min(max(value, 0.0), 1.0)
        estimate = Estimate(
            inside,
            min(max(value - half, 0.0), inside),
            max(min(value + half, 1.0), inside),
            float(y[own == name].sum()),
            float(sizes[i]),
            "ppi++, partially pooled",
            level,
        )
        pooled.append(Pooled(name, estimate, int(sizes[i]), count, float(weights[i])))
    return pooled


def ppi_weighted(
    audited_truth: Sequence[bool] | F64,
    audited_prediction: Sequence[float] | F64,
    strata: Sequence[str],
    weights: Sequence[float] | F64,
    other_prediction: Sequence[float] | F64,
    *,
    level: float = 0.95,
) -> Estimate:
    """Share of records that count, from an audit drawn by strata and predictions for all others.

    theta = l mean_N(f) + sum over strata of W_s mean_s(y - l f),  W_s = sum of weights in s / sum of all weights
    var = sum over strata of W_s² v_s + l² var_N(f) / N,  v_s as in ``ppi_strata``

    l is tuned as in ``ppi_share``, on weighted moments; without other predictions it is 0 and the audit alone speaks.
    The interval is Wilson's with the sample size at which a plain count would have that variance. There is no exact
    interval for an audit with weights, and none is needed: v_s keeps small audits from looking sure of themselves. With
    20 to 99 records this held as well as without the predictions, and was nearer to the truth (docs/prevalence.md).

    Args:
        audited_truth: shape (n,), booleans, n >= 2.
        audited_prediction: shape (n,), in [0, 1].
        strata: shape (n,), of the draw.
        weights: shape (n,), > 0: records that each audited one stands for.
        other_prediction: shape (N,), in [0, 1], for the records that were not audited; may be empty.
        level: confidence level in (0, 1).
    Returns:
        Estimate: ``method`` is ``ppi++, weighted`` or ``audit-only, weighted``; counts are the audit's, unweighted.
    Raises:
        StatisticsInputError: as ``ppi_share``, or strata or weights that do not fit.
    Source: Cochran, Sampling Techniques, 3rd ed., section 5.3 (the stratified mean); arXiv:2311.01453.
    Example:
        >>> ppi_weighted([1, 1, 0, 0], [1, 1, 0, 0], ["a", "a", "b", "b"], [9, 9, 1, 1], []).value
        0.9
    """
    y, f = _checked(audited_truth, audited_prediction)
    rest = _predictions(other_prediction, "other_prediction")
    _check_level(level)
    w = np.asarray(weights, dtype=np.float64)
    if len(strata) != len(y) or w.shape != y.shape:
        raise StatisticsInputError("as many strata and weights as audited records are needed", field="strata")
    if not (np.isfinite(w).all() and (w > 0).all()):
        raise StatisticsInputError("weights must be positive numbers", field="weights")
    w = w / w.sum()
    n, power = len(y), 0.0
    if len(rest):
        everything = np.concatenate([f, rest])
        mean_y, mean_f = w @ y, w @ f
        covariance = float(w @ ((y - mean_y) * (f - mean_f)))
        power = float(np.clip(covariance / max((1 + n / len(rest)) * float(everything.var()), 1e-12), 0.0, 1.0))
    residual = y - power * f
    own = np.array(strata)
    value, variance = 0.0, 0.0
    for name in sorted(set(strata)):
        members = own == name
        share = float(w[members].sum())
        value += float(w[members] @ residual[members])
        variance += share**2 * _noise(residual[members], residual)
    if len(rest):
        value += power * float(everything.mean())
        variance += power**2 * float(everything.var()) / len(everything)
    value = min(max(value, 0.0), 1.0)
    inside = min(max(value, 0.5 / n), 1 - 0.5 / n)
    effective = inside * (1 - inside) / (variance + _PSEUDO_ERRORS / n**2)
    low, high = _wilson(np.asarray(value), np.asarray(effective), level)
    method = "ppi++, weighted" if len(rest) else "audit-only, weighted"
    return Estimate(value, min(float(low), value), max(float(high), value), float(y.sum()), float(n), method, level)


def clopper_pearson(count: int, total: int, *, level: float = 0.95) -> Estimate:
    """Exact interval of a proportion; covers at least ``level`` whatever the truth.

    Raises:
        StatisticsInputError: total < 1 or count outside 0..total.
    Source: Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.
    Example:
        >>> e = clopper_pearson(0, 20)
        >>> round(e.high, 4)
        0.1684
    """
    if total < 1 or not 0 <= count <= total:
        raise StatisticsInputError(f"{count} of {total} is not a proportion")
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, total - count + 1, tail))
    high = 1.0 if count == total else float(betaincinv(count + 1, total - count, 1 - tail))
    return Estimate(float(count / total), float(low), float(high), int(count), int(total), AUDIT_ALONE, level)


def _too_few(y: F64) -> bool:
    """Whether the audit alone must speak."""
    count = int(y.sum())
    return len(y) < SMALL or min(count, len(y) - count) < FEW


def _noise(own: F64, everything: F64) -> float:
    """Variance of the mean of a stratum's residuals, and one imagined disagreement over all."""
    return _shrunk_variance(own, _variance_of_residuals(everything)) / len(own)


def _variance_of_residuals(residual: F64) -> float:
    return float(residual.var(ddof=1)) + _PSEUDO_ERRORS / len(residual)


def _shrunk_variance(own: F64, overall: float) -> float:
    """Variance of a stratum's values, for which that over all strata counts for ``BORROWED`` of them."""
    squares = float(((own - own.mean()) ** 2).sum())
    return (squares + BORROWED * overall) / (len(own) - 1 + BORROWED)


def _alone(name: str, y: F64, others: int, level: float) -> Pooled:
    """A stratum by its own audited records alone."""
    return Pooled(name, clopper_pearson(int(y.sum()), len(y), level=level), len(y), others + len(y), 1.0)


def _point(m: Moments) -> tuple[F64, F64, F64]:
    power = np.clip(m.cov / np.maximum((1 + m.n / m.total) * m.var_f_rest, 1e-12), 0.0, 1.0)
    value = m.mean_y + power * (m.mean_f_rest - m.mean_f)
    residual = np.maximum(m.var_y - 2 * power * m.cov + power**2 * m.var_f, 0.0)
    return value, residual / m.n + power**2 * m.var_f_rest / m.total, power


def _moments(y: F64, f: F64, rest: F64) -> Moments:
    def one(value: float) -> F64:
        return np.asarray(value, dtype=np.float64)

    return Moments(
        one(len(y)),
        one(len(rest)),
        one(y.mean()),
        one(f.mean()),
        one(rest.mean()),
        one(y.var(ddof=1)),
        one(f.var(ddof=1)),
        one(rest.var()),
        one(np.cov(y, f, ddof=1)[0, 1]),
    )


def _wilson(p: F64, n: F64, level: float) -> tuple[F64, F64]:
    z = float(ndtri(0.5 + level / 2))
    scale = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / scale
    half = z / scale * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def _shrink(values: F64, noises: F64, seen: npt.NDArray[np.bool_]) -> tuple[F64, F64, F64]:
    """Posterior mean, variance and own weight of every stratum, averaged over what tau may be."""
    y, v = values[seen], noises[seen]
    taus = np.linspace(0.0, LARGEST_TAU, 401)
    spread = taus[:, None] ** 2 + v
    precision = 1 / spread
    centre_variance = 1 / precision.sum(axis=1)
    centre = (precision @ y) * centre_variance
    log_weight = (
        0.5 * np.log(centre_variance)
        - 0.5 * np.log(spread).sum(axis=1)
        - 0.5 * (precision * (y - centre[:, None]) ** 2).sum(axis=1)
    )
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    squared = taus[:, None] ** 2
    # An unseen stratum has infinite noise: own weight 0, and tau² of its own on top of the centre's variance.
    own = np.where(seen, squared / (squared + np.where(seen, noises, 1.0)), 0.0)
    mean = own * values + (1 - own) * centre[:, None]
    inner = np.where(seen, own * np.where(seen, noises, 0.0), squared) + (1 - own) ** 2 * centre_variance[:, None]
    expected = weight @ mean
    return expected, weight @ inner + weight @ (mean - expected) ** 2, weight @ own


def _checked(truth: Sequence[bool] | F64, prediction: Sequence[float] | F64) -> tuple[F64, F64]:
    y = np.asarray(truth, dtype=np.float64)
    f = _predictions(prediction, "audited_prediction")
    if y.ndim != 1 or len(y) != len(f):
        raise StatisticsInputError(f"{y.size} audited records but {f.size} predictions", field="audited_truth")
    if len(y) < 2:
        raise StatisticsInputError("at least two audited records are needed", hint="Audit more records")
    if not np.isin(y, (0.0, 1.0)).all():
        raise StatisticsInputError("the truth must be 0 or 1", field="audited_truth")
    return y, f


def _predictions(values: Sequence[float] | F64, field: str) -> F64:
    f = np.asarray(values, dtype=np.float64)
    if f.ndim != 1 or np.isnan(f).any() or (len(f) and (f.min() < -1e-6 or f.max() > 1 + 1e-6)):
        raise StatisticsInputError("predictions must be a vector of values from 0 to 1", field=field)
    return f


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise StatisticsInputError(f"level {level} is not in (0, 1)", field="level")

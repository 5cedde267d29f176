"""Anytime-valid tests of a rate ratio: one may look every day and stop whenever one likes.

Given an event at time t, it lies on the new side with probability

    p(theta, t) = theta r(t) / (1 + theta r(t)),    r(t) = e_new(t) / e_old(t) known before the event.

For H0 "theta >= theta0 at every event, given the past", the mixture of likelihood ratios

    E_n = integral over theta < theta0 of prod_i p(theta; x_i) / p(theta0; x_i) dPi(theta)

is a test supermartingale (each factor has conditional mean <= 1 whenever the true ratio is >= theta0), so
P(sup E_n >= 1/alpha) <= alpha (Ville 1939). The opposite null has its own mixture and its own alpha.

Faults come in clusters. Clusters that are known (one introducing commit) are merged to one event before
they come here. For those that are not known the *robust* e-value tempers each likelihood ratio by 1/m: by
Jensen's inequality E[LR^(s/m)] <= E[LR]^(s/m) <= 1 for a cluster of s <= m events on one side, so it stays
valid under unseen clusters of up to m events. A claim is supported only if both e-values are large enough.

Sources: Wald 1945 (doi:10.1214/aoms/1177731118) for the mixture of likelihood ratios; Ville 1939; Howard,
Ramdas, McAuliffe and Sekhon 2021 (doi:10.1214/20-AOS1991) for confidence sequences by inversion; Wang and
Ramdas 2022 (doi:10.1111/rssb.12489) for e-BH; golden numbers: tests/golden/sequential.json.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from preventable.errors import StatisticsInputError

Floats = NDArray[np.float64]

NODES = 64
"""Nodes of the discrete prior; any discrete prior is valid, so this is no source of error."""

SPAN = 100.0
"""The prior is log-uniform between theta0 / SPAN and theta0 (or theta0 and theta0 * SPAN)."""

WIDE = 1000.0
"""The prior of the confidence sequence is log-uniform between 1 / WIDE and WIDE."""


class Batches(msgspec.Struct, frozen=True):
    """Events in the order in which they became known; the process is looked at after each batch.

    new, old: shape (n,), events >= 0 of each side; ratio: shape (n,), e_new / e_old > 0 as known before.
    """

    new: Floats
    old: Floats
    ratio: Floats


class EProcess(msgspec.Struct, frozen=True):
    """Natural logarithms of e-values after each batch, shape (n,)."""

    log_supports: Floats
    """Against "the ratio is at least theta0"."""
    log_supports_robust: Floats
    """The same, valid under unseen clusters."""
    log_refutes: Floats
    """Against "the ratio is at most theta0"."""
    log_refutes_robust: Floats


class Needed(msgspec.Struct, frozen=True):
    """What it would take to decide if the new side had no event."""

    events_old: int
    exposure_new: float
    exposure_old: float


def batches(new: ArrayLike, old: ArrayLike, ratio: ArrayLike) -> Batches:
    """Check and convert arrays to ``Batches``.

    Raises:
        StatisticsInputError: lengths differ, a count is negative or not finite, a ratio is not positive.
    Example:
        >>> batches([0, 1], [3, 4], [0.1, 0.1]).new
        array([0., 1.])
    """
    x, y, r = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (new, old, ratio))
    if not x.shape == y.shape == r.shape or x.ndim != 1:
        raise StatisticsInputError("new, old and ratio differ in length")
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (x >= 0).all() and (y >= 0).all()):
        raise StatisticsInputError("counts of events must be finite and >= 0", field="new, old")
    if not (np.isfinite(r).all() and (r > 0).all()):
        raise StatisticsInputError(
            "a ratio of exposures must be positive and finite",
            field="ratio",
            hint="An event before the new side had any code says nothing about the ratio: leave it out",
        )
    return Batches(new=x, old=y, ratio=r)


def e_process(data: Batches, theta0: float, *, cluster: float = 3.0) -> EProcess:
    """E-values against both nulls after each batch.

    Args:
        data: see ``batches``.
        theta0: the claimed bound on the rate ratio, > 0.
        cluster: m, the largest unseen cluster that the robust e-value allows for, >= 1.
    Returns:
        EProcess: shapes (n,); an empty input gives empty arrays (the e-value before any event is 1).
    Raises:
        StatisticsInputError: theta0 not positive or cluster < 1.
    Source: see the module.
    Example:
        >>> process = e_process(batches([0] * 40, [1] * 40, [0.5] * 40), theta0=0.5)
        >>> round(float(np.exp(process.log_supports[-1]))), float(process.log_refutes[-1]) < 0
        (2998, True)
    """
    _positive(theta0, "theta0")
    if not cluster >= 1:
        raise StatisticsInputError("a cluster has at least one event", field="cluster")
    below = _log_nodes(math.log(theta0 / SPAN), math.log(theta0))
    above = _log_nodes(math.log(theta0), math.log(theta0 * SPAN))
    # Batches with the same ratio follow each other for long: their logarithms are computed once.
    supports, supports_robust = _mixtures(data, below, theta0, (1.0, cluster))
    refutes, refutes_robust = _mixtures(data, above, theta0, (1.0, cluster))
    return EProcess(
        log_supports=supports,
        log_supports_robust=supports_robust,
        log_refutes=refutes,
        log_refutes_robust=refutes_robust,
    )


def confidence_sequence(
    data: Batches, alpha: float = 0.05, looks: Sequence[int] | None = None
) -> tuple[Floats, Floats]:
    """Interval of a constant rate ratio, valid at all looks together, by inversion.

    C_n = { c : log M_n - loglik_n(c) < log(1 / alpha) },  M_n the mixture of likelihoods over a log-uniform
    prior on [1/WIDE, WIDE]. The log-likelihood is concave in log c, so C_n is an interval.

    Args:
        data: see ``batches``.
        alpha: error over all looks, in (0, 1).
        looks: indices of batches to give the interval after; all by default.
    Returns:
        low, high: shape (looks,); 0 and infinity where the data do not bound the ratio. Not intersected
        over the looks, so that a drifting ratio shows.
    Raises:
        StatisticsInputError: alpha outside (0, 1) or a look that does not exist.
    Source: see the module.
    Example:
        >>> low, high = confidence_sequence(batches([5], [50], [0.1]))
        >>> bool(low[0] < 1.0 < high[0])
        True
    """
    if not 0 < alpha < 1:
        raise StatisticsInputError("alpha lies between 0 and 1", field="alpha")
    n = data.new.size
    at = np.arange(n) if looks is None else np.asarray(looks, dtype=np.int64)
    if at.size and (at.min() < 0 or at.max() >= n):
        raise StatisticsInputError("a look lies outside the data", field="looks")
    nodes = _log_nodes(-math.log(WIDE), math.log(WIDE), 2 * NODES)
    prior = -math.log(nodes.size)
    low, high = np.zeros(at.size), np.full(at.size, np.inf)
    order = np.argsort(at, kind="stable")
    total = np.zeros(nodes.size)
    ratios: dict[float, list[float]] = {}
    done = 0
    for position in order:
        end = int(at[position]) + 1
        if end > done:
            part = slice(done, end)
            total += _loglik(data.new[part], data.old[part], data.ratio[part], nodes)
            values, inverse = np.unique(data.ratio[part], return_inverse=True)
            for value, x, y in zip(
                values,
                np.bincount(inverse, data.new[part]),
                np.bincount(inverse, data.old[part]),
                strict=True,
            ):
                counts = ratios.setdefault(float(value), [0.0, 0.0])
                counts[0] += float(x)
                counts[1] += float(y)
            done = end
        bound = float(special.logsumexp(total + prior)) - math.log(1 / alpha)
        low[position], high[position] = _level_set(ratios, bound)
    return low, high


def needed_without_new_events(
    theta0: float, rate_old: float, ratio: float, alpha: float = 0.05, cluster: float = 3.0
) -> Needed:
    """The exposure at which the claim would be supported if the new side had no event at all.

    Both e-values must reach 1/alpha; with no new event each old one multiplies the likelihood ratio by
    (1 + theta0 r) / (1 + theta r).

    Args:
        theta0: the claimed bound, > 0.
        rate_old: events of the old side per unit of exposure, > 0.
        ratio: e_new / e_old, > 0, taken as constant.
        alpha: in (0, 1).
        cluster: see ``e_process``.
    Returns:
        Needed: old events, and the exposure of both sides in the unit of ``rate_old``.
    Raises:
        StatisticsInputError: an argument outside its domain.
    Example:
        >>> needed = needed_without_new_events(0.5, rate_old=50.0, ratio=0.01)
        >>> needed.events_old, round(needed.exposure_new, 2)
        (2101, 0.42)
    """
    for value, name in ((theta0, "theta0"), (rate_old, "rate_old"), (ratio, "ratio")):
        _positive(value, name)
    if not 0 < alpha < 1:
        raise StatisticsInputError("alpha lies between 0 and 1", field="alpha")
    nodes = np.exp(_log_nodes(math.log(theta0 / SPAN), math.log(theta0)))
    step = np.log1p(theta0 * ratio) - np.log1p(nodes * ratio)

    def log_e(events: float) -> float:
        return float(special.logsumexp(events * step / cluster)) - math.log(nodes.size)

    threshold, high = math.log(1 / alpha), 1.0
    while log_e(high) < threshold:
        high *= 2
    events = math.ceil(optimize.brentq(lambda k: log_e(k) - threshold, high / 2 if high > 1 else 0.0, high))
    exposure_old = events / rate_old
    return Needed(events_old=events, exposure_new=exposure_old * ratio, exposure_old=exposure_old)


def e_bh(e_values: ArrayLike, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Which of a family of nulls to reject with false discovery rate <= alpha, however they depend.

    k* = max { k : e_(k) >= m / (k alpha) };  reject the k* largest.                 Wang and Ramdas 2022

    Args:
        e_values: shape (m,), >= 0, infinity allowed.
        alpha: in (0, 1).
    Returns:
        shape (m,), True where rejected.
    Raises:
        StatisticsInputError: NaN or negative values, or alpha outside (0, 1).
    Source: doi:10.1111/rssb.12489.
    Example:
        >>> e_bh([60.0, 30.0, 1.0], alpha=0.05).tolist()
        [True, True, False]
    """
    e = np.atleast_1d(np.asarray(e_values, dtype=np.float64))
    if np.isnan(e).any() or (e < 0).any():
        raise StatisticsInputError("e-values must be >= 0", field="e_values")
    if not 0 < alpha < 1:
        raise StatisticsInputError("alpha lies between 0 and 1", field="alpha")
    m = e.size
    order = np.argsort(-e, kind="stable")
    reached = np.flatnonzero(e[order] * alpha * np.arange(1, m + 1) >= m * (1 - 1e-12))
    rejected = np.zeros(m, dtype=np.bool_)
    if reached.size:
        rejected[order[: reached[-1] + 1]] = True
    return rejected


def _mixtures(data: Batches, log_theta: Floats, theta0: float, powers: Sequence[float]) -> list[Floats]:
    n = data.new.size
    results = [np.empty(n) for _ in powers]
    carry = np.zeros(log_theta.size)
    log_r, log_0 = np.log(data.ratio), math.log(theta0)
    for start in range(0, n, 4096):
        part = slice(start, min(start + 4096, n))
        values, inverse = np.unique(log_r[part], return_inverse=True)
        # log p(theta; old) - log p(theta0; old), and the same for new, per distinct ratio and node
        old = np.logaddexp(0.0, log_0 + values)[:, None] - np.logaddexp(0.0, log_theta + values[:, None])
        new = old + (log_theta - log_0)
        path = data.new[part, None] * new[inverse] + data.old[part, None] * old[inverse]
        np.cumsum(path, axis=0, out=path)
        path += carry
        carry = path[-1].copy()
        for result, power in zip(results, powers, strict=True):
            scaled = path / power
            top = scaled.max(axis=1)
            result[part] = top + np.log(np.exp(scaled - top[:, None]).mean(axis=1))
    return results


def _loglik(new: Floats, old: Floats, ratio: Floats, log_theta: Floats) -> Floats:
    values, inverse = np.unique(np.log(ratio), return_inverse=True)
    x, y = np.bincount(inverse, new), np.bincount(inverse, old)
    logits = values[:, None] + log_theta[None, :]
    total: Floats = (x[:, None] * logits - (x + y)[:, None] * np.logaddexp(0.0, logits)).sum(axis=0)
    return total


def _level_set(ratios: dict[float, list[float]], bound: float) -> tuple[float, float]:
    log_r = np.log(np.fromiter(ratios, dtype=np.float64))
    counts = np.asarray(list(ratios.values()))
    x, n = counts[:, 0], counts.sum(axis=1)
    if not n.sum():
        return 0.0, math.inf

    def value(log_theta: float) -> float:
        logits = log_r + log_theta
        return float((x * logits - n * np.logaddexp(0.0, logits)).sum()) - bound

    def slope(log_theta: float) -> float:
        return float((x - n * special.expit(log_r + log_theta)).sum())

    far = 60.0
    if x.sum() == 0:
        peak = -far
    elif x.sum() == n.sum():
        peak = far
    else:
        peak = float(optimize.brentq(slope, -far - log_r.max(), far - log_r.min()))
    low = 0.0 if value(-far) >= 0 else math.exp(optimize.brentq(value, -far, peak))
    high = math.inf if value(far) >= 0 else math.exp(optimize.brentq(value, peak, far))
    return low, high


def _log_nodes(low: float, high: float, nodes: int = NODES) -> Floats:
    """Midpoints of equal steps, so that no node equals the bound itself."""
    return low + (np.arange(nodes) + 0.5) * (high - low) / nodes


def _positive(value: float, name: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise StatisticsInputError(f"{name} must be positive and finite, not {value!r}", field=name)

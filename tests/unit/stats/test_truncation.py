"""Truncated lifetimes against R, against each other and against a truth that is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from preventable.errors import StatisticsInputError
from preventable.stats.lifetime_fit import fit_lifetimes, hidden_share, sample
from preventable.stats.truncation import (
    conditional_kendall_tau,
    doubly_truncated_survival,
    right_truncated_survival,
)

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "stats.json").read_text(encoding="utf-8"))
X, U, V = (GOLDEN["sample"][k] for k in ("lifetime", "earliest", "latest"))
YEAR = 365.25
WIDE = (8.0, 20.0)


def observed(seed: int, n: int, lifetimes: str, window: tuple[float, float] = (18.0, 20.0)) -> np.ndarray:
    """Faults introduced over 20 years at a growing rate, seen only if fixed inside the window (years).

    Returns rows lifetime, earliest, latest in days; true mean about five years.
    """
    rng = np.random.default_rng(seed)
    begun = 20 * np.sqrt(rng.random(n))
    if lifetimes == "exponential":
        life = rng.exponential(5.0, n)
    elif lifetimes == "lognormal":
        life = rng.lognormal(np.log(4.0), 0.67, n)
    else:  # two kinds of fault, which no single family describes
        life = np.where(rng.random(n) < 0.5, rng.exponential(1.0, n), rng.exponential(9.0, n))
    end = begun + life
    seen = (end >= window[0]) & (end <= window[1])
    return np.stack([life, window[0] - begun, window[1] - begun])[:, seen] * YEAR


def test_lynden_bell_equals_r() -> None:
    curve = right_truncated_survival(X, V)
    assert curve.time_days.tolist() == GOLDEN["lynden_bell"]["time"]
    assert (1 - curve.survival).tolist() == pytest.approx(GOLDEN["lynden_bell"]["distribution"], abs=1e-9)


def test_double_truncation_equals_r() -> None:
    curve = doubly_truncated_survival(X, U, V, tolerance=1e-10)
    assert curve.survival.tolist() == pytest.approx(GOLDEN["npmle"]["survival"], abs=1e-6)


def test_double_truncation_with_an_open_start_is_lynden_bell() -> None:
    x, _, v = observed(3, 3000, "lognormal", (0.0, 20.0))
    both = doubly_truncated_survival(x, np.full_like(x, -1e9), v, tolerance=1e-9)
    assert np.abs(both.survival - right_truncated_survival(x, v).survival).max() < 1e-5


@pytest.mark.parametrize("family", ["exponential", "weibull"])
def test_fits_equal_r(family: str) -> None:
    fit = fit_lifetimes(sample(X, U, V), family)  # type: ignore[arg-type]
    assert fit is not None
    assert fit.scale_days == pytest.approx(GOLDEN[family]["scale"], rel=2e-4)
    assert fit.shape == pytest.approx(GOLDEN[family].get("shape", 1.0), rel=2e-4)
    assert fit.log_likelihood == pytest.approx(GOLDEN[family]["log_likelihood"], abs=1e-7)


@pytest.mark.parametrize("lifetimes", ["lognormal", "two kinds"])
def test_truncation_bias_is_removed(lifetimes: str) -> None:
    """The naive mean is far off; the corrected curve is not, whatever the shape of the lifetimes."""
    x, u, v = observed(11, 60000, lifetimes)
    curve = doubly_truncated_survival(x, u, v)
    rng = np.random.default_rng(12)
    truth = (
        rng.lognormal(np.log(4.0), 0.67, 200000)
        if lifetimes == "lognormal"
        else np.where(rng.random(200000) < 0.5, rng.exponential(1.0, 200000), rng.exponential(9.0, 200000))
    )
    truth = truth[truth <= 20] * YEAR
    at = np.array([1, 2, 4, 6, 9]) * YEAR
    survival = np.interp(at, curve.time_days, curve.survival)
    expected = np.array([(truth > t).mean() for t in at])
    naive = np.array([(x > t).mean() for t in at])
    assert np.abs(survival - expected).max() < 0.05
    assert np.abs(survival - expected).max() < 0.5 * np.abs(naive - expected).max()


def test_exponential_fit_covers_the_truth() -> None:
    missed = 0
    for seed in range(60):
        fit = fit_lifetimes(sample(*observed(seed, 3000, "exponential", WIDE)), "exponential")
        assert fit is not None
        missed += not fit.mean_low <= 5 * YEAR <= fit.mean_high
    assert missed <= 7  # P(more | 5%) < 2%


def test_goodness_of_fit_tells_families_apart() -> None:
    good = fit_lifetimes(sample(*observed(5, 20000, "exponential", WIDE)), "exponential")
    bad = fit_lifetimes(sample(*observed(5, 20000, "two kinds", WIDE)), "exponential")
    assert good is not None
    assert bad is not None
    assert good.p_value > 0.01 > bad.p_value
    assert good.distance < bad.distance


def test_left_censored_faults_are_used_not_dropped() -> None:
    """For the exponential an unknown earlier introduction equals one at the first known release."""
    x, u, v = observed(8, 8000, "exponential")
    old = v > 15 * YEAR
    start, end = 13 * YEAR, 15 * YEAR
    censored = x[old] - (v[old] - end)
    fit = fit_lifetimes(
        sample(x[~old], u[~old], v[~old], censored_days=censored[censored >= start], censored_window=(start, end)),
        "exponential",
    )
    assert fit is not None
    assert fit.mean_low <= 5 * YEAR <= fit.mean_high


def test_flat_lifetimes_give_no_estimate() -> None:
    """As even over the window as if faults never ended: the truncated exponential has no maximum."""
    x = np.linspace(1, 99, 50)
    assert fit_lifetimes(sample(x, np.zeros(50), np.full(50, 100.0)), "exponential") is None


def test_kendall_is_quiet_under_independence_and_loud_otherwise() -> None:
    x, u, v = observed(21, 8000, "lognormal")
    assert conditional_kendall_tau(x, u, v).p_value > 0.01
    rng = np.random.default_rng(4)
    begun = 20 * rng.random(5000)
    life = rng.exponential(1.0 + 6.0 * (20 - begun) / 20)
    seen = (begun + life >= 8) & (begun + life <= 20)
    assert conditional_kendall_tau(life[seen], 8 - begun[seen], 20 - begun[seen]).p_value < 0.001


def test_kendall_counts_pairs_as_a_plain_double_loop_does() -> None:
    n, comparable, score = len(X), 0, 0
    for i in range(n):
        for j in range(i):
            if max(U[i], U[j]) <= min(X[i], X[j]) and max(X[i], X[j]) <= min(V[i], V[j]):
                comparable += 1
                score += np.sign((X[i] - X[j]) * (V[i] - V[j]))
    result = conditional_kendall_tau(X, U, V)
    assert (result.pairs, result.tau) == (comparable, pytest.approx(score / comparable))


def test_hidden_share_of_a_known_case() -> None:
    """Mean 10 days, every cohort seen from its first day for 10 days: exp(-1) is still hidden."""
    x = np.random.default_rng(0).exponential(10.0, 4000)
    fit = fit_lifetimes(sample(x, np.zeros_like(x), np.full_like(x, 1e6)), "exponential")
    assert fit is not None
    assert hidden_share(fit, [10.0], [0.0], [100]) == pytest.approx(np.exp(-1), abs=0.02)


def test_weights_are_multiplicities() -> None:
    x, u, v = observed(2, 4000, "exponential")
    x, u, v = np.floor(x / 200) * 200 + 100, np.floor(u / 200) * 200, np.ceil(v / 200) * 200
    keep = (x >= u) & (x <= v)
    cells, counts = np.unique(np.stack([x, u, v])[:, keep], axis=1, return_counts=True)
    one = doubly_truncated_survival(x[keep], u[keep], v[keep])
    two = doubly_truncated_survival(*cells, weights=counts)
    assert one.survival == pytest.approx(two.survival, abs=1e-9)


@pytest.mark.parametrize("x", [[], [np.nan], [-1.0], [9.0]])
def test_impossible_lifetimes_are_refused(x: list[float]) -> None:
    with pytest.raises(StatisticsInputError):
        doubly_truncated_survival(x, [0.0] * len(x), [5.0] * len(x))

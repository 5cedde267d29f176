"""The anytime-valid test: golden numbers, and the error it makes when one looks every day."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from preventable.errors import StatisticsInputError
from preventable.stats.sequential import (
    batches,
    confidence_sequence,
    e_bh,
    e_process,
    needed_without_new_events,
)

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "stats.json").read_text(encoding="utf-8"))["e_process"]
ALPHA = 0.05
DAYS = 1200
SNAPSHOT_DAYS = 63


def daily(
    rng: np.random.Generator, theta: float, *, cluster: int = 1, growth: float = 0.6, shape: str = "smooth"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three years of daily events at true ratio theta; the tester sees exposure by stepwise snapshots only.

    The new side grows by ``growth`` a year (smoothly, or in jumps such as a merged driver), the old one by
    3%, events come in batches of changing size, and each fault may appear as up to ``cluster`` records.
    """
    day = np.arange(DAYS)
    new = 0.02 * np.exp(growth * day / 365)
    if shape == "jumps":
        new = 0.02 * (1 + (day > 200) + 2 * (day > 500) + 3 * (day > 900))
    old = np.exp(0.03 * day / 365)
    activity = 2.0 * (1 + np.sin(day / 30)) * rng.gamma(2.0, 0.5, DAYS)
    sizes = rng.integers(max(1, cluster - 1), cluster + 1, (2, DAYS))
    x = rng.poisson(activity * theta * new) * sizes[0]
    y = rng.poisson(activity * old) * sizes[1]
    known = (day // SNAPSHOT_DAYS) * SNAPSHOT_DAYS
    return x, y, new[known] / old[known]


def rejections(theta: float, theta0: float, runs: int, which: str, **how: object) -> float:
    rng = np.random.default_rng(20240213)
    hits = 0
    for _ in range(runs):
        process = e_process(batches(*daily(rng, theta, **how)), theta0)  # type: ignore[arg-type]
        hits += bool((getattr(process, which) >= np.log(1 / ALPHA)).any())
    return hits / runs


def test_e_values_equal_r() -> None:
    data = batches(*np.transpose(GOLDEN["batches"]))
    process = e_process(data, GOLDEN["theta0"])
    for name in ("supports", "supports_robust", "refutes", "refutes_robust"):
        assert np.exp(getattr(process, f"log_{name}")[-1]) == pytest.approx(GOLDEN[name], rel=1e-8)
    low, high = confidence_sequence(data)
    assert [low[-1], high[-1]] == pytest.approx(GOLDEN["confidence"], rel=1e-5)


@pytest.mark.parametrize("theta", [0.5, 0.75, 2.0])
@pytest.mark.parametrize("shape", ["smooth", "jumps"])
def test_daily_looks_do_not_inflate_the_error(theta: float, shape: str) -> None:
    assert rejections(theta, 0.5, 200, "log_supports", shape=shape) <= ALPHA


@pytest.mark.slow
@pytest.mark.parametrize("theta", [0.5, 0.75])
@pytest.mark.parametrize("shape", ["smooth", "jumps"])
def test_daily_looks_do_not_inflate_the_error_in_many_runs(theta: float, shape: str) -> None:
    """Ville's bound is all but reached here, so that chance is allowed for."""
    hits = round(3000 * rejections(theta, 0.5, 3000, "log_supports", shape=shape))
    assert stats.binomtest(hits, 3000, ALPHA, alternative="greater").pvalue > 0.01


def test_unseen_clusters_break_the_plain_test_but_not_the_robust_one() -> None:
    """Two or three records per fault, none merged."""
    plain = rejections(0.5, 0.5, 200, "log_supports", cluster=3, growth=0.0)
    robust = rejections(0.5, 0.5, 200, "log_supports_robust", cluster=3, growth=0.0)
    assert robust <= ALPHA
    assert robust < plain


def test_a_fixed_sample_test_would_have_failed_this_simulation() -> None:
    """The same data and daily looks with a classical one-sided test at 5%: far more false alarms."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(100):
        x, y, r = daily(rng, 0.5, growth=0.0)
        n, seen = np.cumsum(x + y), np.cumsum(x)
        p = stats.binom.cdf(seen, n, 0.5 * r / (1 + 0.5 * r))
        hits += bool((p[n > 30] <= ALPHA).any())
    assert hits / 100 > 2 * ALPHA


def test_the_opposite_null_has_its_own_error() -> None:
    assert rejections(0.5, 0.5, 200, "log_refutes", growth=0.0) <= ALPHA
    assert rejections(0.3, 0.5, 200, "log_refutes", shape="smooth") <= ALPHA


def test_a_true_claim_is_supported_and_a_false_one_refuted() -> None:
    assert rejections(0.05, 0.5, 60, "log_supports_robust", growth=1.5) > 0.8
    assert rejections(4.0, 0.5, 60, "log_refutes_robust", growth=1.5) > 0.8


def test_confidence_sequence_covers_at_all_looks_together() -> None:
    rng = np.random.default_rng(99)
    missed = 0
    for _ in range(120):
        x, y, r = daily(rng, 0.4, growth=0.0)
        low, high = confidence_sequence(batches(x, y, r), ALPHA, looks=range(9, DAYS, 40))
        missed += not bool(((low <= 0.4) & (high >= 0.4)).all())
    assert missed / 120 <= ALPHA


def test_needed_exposure_is_where_the_test_crosses() -> None:
    needed = needed_without_new_events(0.5, rate_old=40.0, ratio=0.02)
    counts = np.ones(needed.events_old)
    process = e_process(batches(0 * counts, counts, 0.02 * counts), 0.5)
    assert process.log_supports_robust[-1] >= np.log(20) > process.log_supports_robust[-2]


def test_e_bh_controls_false_discoveries_under_dependence() -> None:
    """Ten nulls share one noise: the false discovery rate stays below alpha."""
    rng = np.random.default_rng(5)
    false = 0.0
    for _ in range(2000):
        shared = rng.normal()
        e = np.exp(2.0 * shared - 2.0) * np.ones(10)
        e[0] = 1e6
        rejected = e_bh(e, ALPHA)
        false += rejected[1:].sum() / max(rejected.sum(), 1)
    assert false / 2000 <= ALPHA


def test_nothing_yet_gives_nothing() -> None:
    process = e_process(batches([], [], []), 0.5)
    assert process.log_supports.size == 0


def test_an_event_before_the_newcomer_existed_is_refused() -> None:
    with pytest.raises(StatisticsInputError, match="positive"):
        batches([0], [1], [0.0])

"""How often the intervals hold the truth, over a stated grid: prints the average and the floor with where it lies.

Labels are simulated: y ~ prevalence, f = y kept with sensitivity or specificity; N = 10,000 unaudited records.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import beta

from preventable.stats.ppi import FEW, SMALL, Moments, ppi_interval
from preventable.stats.rogan_gladen import lang_reiczigel

FAST = ((50, 100, 200, 420), (0.02, 0.1, 0.35, 0.65), (0.7, 0.95), (0.85, 0.99))
FULL = (
    (50, 100, 200, 420, 1000),
    (0.005, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8),
    (0.6, 0.7, 0.85, 0.95),
    (0.8, 0.9, 0.95, 0.99),
)
Grid = tuple[Sequence[int], Sequence[float], Sequence[float], Sequence[float]]


def ppi_coverage(n: int, p: float, se: float, sp: float, repeats: int, rng: np.random.Generator) -> float:
    total = 10_000
    cells = rng.multinomial(n, [p * se, p * (1 - se), (1 - p) * (1 - sp), (1 - p) * sp], size=repeats) / n
    both, missed, false, _ = cells.T
    flagged = p * se + (1 - p) * (1 - sp)
    rest = rng.binomial(total, flagged, size=repeats) / total
    mean_y, mean_f, unbias = both + missed, both + false, n / (n - 1)
    moments = Moments(
        np.float64(n), np.float64(total), mean_y, mean_f, rest, mean_y * (1 - mean_y) * unbias,
        mean_f * (1 - mean_f) * unbias, rest * (1 - rest), (both - mean_y * mean_f) * unbias,
    )  # fmt: skip
    _, low, high = ppi_interval(moments, 0.95)
    count = np.rint(mean_y * n)
    few = (np.minimum(count, n - count) < FEW) | (n < SMALL)
    low = np.where(few, np.nan_to_num(beta.ppf(0.025, count, n - count + 1), nan=0.0), low)
    high = np.where(few, np.nan_to_num(beta.ppf(0.975, count + 1, n - count), nan=1.0), high)
    return float(np.mean((low <= p) & (p <= high)))


def rogan_gladen_coverage(n: int, p: float, se: float, sp: float, repeats: int, rng: np.random.Generator) -> float:
    flagged = rng.binomial(n, p * se + (1 - p) * (1 - sp), size=repeats)
    low, high = lang_reiczigel(
        flagged.astype(float), n, rng.binomial(150, se, size=repeats).astype(float), 150,
        rng.binomial(270, sp, size=repeats).astype(float), 270, 0.95,
    )  # fmt: skip
    return float(np.mean((low <= p) & (p <= high)))


def run(name: str, grid: Grid, repeats: int) -> tuple[float, float]:
    function = {"ppi++": ppi_coverage, "Rogan-Gladen": rogan_gladen_coverage}[name]
    found = {}
    for number, point in enumerate(itertools.product(*grid)):
        found[point] = function(*point, repeats, np.random.default_rng(20260401 + number))
    average = sum(found.values()) / len(found)
    where = min(found, key=lambda k: found[k])
    print(
        f"\n{name}: {len(found)} grid points x {repeats}: coverage {average:.4f} on average; floor {found[where]:.4f} "
        f"at n={where[0]}, prevalence={where[1]}, sensitivity={where[2]}, specificity={where[3]}"
    )
    return average, found[where]


@pytest.mark.parametrize("name", ["ppi++", "Rogan-Gladen"])
def test_coverage_on_the_fast_grid(name: str) -> None:
    average, floor = run(name, FAST, 1500)
    assert 0.935 <= average <= 0.965
    assert floor > 0.92


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ppi++", "Rogan-Gladen"])
def test_coverage_on_the_full_grid(name: str) -> None:
    average, floor = run(name, FULL, 10_000)
    assert 0.935 <= average <= 0.965
    assert floor > 0.92


@pytest.mark.parametrize("prevalence", [0.002, 0.01])
def test_rare_classes_hold(prevalence: float) -> None:
    """There the exact interval speaks, which never covers less than it says (5,000 repeats: ± 0.006)."""
    rng = np.random.default_rng(5)
    assert ppi_coverage(100, prevalence, 0.8, 0.99, 5000, rng) > 0.944

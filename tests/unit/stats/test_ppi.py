from __future__ import annotations

import numpy as np
import pytest

from preventable.errors import StatisticsInputError
from preventable.records import Estimate, NotAvailable
from preventable.stats.ppi import clopper_pearson, ppi_share, ppi_strata
from preventable.stats.prevalence import wilson
from preventable.stats.rogan_gladen import rogan_gladen


def sample(n: int, total: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.random(n + total) < 0.35
    f = np.where(rng.random(n + total) < 0.9, y, ~y).astype(float)
    return y[:n].astype(float), f[:n], f[n:]


def test_good_predictions_narrow_the_interval() -> None:
    y, f, rest = sample(400, 10_000, 1)
    found, plain = ppi_share(y, f, rest), wilson(int(y.sum()), 400)
    assert found.method == "ppi++"
    assert found.high - found.low < 0.85 * (plain.high - plain.low)
    assert found.low < 0.35 < found.high


def test_useless_predictions_are_not_used() -> None:
    y, _, rest = sample(400, 10_000, 2)
    f = np.random.default_rng(3).random(400)
    found, plain = ppi_share(y, f, rest), wilson(int(y.sum()), 400)
    assert found.value == pytest.approx(plain.value, abs=0.01)


def test_biased_predictions_are_corrected() -> None:
    y, f, rest = sample(400, 10_000, 4)
    shifted = np.clip(f + 0.3, 0, 1)
    found = ppi_share(y, shifted, np.clip(rest + 0.3, 0, 1))
    assert found.low < 0.35 < found.high
    assert np.clip(rest + 0.3, 0, 1).mean() > found.high


def test_rare_and_small_fall_back_to_the_exact_interval() -> None:
    y = np.zeros(200)
    y[:3] = 1
    assert ppi_share(y, y, np.zeros(1000)).method == "audit-only, exact"
    y, f, rest = sample(60, 1000, 5)
    assert ppi_share(y, f, rest).method == "audit-only, exact"


def test_bad_input_is_refused() -> None:
    with pytest.raises(StatisticsInputError, match="predictions"):
        ppi_share([True, False], [0.1], [0.2])
    with pytest.raises(StatisticsInputError, match="0 to 1"):
        ppi_share([True, False], [0.1, 1.2], [0.2])
    with pytest.raises(StatisticsInputError, match="0 to 1"):
        ppi_share([True, False], [0.1, float("nan")], [0.2])
    with pytest.raises(StatisticsInputError, match="at least two"):
        ppi_share([True], [0.1], [0.2])
    with pytest.raises(StatisticsInputError, match="level"):
        ppi_share([True, False], [0.1, 0.2], [0.2], level=0)


def test_strata_borrow_when_they_do_not_differ() -> None:
    y, f, rest = sample(400, 4000, 6)
    years = ["2023"] * 200 + ["2024"] * 198 + ["2025"] * 2
    found = ppi_strata(years, y, f, ["2023"] * 2000 + ["2024"] * 1000 + ["2025"] * 900 + ["2026"] * 100, rest)
    assert [p.stratum for p in found] == ["2023", "2024", "2025", "2026"]
    assert found[3].own_weight == 0
    assert found[3].audited == 0
    assert found[2].own_weight < found[0].own_weight or found[0].own_weight == 0
    for p in found:
        assert p.estimate.low <= p.estimate.value <= p.estimate.high
        assert p.estimate.low < 0.35 < p.estimate.high


def test_strata_keep_their_own_when_they_differ() -> None:
    y = np.array([1.0] * 150 + [0.0] * 150)
    f = np.full(300, 0.5)
    f[::2] = 0.6
    found = ppi_strata(["a"] * 150 + ["b"] * 150, y, f, ["a"] * 500 + ["b"] * 500, np.full(1000, 0.55))
    assert found[0].own_weight > 0.9
    assert found[0].estimate.value > 0.9
    assert found[1].estimate.value < 0.1


def test_coverage_of_partially_pooled_years() -> None:
    """Years whose shares and error rates differ: 95% ± 3 over 400 repeats of four years."""
    rng = np.random.default_rng(11)
    hits = trials = 0
    for _ in range(400):
        share = {"2022": 0.3, "2023": 0.35, "2024": 0.4, "2025": 0.45}
        truth, guess, year = [], [], []
        for name, p in share.items():
            y = rng.random(700) < p
            keep = rng.random(700) < 0.88 + 0.02 * (int(name) % 3)
            truth.append(y)
            guess.append(np.where(keep, y, ~y))
            year += [name] * 700
        y, f = np.concatenate(truth).astype(float), np.concatenate(guess).astype(float)
        chosen = np.zeros(len(y), dtype=bool)
        chosen[rng.choice(len(y), 300, replace=False)] = True
        names = np.array(year)
        found = ppi_strata(list(names[chosen]), y[chosen], f[chosen], list(names[~chosen]), f[~chosen])
        hits += sum(p.estimate.low <= share[p.stratum] <= p.estimate.high for p in found)
        trials += len(found)
    print(f"\npartially pooled years: coverage {hits / trials:.4f} over {trials}")
    assert hits / trials == pytest.approx(0.95, abs=0.03)


def test_clopper_pearson_at_the_ends() -> None:
    assert clopper_pearson(0, 20).low == 0.0
    assert clopper_pearson(20, 20).high == 1.0
    with pytest.raises(StatisticsInputError):
        clopper_pearson(3, 2)


def test_rogan_gladen_needs_labels_that_tell_something() -> None:
    assert isinstance(rogan_gladen(10, 100, 50, 100, 50, 100), NotAvailable)
    with pytest.raises(StatisticsInputError):
        rogan_gladen(101, 100, 50, 100, 50, 100)
    found = rogan_gladen(0, 100, 90, 100, 95, 100)
    assert isinstance(found, Estimate)
    assert found.value == 0.0
    assert found.low == 0.0

from __future__ import annotations

import numpy as np
import pytest

from preventable.errors import StatisticsInputError
from preventable.records import Estimate, NotAvailable
from preventable.stats.ppi import clopper_pearson, ppi_share, ppi_strata, ppi_weighted
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


HETEROGENEOUS = [
    # shares of the years, sensitivity, specificity, audited, sizes of the years
    ((0.3, 0.35, 0.4, 0.45), 0.9, 0.9, 300, (2000, 2000, 2000, 2000)),
    ((0.02, 0.02, 0.02, 0.30), 0.7, 0.98, 1000, (2000, 2000, 2000, 2000)),
    ((0.05, 0.10, 0.30, 0.60), 0.8, 0.97, 1000, (2000, 2000, 2000, 2000)),
    ((0.02, 0.05, 0.10, 0.50), 0.9, 0.95, 420, (2000, 2000, 2000, 2000)),
    ((0.2, 0.3, 0.4, 0.5, 0.6, 0.7), 0.85, 0.9, 420, (2000, 2000, 2000, 2000, 2000, 2000)),
    ((0.1, 0.1, 0.1, 0.6), 0.6, 0.95, 420, (2400, 2400, 2960, 240)),
]


def test_coverage_of_partially_pooled_years() -> None:
    """Years that are alike and years that are not, 400 repeats each: 95% ± 2 on average; the floor is printed."""
    rng = np.random.default_rng(11)
    repeats = 400
    every: list[float] = []
    for shares, sensitivity, specificity, audited, sizes in HETEROGENEOUS:
        hits = np.zeros(len(shares))
        names = np.repeat([str(2020 + i) for i in range(len(shares))], sizes)
        for _ in range(repeats):
            y = rng.random(len(names)) < np.repeat(shares, sizes)
            f = np.where(y, rng.random(len(y)) < sensitivity, rng.random(len(y)) > specificity).astype(float)
            chosen = np.zeros(len(y), dtype=bool)
            chosen[rng.choice(len(y), audited, replace=False)] = True
            found = ppi_strata(
                list(names[chosen]), y[chosen].astype(float), f[chosen], list(names[~chosen]), f[~chosen]
            )
            hits += [p.estimate.low <= share <= p.estimate.high for p, share in zip(found, shares, strict=True)]
        print(f"\npartially pooled years {shares}, {audited} audited: {np.round(hits / repeats, 3)}")
        every += list(hits / repeats)
    print(f"average {np.mean(every):.4f}, floor {min(every):.4f}")
    print(f"without the last year of the last case: average {np.mean(every[:-1]):.4f}, floor {min(every[:-1]):.4f}")
    assert np.mean(every) == pytest.approx(0.95, abs=0.02)
    assert min(every[:-1]) > 0.88  # the last year of the last case: 12 audited records, and far from all the others
    assert every[-1] > 0.6


def test_few_audited_records_leave_every_year_to_its_own() -> None:
    y = np.array([0.0, 0.0, 1.0, 1.0])
    found = ppi_strata(["a", "a", "b", "b"], y, y, ["a", "b", "c"], np.array([0.0, 1.0, 1.0]))
    assert [p.stratum for p in found] == ["a", "b"], "of c nothing is known: not the others' share, from 0 to 1"
    assert [p.estimate.method for p in found] == ["audit-only, exact", "audit-only, exact"]
    assert [p.records for p in found] == [3, 3]
    assert (found[0].estimate.low, found[0].estimate.high) == (
        clopper_pearson(0, 2).low,
        clopper_pearson(0, 2).high,
    )


def test_two_or_three_predictions_that_agree_do_not_make_a_year_certain() -> None:
    """The labels of three records alone leave 0.44 to 1; a correction that saw none of them cannot know more."""
    y, f, rest = sample(400, 4000, 6)
    found = ppi_strata(
        ["2023"] * 400, y, f, ["2019"] * 3 + ["2020"] + ["2023"] * 3996, np.array([1.0, 1.0, 1.0, 1.0, *rest[4:]])
    )
    three, one = (p.estimate for p in found[:2])
    assert three.low < wilson(3, 3).low + 0.1
    assert one.low < 0.3
    assert found[2].estimate.high - found[2].estimate.low < 0.1


TINY = (1, 2, 3, 4, 5, 8, 12, 20)
BESIDE_TINY = [
    # share of all other years, of the tiny years, sensitivity, specificity
    (0.35, 0.35, 0.85, 0.9),
    (0.35, 0.35, 0.6, 0.95),
    (0.8, 0.8, 0.9, 0.8),
    (0.1, 0.1, 0.7, 0.98),
    (0.9, 0.9, 0.9, 0.7),
    (0.35, 0.35, 0.3, 0.8),
    (0.35, 0.1, 0.85, 0.9),
    (0.35, 0.7, 0.85, 0.9),
]


def test_coverage_of_tiny_years() -> None:
    """Years of 1 to 20 records beside three of 500 to 1,500, 420 audited: the rate behind them and their own share."""
    rng = np.random.default_rng(13)
    repeats = 400
    sizes = (*TINY, 500, 1000, 1500)
    names = np.repeat([f"{i:02}" for i in range(len(sizes))], sizes)
    every: list[np.ndarray] = []
    for share, tiny, sensitivity, specificity in BESIDE_TINY:
        rates = np.array([tiny] * len(TINY) + [share] * 3)
        hits = np.zeros((2, len(TINY)))
        for _ in range(repeats):
            y = (rng.random(len(names)) < np.repeat(rates, sizes)).astype(float)
            f = np.where(y > 0, rng.random(len(y)) < sensitivity, rng.random(len(y)) > specificity).astype(float)
            chosen = np.zeros(len(y), dtype=bool)
            chosen[rng.choice(len(y), 420, replace=False)] = True
            found = ppi_strata(list(names[chosen]), y[chosen], f[chosen], list(names[~chosen]), f[~chosen])
            for at, p in enumerate(found[: len(TINY)]):
                low, high = p.estimate.low - 1e-9, p.estimate.high + 1e-9
                hits[:, at] += low <= tiny <= high, low <= y[names == p.stratum].mean() <= high
        every.append(hits / repeats)
        print(f"\nyears of {TINY} records, share {tiny} beside {share}, {sensitivity=}, {specificity=}:")
        print(f"  the rate behind them {every[-1][0]}\n  their own share      {every[-1][1]}")
    alike, far = np.array(every[:-2]), np.array(every[-2:])
    for what, at in (("rate", 0), ("own share", 1)):
        print(
            f"{what}: like the others, average {alike[:, at].mean():.4f}, floor {alike[:, at].min():.4f}; "
            f"far from them, average {far[:, at].mean():.4f}, floor {far[:, at].min():.4f}"
        )
    assert alike.mean(axis=(0, 2)).min() > 0.94
    assert alike[:, :, 1:].min() > 0.9  # not years of one record
    assert alike.min() > 0.86
    assert far.min() > 0.79


@pytest.mark.parametrize(
    ("shares", "sizes", "audited"),
    [
        ((0.8, *[0.1] * 60), (900, *[2] * 60), (100, *[1] * 60)),  # half of the strata give one record each
        ((0.2, 0.5, 0.8), (700, 250, 50), (60, 60, 45)),
    ],
)
def test_coverage_of_samples_by_strata(
    shares: tuple[float, ...], sizes: tuple[int, ...], audited: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(12)
    strata = np.repeat([f"s{i}" for i in range(len(sizes))], sizes)
    weights = {f"s{i}": size / n for i, (size, n) in enumerate(zip(sizes, audited, strict=True))}
    hits = np.zeros(2)
    for _ in range(400):
        y = (rng.random(len(strata)) < np.repeat(shares, sizes)).astype(float)
        f = np.where(rng.random(len(y)) < 0.9, y, 1 - y)
        chosen = np.concatenate(
            [rng.choice(np.flatnonzero(strata == f"s{i}"), n, replace=False) for i, n in enumerate(audited)]
        )
        names = list(strata[chosen])
        rest = np.delete(f, chosen)
        for at, others in enumerate((rest, [])):
            found = ppi_weighted(y[chosen], f[chosen], names, [weights[s] for s in names], others)
            hits[at] += found.low <= y.mean() <= found.high
    print(f"\nsamples by strata: coverage {hits[0] / 400:.4f} with predictions, {hits[1] / 400:.4f} without")
    assert (hits / 400 > 0.93).all()


def test_coverage_of_small_samples_by_strata() -> None:
    """20 to 99 audited records of strata of 7,000, 2,500 and 500, and 5 of 45 in the big one: no fallback is needed."""
    rng = np.random.default_rng(15)
    repeats = 300
    points = [
        (p, se, sp, (7000, 2500, 500), audited)
        for p in (0.05, 0.2, 0.5, 0.8)
        for se, sp in ((0.7, 0.99), (0.95, 0.85))
        for audited in ((7, 7, 6), (20, 20, 10), (60, 25, 14))
    ]
    points.append((0.45, 0.9, 0.9, (900, *[2] * 40), (5, *[1] * 40)))
    found = {}
    for p, se, sp, sizes, audited in points:
        strata = np.repeat([f"s{i:02}" for i in range(len(sizes))], sizes)
        starts = np.cumsum((0, *sizes[:-1]))
        weights = np.repeat([size / n for size, n in zip(sizes, audited, strict=True)], audited)
        rows = []
        for _ in range(repeats):
            y = (rng.random(len(strata)) < p).astype(float)
            f = np.where(rng.random(len(y)) < np.where(y > 0, se, sp), y, 1 - y)
            drawn = [at + rng.permutation(size)[:n] for at, size, n in zip(starts, sizes, audited, strict=True)]
            chosen = np.concatenate(drawn)
            names, true = list(strata[chosen]), y.mean()
            row = []
            for others in (np.delete(f, chosen), []):
                e = ppi_weighted(y[chosen], f[chosen], names, weights, others)
                row += [e.low <= true <= e.high, e.value - true, (e.value - true) ** 2]
            rows.append(row)
        found[p, se, sp, audited[:3]] = np.mean(rows, axis=0)
    every = np.array(list(found.values()))
    for what, at in (("with predictions", 0), ("without", 3)):
        covered, bias = every[:, at], every[:, at + 1]
        error = np.sqrt(every[:, at + 2])
        print(
            f"\nsmall samples by strata, {what}: average {covered.mean():.4f}, floor {covered.min():.4f} at "
            f"{list(found)[int(covered.argmin())]}; largest bias {bias[np.abs(bias).argmax()]:+.4f} at "
            f"{list(found)[int(np.abs(bias).argmax())]}; root mean squared error {error.mean():.4f} on average"
        )
    print(f"5 of 45 in the big stratum, with and without: {np.round(every[-1], 4)}")
    assert every[:, 0].mean() > 0.95
    assert every[:, 0].min() > 0.91
    assert np.abs(every[:, 1]).max() < 0.05
    assert (every[:, 2] < every[:, 5] + 1e-4).all(), "predictions bring it nearer to the truth"


def test_weights_of_one_size_change_nothing() -> None:
    y, f, rest = sample(400, 10_000, 7)
    plain = ppi_share(y, f, rest)
    found = ppi_weighted(y, f, ["one"] * 400, [25.0] * 400, rest)
    assert found.value == pytest.approx(plain.value, abs=2e-3)
    assert found.high - found.low == pytest.approx(plain.high - plain.low, rel=0.05)
    with pytest.raises(StatisticsInputError, match="weights"):
        ppi_weighted(y, f, ["one"] * 400, [0.0] * 400, rest)
    with pytest.raises(StatisticsInputError, match="strata"):
        ppi_weighted(y, f, ["one"], [1.0] * 400, rest)


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

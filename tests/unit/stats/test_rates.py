"""Exact intervals of rates and their ratios against R, and what they promise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preventable.errors import StatisticsInputError
from preventable.stats.rates import poisson_interval, rate, rate_ratio, stratified_rate_ratio

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "stats.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("count", "low", "high"), GOLDEN["garwood"])
def test_garwood_equals_r(count: int, low: float, high: float) -> None:
    assert [float(v[0]) for v in poisson_interval([count])] == pytest.approx([low, high], abs=1e-9)


def test_published_android_figure_is_reproduced() -> None:
    """One potential vulnerability in 5 MLOC: 0.2 per MLOC, exact 95% 0.005 to 1.11 (Android 2025)."""
    estimate = rate(1, 5.0)
    assert (round(estimate.value, 3), round(estimate.low, 3), round(estimate.high, 2)) == (0.2, 0.005, 1.11)


@pytest.mark.parametrize("case", GOLDEN["rate_ratio"], ids=lambda c: str(c["arguments"]))
def test_rate_ratio_equals_r(case: dict[str, float]) -> None:
    ratio = rate_ratio(*case["arguments"])  # type: ignore[misc]  # four numbers
    assert ratio.value == (None if case["value"] is None else pytest.approx(case["value"]))
    assert ratio.high == (None if case["high"] is None else pytest.approx(case["high"], rel=1e-8))
    assert (ratio.low, ratio.p_value) == pytest.approx((case["low"], case["p_value"]), rel=1e-8)


def test_no_event_at_all_says_nothing() -> None:
    ratio = rate_ratio(0, 1.0, 0, 5.0)
    assert (ratio.value, ratio.low, ratio.high, ratio.p_value) == (None, 0.0, None, 1.0)


@given(st.integers(0, 30), st.integers(0, 30), st.floats(0.01, 100), st.floats(0.01, 100))
def test_one_stratum_is_the_plain_ratio(x: int, y: int, e_new: float, e_old: float) -> None:
    plain, strata = rate_ratio(x, e_new, y, e_old), stratified_rate_ratio([x], [e_new], [y], [e_old])
    assert strata.low == pytest.approx(plain.low, rel=1e-5, abs=1e-9)
    assert strata.high == (None if plain.high is None else pytest.approx(plain.high, rel=1e-5))


@given(st.integers(0, 40), st.integers(1, 400), st.floats(0.01, 10), st.floats(0.01, 10))
def test_swapping_sides_inverts_the_ratio(x: int, y: int, e_new: float, e_old: float) -> None:
    forth, back = rate_ratio(x, e_new, y, e_old), rate_ratio(y, e_old, x, e_new)
    assert forth.high == pytest.approx(1 / back.low, rel=1e-6)


def test_ages_that_only_one_side_has_are_left_out() -> None:
    ratio = stratified_rate_ratio([2, 1], [1.0, 1.0], [5, 900], [2.0, 0.0])
    assert (ratio.events_new, ratio.events_old, ratio.exposure_old) == (2, 5, 2.0)


def test_interval_covers() -> None:
    """2,000 pairs of Poisson counts: the exact interval misses in at most 5%."""
    rng = np.random.default_rng(7)
    missed = 0
    for _ in range(2000):
        ratio = rate_ratio(int(rng.poisson(0.3 * 4)), 4.0, int(rng.poisson(60)), 60.0)
        missed += not ratio.low <= 0.3 <= (ratio.high or np.inf)
    assert missed / 2000 <= 0.05


@pytest.mark.parametrize("arguments", [(-1, 1.0, 1, 1.0), (0.5, 1.0, 1, 1.0), (1, 0.0, 1, 1.0), (1, 1.0, 1, np.nan)])
def test_values_outside_the_domain_are_refused(arguments: tuple[float, ...]) -> None:
    with pytest.raises(StatisticsInputError):
        rate_ratio(*arguments)  # type: ignore[arg-type]  # that is the point

from __future__ import annotations

import pytest

from preventable.errors import StatisticsInputError
from preventable.records import Estimate, NotAvailable
from preventable.stats.agreement import cohens_kappa, kappa_range


def test_equal_readings_agree_completely() -> None:
    found = cohens_kappa(["a", "b", "a"], ["a", "b", "a"], resamples=50)
    assert isinstance(found.kappa, Estimate)
    assert (found.kappa.value, found.kappa.high) == (1.0, 1.0)
    assert found.kappa.low < 0.5
    assert isinstance(found.kappa_bootstrap, NotAvailable)
    assert found.table == ((2, 0), (0, 1))


@pytest.mark.parametrize("n", [2, 10, 400])
def test_few_records_that_agree_prove_little(n: int) -> None:
    """The least p_o by Clopper and Pearson at n of n is 0.025^(1/n); p_e is 1/2."""
    found = cohens_kappa(["a", "b"] * (n // 2), ["a", "b"] * (n // 2)).kappa
    assert isinstance(found, Estimate)
    assert found.low == pytest.approx(max((0.025 ** (1 / n) - 0.5) / 0.5, -1.0))


def test_readings_that_never_agree_have_an_interval_too() -> None:
    found = cohens_kappa(["a", "b"], ["b", "a"]).kappa
    assert isinstance(found, Estimate)
    assert (found.value, found.low) == (-1.0, -1.0)
    assert found.high > 0


def test_one_class_throughout_has_no_kappa() -> None:
    found = cohens_kappa(["a", "a"], ["a", "a"])
    assert isinstance(found.kappa, NotAvailable)
    assert isinstance(found.kappa_bootstrap, NotAvailable)
    assert found.observed == 1.0


def test_same_seed_same_interval() -> None:
    first, second = ["a", "b"] * 20, ["a", "b", "b", "b"] * 10
    assert cohens_kappa(first, second) == cohens_kappa(first, second)


def test_unequal_lengths_and_too_few_records_are_refused() -> None:
    with pytest.raises(StatisticsInputError, match="1 and 2 records"):
        cohens_kappa(["a"], ["a", "b"])
    with pytest.raises(StatisticsInputError, match="two records"):
        cohens_kappa(["a"], ["a"])
    with pytest.raises(StatisticsInputError, match="level"):
        cohens_kappa(["a", "b"], ["a", "b"], level=1.0)


def test_totals_alone_give_a_bracket() -> None:
    """curl 2021: 51 of 98 and 53 of 95 (Stenberg 2021); on 95 common records kappa may be nearly anything."""
    low, high = kappa_range(51, 53, 95)
    assert low < 0 < high < 1
    with pytest.raises(StatisticsInputError):
        kappa_range(96, 53, 95)
    with pytest.raises(StatisticsInputError):
        kappa_range(95, 95, 95)

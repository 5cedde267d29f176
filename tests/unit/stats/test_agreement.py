from __future__ import annotations

import pytest

from preventable.errors import StatisticsInputError
from preventable.records import Estimate, NotAvailable
from preventable.stats.agreement import cohens_kappa, kappa_range


def test_equal_readings_agree_completely() -> None:
    found = cohens_kappa(["a", "b", "a"], ["a", "b", "a"], resamples=50)
    assert isinstance(found.kappa, Estimate)
    assert (found.kappa.value, found.kappa.low, found.kappa.high) == (1.0, 1.0, 1.0)
    assert found.table == ((2, 0), (0, 1))


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

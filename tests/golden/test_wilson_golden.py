"""Wilson intervals against published ones and against the roots of the score equation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preventable.errors import StatisticsInputError
from preventable.stats.prevalence import unknown_bounds, wilson

Z = 1.959963984540054


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_newcombe_1998(count: int, total: int, low: float, high: float) -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3 (score, no correction)."""
    found = wilson(count, total)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert (found.numerator, found.denominator, found.method, found.level) == (count, total, "wilson", 0.95)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bounds_solve_the_score_equation(pair: tuple[int, int]) -> None:
    """|p - bound| = z sqrt(bound (1 - bound) / n), the definition, at both ends."""
    count, total = pair
    found = wilson(count, total)
    assert 0 <= found.low <= found.value <= found.high <= 1
    for bound in (found.low, found.high):
        assert abs(found.value - bound) == pytest.approx(Z * math.sqrt(bound * (1 - bound) / total), abs=1e-9)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_complement_mirrors_it(pair: tuple[int, int]) -> None:
    count, total = pair
    found, other = wilson(count, total), wilson(total - count, total)
    assert found.low == pytest.approx(1 - other.high, abs=1e-12)


def test_what_is_no_proportion() -> None:
    for count, total in ((0, 0), (-1, 3), (4, 3)):
        with pytest.raises(StatisticsInputError):
            wilson(count, total)
    with pytest.raises(StatisticsInputError):
        wilson(1, 2, level=1.0)
    with pytest.raises(StatisticsInputError):
        unknown_bounds(3, 3, 5)
    assert unknown_bounds(0, 5, 5) == (0.0, 1.0)

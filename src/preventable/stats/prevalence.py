"""A share from plain counts, with its interval and with the bounds that unknown records allow."""

from __future__ import annotations

import math
from statistics import NormalDist

from preventable.errors import StatisticsInputError
from preventable.records import Estimate


def wilson(count: int, total: int, *, level: float = 0.95) -> Estimate:
    """Wilson score interval of a proportion.

    centre = (p + z²/2n) / (1 + z²/n);  half width = z/(1 + z²/n) · sqrt(p(1-p)/n + z²/4n²)

    Args:
        count: successes, 0 <= count <= total.
        total: trials, >= 1.
        level: confidence level in (0, 1).
    Returns:
        Estimate: ``method`` "wilson"; at count 0 or total the bound is exactly 0 or 1.
    Raises:
        StatisticsInputError: total < 1, count outside 0..total, or level outside (0, 1).
    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953; golden numbers: tests/golden/test_wilson_golden.py.
    Example:
        >>> e = wilson(120, 240)
        >>> round(e.low, 4), round(e.high, 4)
        (0.4372, 0.5628)
    """
    if total < 1 or not 0 <= count <= total:
        raise StatisticsInputError(f"{count} of {total} is not a proportion")
    if not 0 < level < 1:
        raise StatisticsInputError(f"level {level} is not in (0, 1)")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p = count / total
    scale = 1 + z * z / total
    centre = (p + z * z / (2 * total)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    low = 0.0 if count == 0 else centre - half
    high = 1.0 if count == total else centre + half
    return Estimate(p, low, high, count, total, "wilson", level)


def unknown_bounds(count: int, unknown: int, total: int) -> tuple[float, float]:
    """The share if no unknown record counted, and if all of them did.

    Example:
        >>> unknown_bounds(30, 20, 100)
        (0.3, 0.5)
    """
    if total < 1 or count < 0 or unknown < 0 or count + unknown > total:
        raise StatisticsInputError(f"{count} + {unknown} unknown of {total} is not a proportion")
    return count / total, (count + unknown) / total

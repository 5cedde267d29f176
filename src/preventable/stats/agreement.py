"""Agreement of two readers who put the same records into classes."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

from preventable.errors import StatisticsInputError
from preventable.records import Estimate, NotAvailable

IntTable = npt.NDArray[np.int64]


class Agreement(msgspec.Struct, frozen=True):
    """Cohen's kappa twice (large sample, bootstrap) and the table it comes from.

    ``table[i][j]`` counts records that the first reader put into ``classes[i]``, the second into ``classes[j]``.
    """

    classes: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    observed: float
    """Share of records with the same class."""
    expected: float
    """That share if the readers chose apart from each other with their own frequencies."""
    kappa: Estimate | NotAvailable
    kappa_bootstrap: Estimate | NotAvailable


def cohens_kappa(
    first: Sequence[str],
    second: Sequence[str],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 20260401,
) -> Agreement:
    """Cohen's kappa of two readings, with its large-sample and its bootstrap interval.

    kappa = (p_o - p_e) / (1 - p_e)                                     Cohen 1960
    se by the delta method over the multinomial table                   Fleiss, Cohen, Everitt 1969

    Where all records agree, or none does, the standard error is of no use (it would give an interval of no width).
    The bounds then come from those of Clopper and Pearson for p_o, with p_e as it was seen:
    p_o >= (alpha / 2)^(1/n) where all agree. There the bootstrap is not available, for it has nothing to vary.

    The bootstrap draws records with replacement and takes percentiles; resamples in which kappa is undefined are
    left out. Readers of one family (two models, two people of one team) err together: kappa then overstates how well
    others would reproduce the labels.

    Args:
        first: class per record of the first reader, length n >= 2.
        second: class of the same records in the same order.
        level: confidence level in (0, 1).
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.
    Returns:
        Agreement: kappa is ``NotAvailable`` when both readers used one and the same class throughout.
    Raises:
        StatisticsInputError: lengths differ, fewer than two records, or level outside (0, 1).
    Source: doi:10.1177/001316446002000104, doi:10.1037/h0028106; golden numbers: tests/golden/test_agreement_golden.py.
    Example:
        >>> a = cohens_kappa(["x"] * 20 + ["y"] * 30, ["x"] * 15 + ["y"] * 35, resamples=200)
        >>> round(a.kappa.value, 3)
        0.783
    """
    if len(first) != len(second):
        raise StatisticsInputError(f"the readings have {len(first)} and {len(second)} records")
    if len(first) < 2:
        raise StatisticsInputError("agreement needs at least two records", hint="Read more records twice")
    classes = tuple(sorted({*first, *second}))
    position = {name: i for i, name in enumerate(classes)}
    table = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for a, b in zip(first, second, strict=True):
        table[position[a], position[b]] += 1
    return agreement_of_table(table, classes, level=level, resamples=resamples, seed=seed)


def agreement_of_table(
    table: IntTable,
    classes: Sequence[str],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 20260401,
) -> Agreement:
    """As ``cohens_kappa``, from the square table of counts, shape (k, k), first reader in the rows."""
    if not 0 < level < 1:
        raise StatisticsInputError(f"level {level} is not between 0 and 1", field="level")
    counts = np.asarray(table, dtype=np.int64)
    if counts.ndim != 2 or counts.shape != (len(classes), len(classes)) or counts.min() < 0:
        raise StatisticsInputError("the table must be square, one row per class, counts >= 0", field="table")
    n = int(counts.sum())
    if n < 2:
        raise StatisticsInputError("agreement needs at least two records", hint="Read more records twice")
    p = counts / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = float(np.trace(p)), float(rows @ columns)
    agreeing = float(np.trace(counts))
    kappa: Estimate | NotAvailable
    bootstrap: Estimate | NotAvailable
    if expected >= 1.0:
        kappa = bootstrap = NotAvailable("both readers used one and the same class: chance agreement is complete")
    else:
        value = (observed - expected) / (1 - expected)
        method = "Cohen's kappa, large-sample (Fleiss, Cohen, Everitt 1969)"
        if 0 < agreeing < n:
            half = NormalDist().inv_cdf(0.5 + level / 2) * _standard_error(p, value, n)
            low, high = value - half, value + half
        else:
            method = "Cohen's kappa, Clopper-Pearson bound of the agreement"
            bound = (0.5 - level / 2) ** (1 / n)
            low, high = ((o - expected) / (1 - expected) for o in ((bound, 1.0) if agreeing else (0.0, 1 - bound)))
        kappa = Estimate(value, max(low, -1.0), min(high, 1.0), agreeing, float(n), method, level)
        if agreeing == n:
            bootstrap = NotAvailable("no disagreement was seen")
        else:
            draws = np.random.default_rng(seed).multinomial(n, p.ravel(), size=resamples)
            values = _kappas(draws.reshape(resamples, *p.shape) / n)
            low, high = (float(q) for q in np.quantile(values, [0.5 - level / 2, 0.5 + level / 2]))
            bootstrap = Estimate(value, low, high, agreeing, float(n), "Cohen's kappa, bootstrap percentiles", level)
    return Agreement(
        tuple(classes),
        tuple(tuple(int(c) for c in row) for row in counts),
        observed,
        expected,
        kappa,
        bootstrap,
    )


def kappa_range(positive_first: int, positive_second: int, total: int) -> tuple[float, float]:
    """The least and the greatest kappa that two readers' totals alone allow (two classes, same records).

    With both marginals fixed, the count that both call positive lies between max(0, a + b - n) and min(a, b).
    For published pairs of totals without the table, such as curl's "C mistakes": 51 of 98 by the maintainer, 53 of
    95 by a second coder (Stenberg 2021): the records differ by three, so this gives a bracket, not a kappa.

    Raises:
        StatisticsInputError: a total outside 0..n, or n < 2.
    Example:
        >>> low, high = kappa_range(51, 53, 95)
        >>> round(low, 2), round(high, 2)
        (-0.83, 0.96)
    """
    a, b, n = positive_first, positive_second, total
    if n < 2 or not (0 <= a <= n and 0 <= b <= n):
        raise StatisticsInputError(f"totals {a} and {b} do not fit {n} records")
    expected = (a * b + (n - a) * (n - b)) / n**2
    if expected >= 1.0:
        raise StatisticsInputError("both readers used one and the same class: kappa is undefined")

    def kappa(both: int) -> float:
        return ((2 * both + n - a - b) / n - expected) / (1 - expected)

    return kappa(max(0, a + b - n)), kappa(min(a, b))


def _standard_error(p: npt.NDArray[np.float64], kappa: float, n: int) -> float:
    n_classes = len(p)
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    expected = float(rows @ columns)
    diagonal = np.diag(p)
    a = float(diagonal @ (1 - (rows + columns) * (1 - kappa)) ** 2)
    weights = (columns[:, None] + rows[None, :]) ** 2
    off = ~np.eye(n_classes, dtype=bool)
    b = (1 - kappa) ** 2 * float((p * weights)[off].sum())
    c = (kappa - expected * (1 - kappa)) ** 2
    return float(np.sqrt(max(a + b - c, 0.0) / n) / (1 - expected))


def _kappas(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    observed = np.trace(p, axis1=1, axis2=2)
    expected = np.einsum("bi,bi->b", p.sum(axis=2), p.sum(axis=1))
    defined = expected < 1.0
    values: npt.NDArray[np.float64] = (observed[defined] - expected[defined]) / (1 - expected[defined])
    return values

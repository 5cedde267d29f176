"""A share corrected for a labeller's known sensitivity and specificity, where none of these records was audited."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from preventable.errors import StatisticsInputError
from preventable.records import Estimate, NotAvailable

F64 = npt.NDArray[np.float64]


def rogan_gladen(
    flagged: int,
    total: int,
    true_positive: int,
    positive: int,
    true_negative: int,
    negative: int,
    *,
    level: float = 0.95,
) -> Estimate | NotAvailable:
    """Share of records that count, from labels of known quality.

    theta = (p + Sp - 1) / (Se + Sp - 1), p = flagged / total               Rogan and Gladen 1978
    with the interval of Lang and Reiczigel 2014, which carries the uncertainty of Se and Sp.

    Args:
        flagged: records that the labeller counts, of ``total``.
        total: records labelled, >= 1.
        true_positive: of ``positive`` records that do count, how many the labeller found (elsewhere).
        positive: >= 1.
        true_negative: of ``negative`` records that do not count, how many the labeller left alone.
        negative: >= 1.
        level: confidence level in (0, 1).
    Returns:
        Estimate: ``value`` kept in [0, 1]; ``NotAvailable`` when Se + Sp <= 1: such labels tell nothing.
    Raises:
        StatisticsInputError: counts that do not fit each other, or level outside (0, 1).
    Assumes: Se and Sp were measured on records like these; they rarely carry over between projects.
    Source: doi:10.1093/oxfordjournals.aje.a112510, doi:10.1016/j.prevetmed.2013.09.015.
    Example:
        >>> e = rogan_gladen(300, 1000, 90, 100, 285, 300)
        >>> round(e.value, 4)
        0.2941
    """
    for part, whole, name in (
        (flagged, total, "total"),
        (true_positive, positive, "positive"),
        (true_negative, negative, "negative"),
    ):
        if whole < 1 or not 0 <= part <= whole:
            raise StatisticsInputError(f"{part} of {whole} is not a proportion", field=name)
    if not 0 < level < 1:
        raise StatisticsInputError(f"level {level} is not in (0, 1)", field="level")
    sensitivity, specificity = true_positive / positive, true_negative / negative
    if sensitivity + specificity <= 1:
        return NotAvailable(
            f"sensitivity {sensitivity:.2f} and specificity {specificity:.2f} add up to 1 or less: labels tell nothing"
        )
    value = (flagged / total + specificity - 1) / (sensitivity + specificity - 1)
    low, high = lang_reiczigel(
        np.float64(flagged), total, np.float64(true_positive), positive, np.float64(true_negative), negative, level
    )
    inside = min(max(value, 0.0), 1.0)
    return Estimate(
        inside, min(float(low), inside), max(float(high), inside), flagged, total, "Rogan-Gladen, Lang-Reiczigel", level
    )


def lang_reiczigel(
    flagged: F64 | np.float64,
    total: int,
    true_positive: F64 | np.float64,
    positive: int,
    true_negative: F64 | np.float64,
    negative: int,
    level: float,
) -> tuple[F64, F64]:
    """Bounds of the Lang–Reiczigel interval; broadcasts over counts."""
    z = float(ndtri(0.5 + level / 2))
    n = total + z * z
    p = (flagged + z * z / 2) / n
    se, sp = (true_positive + 1) / (positive + 2), (true_negative + 1) / (negative + 2)
    gain = se + sp - 1
    theta = (p + sp - 1) / gain
    noise_se, noise_sp = se * (1 - se) / (positive + 2), sp * (1 - sp) / (negative + 2)
    shift = 2 * z * z * (theta * noise_se - (1 - theta) * noise_sp)
    half = z * np.sqrt(p * (1 - p) / n + theta**2 * noise_se + (1 - theta) ** 2 * noise_sp) / np.abs(gain)
    return np.clip(theta + shift - half, 0.0, 1.0), np.clip(theta + shift + half, 0.0, 1.0)

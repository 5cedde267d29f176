"""From evidence to weights: a log-linear score, and what it says about the date.

weight(c) = exp(s(c)) / sum over all candidates of exp(s),   s(c) = sum of coefficient * evidence

The coefficients were fitted once (ridge-penalised conditional likelihood of the true commit, all of them
bounded to have the sign that they should have) on 47 fixes of curl whose advisories name the introducing
commit: those with an even SHA-256 of the advisory's id. They are rounded; docs/origin.md has the figures on
the other half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from preventable.code.origin.corpus import Floats, Integers
from preventable.code.origin.evidence import COLUMNS

COEFFICIENTS: Mapping[str, float] = {
    "deleted_first": 1.7,
    "deleted_wrote": 0.4,
    "neighbour_first": 0.6,
    "resembles": 2.2,
    "resembles_first": 1.1,
    "same_function": 0.15,
    "fix_words": 3.3,
    "named_words": 1.1,
    "named_words_first": 1.2,
    "title_in_code": 1.5,
    "title_in_message": 2.6,
    "lines_in_files": 0.45,
    "refactoring": -0.5,
    "feature": 0.7,
    "novelty": 1.1,
    "new_words": 0.75,
}
IN_WINDOW = 8.5
"""For a commit that first came out in the release the advisory names: strong, but records can be wrong."""
BEFORE_WINDOW = 2.0
"""For a commit of an earlier release: a fault may sleep in code that a later release switched on."""
NAMED_BY_FIX = 16.0
"""For a commit that the fix's message blames (``Fixes:``, "regression from"); set, not fitted."""
NEGLIGIBLE = 1e-5
"""Candidates of less weight do not date anything: thousands of them together would pull at the mean."""
LEVEL = 0.90
"""Level of the interval of the introduction date."""

PHRASES: Mapping[str, str] = {
    "deleted_first": "first wrote {0:.0%} of the deleted lines (weighted by rarity)",
    "deleted_wrote": "last wrote {0:.0%} of the deleted lines",
    "neighbour_first": "first wrote {0:.0%} of the lines beside the change",
    "resembles": "added code like that of the change (cosine {0:.2f})",
    "resembles_first": "first to add code so like the change",
    "same_function": "changed the same function",
    "fix_words": "added {0:.0%} of the identifiers the fix deals with",
    "named_words": "added {0:.0%} of the names in the advisory",
    "named_words_first": "was the first to add {0:.0%} of the names in the advisory",
    "title_in_code": "has {0:.0%} of the words of the advisory's title in its code",
    "title_in_message": "has {0:.0%} of the words of the advisory's title in its message or paths",
    "lines_in_files": "added much to the fixed files",
    "feature": "speaks of adding something",
    "novelty": "added new lines, not moved ones ({0:.0%})",
    "new_words": "brought new identifiers",
}
WORTH_SAYING = 0.25
"""Smallest contribution to a score that is given as a reason."""


class Scores(NamedTuple):
    """Candidates of one fix and their weights, which sum to 1."""

    candidates: Integers
    evidence: Floats
    weights: npt.NDArray[np.float64]
    in_window: npt.NDArray[np.bool_]
    named: npt.NDArray[np.bool_]


def score(
    candidates: Integers,
    evidence: Floats,
    *,
    named: Sequence[int] = (),
    release_of: Integers | None = None,
    window: int | None = None,
) -> Scores:
    """Weigh the candidates of one fix.

    Args:
        candidates: shape (k,), indices of commits, k > 0.
        evidence: shape (k, len(COLUMNS)).
        named: commits that the fix's message blames.
        release_of: shape (k,), number of the first release that has each candidate.
        window: the release that the advisory names as the first with the fault; None when unknown or ignored.
    """
    coefficients = np.array([COEFFICIENTS[name] for name in COLUMNS])
    points = evidence.astype(np.float64) @ coefficients
    blamed = np.isin(candidates, np.array(named, dtype=np.int64))
    points += NAMED_BY_FIX * blamed
    inside = np.zeros(len(candidates), bool)
    if window is not None and release_of is not None:
        inside = release_of == window
        points += IN_WINDOW * inside + BEFORE_WINDOW * (release_of < window)
    weights = np.exp(points - points.max())
    return Scores(candidates, evidence, weights / weights.sum(), inside, blamed)


def ranked(scores: Scores, most: int) -> npt.NDArray[np.int64]:
    """Positions of the heaviest candidates, heaviest first; of equals the older commit."""
    most = min(most, len(scores.candidates))
    part = np.argpartition(-scores.weights, most - 1)[:most] if most else np.zeros(0, np.int64)
    return part[np.lexsort((scores.candidates[part], -scores.weights[part]))].astype(np.int64)


def reason(scores: Scores, position: int, release: str | None) -> str:
    """Why a candidate has its weight, the weightiest first."""
    said = []
    if scores.named[position]:
        said.append("named by the message of the fix")
    if scores.in_window[position] and release:
        said.append(f"came in with release {release}, the first affected")
    given = scores.evidence[position]
    points = {name: COEFFICIENTS[name] * float(given[i]) for i, name in enumerate(COLUMNS)}
    for name in sorted(points, key=lambda n: -points[n])[:4]:
        if points[name] >= WORTH_SAYING and name in PHRASES:
            said.append(PHRASES[name].format(float(given[COLUMNS.index(name)])))
    return "; ".join(said) or "no evidence beyond its place in the history"


def introduction(
    weights: npt.NDArray[np.float64], seconds: npt.NDArray[np.float64], level: float = LEVEL
) -> tuple[float, float, float]:
    """The weighted mean of the candidates' dates and an equal-tailed interval.

    Args:
        weights: shape (k,), sum to 1.
        seconds: shape (k,), Unix time of each candidate; NaN where unknown.
    Returns:
        mean, low, high: Unix time; NaN when no candidate has a date.
    Example:
        >>> introduction(np.array([0.5, 0.5]), np.array([0.0, 10.0]))
        (5.0, 0.0, 10.0)
    """
    known = ~np.isnan(seconds) & (weights > NEGLIGIBLE)
    weights, seconds = weights[known], seconds[known]
    if not weights.sum() > 0:
        return (np.nan, np.nan, np.nan)
    weights = weights / weights.sum()
    order = np.argsort(seconds, kind="stable")
    mass = np.cumsum(weights[order])
    ends = [(1 - level) / 2, (1 + level) / 2]
    low, high = (float(seconds[order[min(int(np.searchsorted(mass, end)), len(order) - 1)]]) for end in ends)
    mean = float(weights @ seconds)
    return (mean, min(low, mean), max(high, mean))

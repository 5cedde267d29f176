"""What each intervention would have done to the records: never one percentage, always the states."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import polars as pl

from preventable.studies.population import ALL, Period, Population, period_column
from preventable.taxonomy.loader import STATES, UNKNOWN, Cell, Intervention, Taxonomy

NOT_AVAILABLE = "not_available"
"""State of records whose class has no sourced cell."""
_DRAWS = 4000
_SEED = 20260401


class PreventedRow(msgspec.Struct, frozen=True):
    """Records of one class (or all) that an intervention puts into one state.

    ``count`` is records x the cell's share; ``low``/``high`` carries the uncertainty of a study's counts
    (equal to ``count`` where the source states a rule and no counts). ``weakness`` ``all`` sums the classes.
    """

    intervention: str
    weakness: str
    period: str
    state: str
    records: int
    count: float
    low: float
    high: float
    share: float
    detection_probability: float | None
    source: str


def prevented(
    population: Population,
    taxonomy: Taxonomy,
    *,
    interventions: Iterable[str] | None = None,
    period: Period = "all",
    level: float = 0.95,
) -> list[PreventedRow]:
    """Distribution over the states per intervention, class and period.

    count(state) = Σ over classes of records(class) x share(class, state). Where a study gives counts k over the states,
    the shares have a Dirichlet(k + 1/2) posterior (Jeffreys); intervals of sums come from 4,000 seeded draws of it. The
    number of records is taken as it is: the question is about these records.

    Args:
        population: the records; those whose feed calls them informational are left out.
        taxonomy: classes and interventions.
        interventions: ids; all when not given.
        period: length of a period; pooled rows have ``period`` = ``all``.
    """
    chosen = [taxonomy.interventions[i] for i in (interventions or taxonomy.interventions)]
    records = population.records.filter(pl.col("informational").is_null())
    dated = records.select("weakness", period_column(period))
    groups: dict[str, dict[str, int]] = {ALL: _class_counts(dated)}
    if period != "all":
        for (name,), frame in dated.sort("period").group_by("period", maintain_order=True):
            groups[str(name)] = _class_counts(frame)
    rows: list[PreventedRow] = []
    for intervention in chosen:
        draws = {w: _draws(intervention.cell(w), i) for i, w in enumerate(taxonomy.classes)}
        for name, counts in groups.items():
            rows += _rows(intervention, name, counts, draws, level)
    return rows


def _class_counts(frame: pl.DataFrame) -> dict[str, int]:
    counts = frame.group_by("weakness").len().sort("weakness")
    return dict(zip(counts["weakness"].to_list(), counts["len"].to_list(), strict=True))


def _draws(cell: Cell, stream: int) -> np.ndarray | None:
    """Draws of the cell's shares, shape (draws, states); ``None`` where the source states no counts."""
    if cell.counts is None:
        return None
    rng = np.random.default_rng([_SEED, stream])
    alive = [s for s in STATES if s in cell.counts]
    out = np.zeros((_DRAWS, len(STATES)))
    drawn = rng.dirichlet([cell.counts[s] + 0.5 for s in alive], size=_DRAWS)
    for j, state in enumerate(alive):
        out[:, STATES.index(state)] = drawn[:, j]
    return out


def _rows(
    intervention: Intervention,
    period: str,
    counts: dict[str, int],
    draws: dict[str, np.ndarray | None],
    level: float,
) -> list[PreventedRow]:
    total = sum(counts.values())
    if total == 0:
        return []
    tail = (1 - level) / 2
    rows: list[PreventedRow] = []
    pooled_mean = np.zeros(len(STATES))
    pooled_draws = np.zeros((_DRAWS, len(STATES)))
    unavailable = unknown = 0
    for weakness, n in counts.items():
        if weakness == UNKNOWN:
            unknown += n
            continue
        cell = intervention.cell(weakness)
        if not cell.states:
            unavailable += n
            rows.append(
                PreventedRow(intervention.id, weakness, period, NOT_AVAILABLE, n, n, n, n, 1.0, None, cell.unavailable)
            )
            continue
        mean = np.array([cell.states.get(s, 0.0) for s in STATES]) * n
        drawn = draws[weakness]
        sampled = drawn * n if drawn is not None else np.broadcast_to(mean, (_DRAWS, len(STATES)))
        pooled_mean += mean
        pooled_draws += sampled
        low, high = np.quantile(sampled, [tail, 1 - tail], axis=0)
        for j, state in enumerate(STATES):
            if state in cell.states:
                rows.append(
                    PreventedRow(
                        intervention.id,
                        weakness,
                        period,
                        state,
                        n,
                        float(mean[j]),
                        float(min(low[j], mean[j])),
                        float(max(high[j], mean[j])),
                        float(mean[j]) / n,
                        cell.detection_probability if state == "detected" else None,
                        cell.source,
                    )
                )
    low, high = np.quantile(pooled_draws, [tail, 1 - tail], axis=0)
    for j, state in enumerate(STATES):
        rows.append(
            PreventedRow(
                intervention.id,
                ALL,
                period,
                state,
                total,
                float(pooled_mean[j]),
                float(min(low[j], pooled_mean[j])),
                float(max(high[j], pooled_mean[j])),
                float(pooled_mean[j]) / total,
                None,
                "sum over the classes",
            )
        )
    for rest, n, why in (
        (NOT_AVAILABLE, unavailable, "classes without a sourced cell"),
        (UNKNOWN, unknown, "records whose class is unknown"),
    ):
        rows.append(PreventedRow(intervention.id, ALL, period, rest, total, n, n, n, n / total, None, why))
    return rows

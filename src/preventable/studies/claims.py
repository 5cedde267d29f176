"""Claims: statements about a rate ratio, written down before the data, tested so that one may look every day.

A claim is frozen by the digest of everything that decides its verdict. Only faults fixed in mainline after
its opening count; what lies before is described and gets no verdict. Each look admits the events that became
known since the last one and leaves the admitted ones alone: the e-value of the ledger is that of the data
as they came, and records that are rejected later are taken out in a second e-value, which must agree.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal

import msgspec
import numpy as np

from preventable.errors import CaseError
from preventable.stats.sequential import (
    NODES,
    SPAN,
    Batches,
    batches,
    confidence_sequence,
    e_bh,
    e_process,
    needed_without_new_events,
)
from preventable.studies.compare import Sides
from preventable.studies.events import Event, clusters, counted, side_of
from preventable.studies.exposure import Exposure, Population
from preventable.taxonomy.loader import Methodology

Verdict = Literal["open", "supported", "refuted", "withdrawn", "not opened"]
MEASURE = "vulnerabilities per line-year"


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One claim of ``[[claims]]``: the new side's rate is at most ``at_most`` times the old side's."""

    id: str
    statement: str
    at_most: float
    """The claimed bound on the rate ratio; the null is that the ratio is at least this."""
    opened: date
    methodology: str = "strict"
    """Id of a methodology, or ``all``."""
    population: tuple[str, ...] = ()
    """Components (path prefixes); empty for everything."""
    measure: str = MEASURE
    new: str = "Rust"
    old: str = "C"
    headers: Literal["old", "new", "neither"] = "old"
    alpha: float = 0.05
    """Chance of supporting a claim that is false, over all looks."""
    alpha_refuted: float = 0.05
    """Chance of refuting a claim that is true, over all looks."""
    cluster: float = 3.0
    """The largest unseen cluster that the robust e-value allows for."""
    primary: bool = False
    """Judged alone at alpha; all others of the case are a family judged together by e-BH."""
    decided_by: str = ""
    """A date or a name of who opened it, if that matters."""

    def check(self, methodologies: Mapping[str, Methodology], file: str) -> None:
        """Raise CaseError for a value that no test could use, naming the field."""
        if not (math.isfinite(self.at_most) and self.at_most > 0):
            raise CaseError("a bound must be positive", file=file, record=self.id, field="at_most")
        for field in ("alpha", "alpha_refuted"):
            if not 0 < getattr(self, field) < 1:
                raise CaseError("an error rate lies between 0 and 1", file=file, record=self.id, field=field)
        if self.cluster < 1:
            raise CaseError("a cluster has at least one event", file=file, record=self.id, field="cluster")
        if self.measure != MEASURE:
            raise CaseError(
                f"unknown measure {self.measure!r}", file=file, record=self.id, field="measure",
                hint=f"Known: {MEASURE}",
            )  # fmt: skip
        if self.methodology != "all" and self.methodology not in methodologies:
            raise CaseError(
                f"unknown methodology {self.methodology!r}", file=file, record=self.id, field="methodology",
                hint=f"Known: all, {', '.join(methodologies)}",
            )  # fmt: skip

    def digest(self) -> str:
        """``sha256:`` of every field and of the prior of the test: what is frozen at the opening."""
        frozen = {"claim": msgspec.to_builtins(self), "prior": ["log-uniform", SPAN, NODES], "method": 1}
        return "sha256:" + hashlib.sha256(msgspec.json.encode(frozen, order="deterministic")).hexdigest()


def definition_digest(claim: Claim, methodologies: Mapping[str, Methodology]) -> str:
    """``sha256:`` of the methodology that a claim names, as it is defined now."""
    definition = msgspec.to_builtins(methodologies[claim.methodology]) if claim.methodology != "all" else "all"
    return "sha256:" + hashlib.sha256(msgspec.json.encode(definition, order="deterministic")).hexdigest()


class Batch(msgspec.Struct, frozen=True):
    """Admitted events of one day of fixes, with the exposures known before it."""

    fixed: date
    new: int
    old: int
    ratio: float
    """e_new / e_old, the last step's shrinking applied: for the claim."""
    ratio_refuted: float
    """The same with the last step's growth applied: for the opposite."""


class Evidence(msgspec.Struct, frozen=True):
    """Numbers of one look."""

    events_new: int
    events_old: int
    exposure_new: float
    exposure_old: float
    e_value: float
    e_value_robust: float
    e_value_against: float
    e_value_against_robust: float
    low: float
    high: float | None


class Sighting(msgspec.Struct, frozen=True):
    """One counted event: what the ledger remembers of it."""

    id: str
    side: Literal["new", "old"]
    fixed: date
    records: tuple[str, ...]
    """Ids of all records of the cluster."""


class Row(msgspec.Struct, frozen=True):
    """One line of the answer. ``descriptive`` rows speak of what lies before the opening: no verdict."""

    claim: str
    events_new: int
    events_old: int
    exposure_new: float
    exposure_old: float
    e_value: float
    low: float
    high: float | None
    verdict: Verdict | None
    descriptive: bool = False
    e_value_robust: float | None = None
    e_value_against: float | None = None
    at_most: float | None = None
    primary: bool = False
    status: Literal["experimental", "permanent"] | None = None
    since: date | None = None
    until: date | None = None
    reason: str = ""


def sides_of(claim: Claim) -> Sides:
    """The sides that a claim speaks of."""
    return Sides(claim.new, claim.old, claim.headers)


def sightings(
    claim: Claim,
    events: Sequence[Event],
    methodologies: Mapping[str, Methodology],
    *,
    after: date,
    until: date,
) -> list[Sighting]:
    """Events that count for a claim, fixed in (after, until], clusters merged, in order of their fix.

    A fix that touches both languages counts on the new side: the side that the claim speaks well of.
    """
    sides = sides_of(claim)
    new, old = sides.languages("new"), sides.languages("old")
    methodology = None if claim.methodology == "all" else methodologies[claim.methodology]
    chosen = [
        e
        for e in events
        if after < e.fixed <= until
        and counted(e, methodology)
        and side_of(e, new, old) is not None
        and (not claim.population or any(_in(c, claim.population) for c in e.components))
    ]
    return [
        Sighting(
            id=members[0].id,
            side="old" if side_of(members[0], new, old) == "old" else "new",
            fixed=members[0].fixed,
            records=tuple(e.id for e in members),
        )
        for members in clusters(chosen, lambda e: side_of(e, new, old))
    ]


def batch(claim: Claim, seen: Sequence[Sighting], exposure: Exposure) -> tuple[list[Batch], int]:
    """Sightings by day of fix, with the ratio of exposures of the last snapshot strictly before that day.

    Between snapshots the true ratio drifts. For the claim the last step's shrinking is applied once more, for
    the opposite its growth, both known beforehand, so that drift at the last step's pace favours neither.

    Returns:
        The batches, and how many events came before the new side had any line (they say nothing).
    """
    sides = sides_of(claim)
    new = exposure.series(Population(sides.languages("new"), claim.population))
    old = exposure.series(Population(sides.languages("old"), claim.population))
    days: dict[date, list[int]] = {}
    for sighting in seen:
        days.setdefault(sighting.fixed, [0, 0])[sighting.side == "old"] += 1
    made, silent = [], 0
    for fixed in sorted(days):
        x, y = days[fixed]
        known = [d for d in exposure.dates if d < fixed and new[d] and old[d]]
        if not known:
            silent += x + y
            continue
        ratios = [float(new[d] or 0) / float(old[d] or 1) for d in known[-2:]]
        step = ratios[-1] / ratios[0]
        made.append(Batch(fixed, x, y, ratios[-1] * min(step, 1.0), ratios[-1] * max(step, 1.0)))
    return made, silent


def evaluate(claim: Claim, looks: Sequence[Sequence[Batch]], exposure_new: float, exposure_old: float) -> Evidence:
    """E-values and confidence sequence after the last look.

    Args:
        claim: the claim.
        looks: batches admitted at each look, oldest first. The order of events inside a look is irrelevant.
        exposure_new, exposure_old: million line-years, for the record.
    Example:
        >>> claim = Claim("c", "Rust has at most half of C's rate", 0.5, date(2026, 11, 24))
        >>> look = [Batch(date(2027, 2, 1), 0, 900, 0.01, 0.01)]
        >>> evidence = evaluate(claim, [look], 0.1, 10.0)
        >>> round(evidence.e_value, 1), evidence.events_old
        (49.6, 900)
    """
    flat = [b for look in looks for b in look]
    if not flat:
        return Evidence(0, 0, exposure_new, exposure_old, 1.0, 1.0, 1.0, 1.0, 0.0, None)
    data = _compressed([(b.new, b.old, b.ratio) for b in flat])
    against = _compressed([(b.new, b.old, b.ratio_refuted) for b in flat])
    supports = e_process(data, claim.at_most, cluster=claim.cluster)
    refutes = e_process(against, claim.at_most, cluster=claim.cluster)
    low, high = confidence_sequence(data, claim.alpha, looks=[data.new.size - 1])
    return Evidence(
        events_new=sum(b.new for b in flat),
        events_old=sum(b.old for b in flat),
        exposure_new=exposure_new,
        exposure_old=exposure_old,
        e_value=_exp(supports.log_supports[-1]),
        e_value_robust=_exp(supports.log_supports_robust[-1]),
        e_value_against=_exp(refutes.log_refutes[-1]),
        e_value_against_robust=_exp(refutes.log_refutes_robust[-1]),
        low=float(low[0]),
        high=float(high[0]) if math.isfinite(high[0]) else None,
    )


def judge(
    claims: Mapping[str, Claim],
    best: Mapping[str, tuple[float, float]],
    decided: Mapping[str, Verdict],
) -> dict[str, Verdict]:
    """Verdicts of all claims of a case together.

    A primary claim is judged alone at its alpha; the others are one family judged by e-BH at the smallest of
    their alphas. What was decided before stays decided: an anytime-valid rejection holds from then on.

    Args:
        claims: by id.
        best: id -> (e-value for, e-value against), each the smallest of plain, robust and cleaned.
        decided: earlier verdicts that are not ``open``.
    """
    verdicts: dict[str, Verdict] = {}
    family = [c for c in claims.values() if not c.primary]
    for index, word in ((0, "supported"), (1, "refuted")):
        rejected = set()
        for claim in claims.values():
            alpha = claim.alpha if index == 0 else claim.alpha_refuted
            if claim.primary and best[claim.id][index] >= 1 / alpha:
                rejected.add(claim.id)
        if family:
            alpha = min(c.alpha if index == 0 else c.alpha_refuted for c in family)
            hits = e_bh([best[c.id][index] for c in family], alpha)
            rejected |= {c.id for c, hit in zip(family, hits, strict=True) if hit}
        for name in rejected:
            verdicts.setdefault(name, word)  # type: ignore[arg-type]  # one of the two words above
    return {i: decided.get(i) or verdicts.get(i, "open") for i in claims}


class Forecast(msgspec.Struct, frozen=True):
    """What a claim would need if the new side had no event, from what was known when it was opened."""

    events_old: int
    exposure_new: float
    exposure_old: float
    years: float
    """At the size that the new side had in the last snapshot."""


def needed(
    claim: Claim, events: Sequence[Event], exposure: Exposure, methodologies: Mapping[str, Methodology],
    *, start: date, end: date, family: int = 1,
) -> Forecast | str:  # fmt: skip
    """Exposure that would support the claim with no event on the new side, or why that cannot be said.

    A claim of a family of m needs an e-value of m/alpha to be the first that e-BH supports.
    """
    sides = sides_of(claim)
    new = Population(sides.languages("new"), claim.population)
    old = Population(sides.languages("old"), claim.population)
    seen = sightings(claim, events, methodologies, after=start, until=end)
    exposure_old = exposure.mloc_years(old, start, end)
    count = sum(s.side == "old" for s in seen)
    last = exposure.dates[-1]
    lines_new, lines_old = exposure.series(new)[last], exposure.series(old)[last]
    if not lines_new or not lines_old:
        return "one side has no line in the last snapshot"
    if not count or exposure_old <= 0:
        return "the old side had no event before the opening"
    answer = needed_without_new_events(
        claim.at_most, count / exposure_old, lines_new / lines_old, claim.alpha / max(family, 1), claim.cluster
    )
    return Forecast(
        events_old=answer.events_old,
        exposure_new=answer.exposure_new,
        exposure_old=answer.exposure_old,
        years=answer.exposure_new / (lines_new / 1e6),
    )


def describe(
    claim: Claim, events: Sequence[Event], exposure: Exposure, methodologies: Mapping[str, Methodology],
    *, start: date, end: date,
) -> Row:  # fmt: skip
    """The same figures for the time before the opening: description, never a verdict."""
    seen = sightings(claim, events, methodologies, after=start, until=end)
    made, silent = batch(claim, seen, exposure)
    sides = sides_of(claim)
    evidence = evaluate(
        claim,
        [made],
        exposure.mloc_years(Population(sides.languages("new"), claim.population), start, end),
        exposure.mloc_years(Population(sides.languages("old"), claim.population), start, end),
    )
    said = f"{silent} events came before the new side had any line" if silent else ""
    return row(claim, evidence, None, descriptive=True, since=start, until=end, reason=said)


def row(
    claim: Claim, evidence: Evidence, verdict: Verdict | None, *, descriptive: bool = False,
    since: date | None = None, until: date | None = None, reason: str = "",
) -> Row:  # fmt: skip
    """One line of the answer from the numbers of a look."""
    return Row(
        claim=claim.id, events_new=evidence.events_new, events_old=evidence.events_old,
        exposure_new=evidence.exposure_new, exposure_old=evidence.exposure_old, e_value=evidence.e_value,
        low=evidence.low, high=evidence.high, verdict=verdict, descriptive=descriptive,
        e_value_robust=evidence.e_value_robust, e_value_against=evidence.e_value_against,
        at_most=claim.at_most, primary=claim.primary,
        status=None if descriptive else "permanent" if verdict == "supported" else "experimental",
        since=since, until=until, reason=reason,
    )  # fmt: skip


def _compressed(rows: Sequence[tuple[int, int, float]]) -> Batches:
    """Only the last look's value is asked for, so that events at equal ratios can be added up."""
    ratios = np.asarray([r[2] for r in rows])
    values, inverse = np.unique(ratios, return_inverse=True)
    new = np.bincount(inverse, [r[0] for r in rows])
    old = np.bincount(inverse, [r[1] for r in rows])
    return batches(new, old, values)


def _exp(value: float) -> float:
    """JSON has no infinity: an e-value beyond 1e300 is 1e300."""
    return float(math.exp(min(float(value), 690.0)))


def _in(component: str, wanted: Sequence[str]) -> bool:
    return any(component == w or component.startswith(w + "/") for w in wanted)

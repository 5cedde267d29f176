"""One look at all claims of a case: what is admitted, what follows, how it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Literal

import msgspec

from preventable.studies import claims as study
from preventable.studies.claims import Claim, Evidence, Row, Verdict
from preventable.studies.exposure import Exposure, Population
from preventable.studies.ledger import Line, Look, looks_of, opened_claims, withdrawn_claims
from preventable.studies.setting import Inputs

SIDES: tuple[Literal["new", "old"], ...] = ("new", "old")


class Point(msgspec.Struct, frozen=True):
    """One look in the history of a claim, for drawing."""

    claim: str
    data_date: str
    e_value: float
    e_value_robust: float
    e_value_against: float
    low: float
    high: float | None
    verdict: str


class Answer(msgspec.Struct, frozen=True):
    """Rows to print, and the bodies of the lines to append."""

    sentences: tuple[str, ...]
    rows: tuple[Row, ...]
    looks: Mapping[str, Look]
    history: tuple[Point, ...]


def look_at_all(claims: Mapping[str, Claim], lines: Sequence[Line], inputs: Inputs) -> Answer:
    """Admit new events for every claim, evaluate, judge together.

    Args:
        claims: by id, frozen ones as the ledger has them; those that it does not have are described and not tested.
        lines: the ledger before this look.
        inputs: events, exposure and the end of the settled window.
    """
    exposure = inputs.lines()
    gone = withdrawn_claims(lines)
    opened = opened_claims(lines)
    active = {i: c for i, c in claims.items() if i in opened and i not in gone}
    names = {a.id: frozenset((a.id, *a.aliases)) for a in inputs.advisories}
    known = {name for a in inputs.advisories if a.withdrawn is None for name in names[a.id]}
    data = data_digests([(r.location, r.digest) for r in inputs.reports])
    made: dict[str, Look] = {}
    best: dict[str, tuple[float, float]] = {}
    decided: dict[str, Verdict] = {}
    for name, claim in active.items():
        past = looks_of(lines, name)
        for look in past:
            if look.verdict in ("supported", "refuted"):
                decided.setdefault(name, look.verdict)  # type: ignore[arg-type]  # one of the two words above
        look, strength = _look(claim, past, inputs, exposure, names=names, known=known, data=data)
        made[name] = look
        best[name] = strength
    verdicts = study.judge(active, best, decided) if active else {}
    rows: list[Row] = []
    for name, claim in claims.items():
        if name in gone:
            rows.append(_untested(name, "withdrawn", gone[name]))
            continue
        description = study.describe(
            claim, inputs.events.events, exposure, inputs.methodologies,
            start=inputs.start, end=min(inputs.end, claim.opened),
        )  # fmt: skip
        if name not in opened:
            why = "the ledger does not have it: nothing is tested or recorded"
            rows += [_untested(name, "not opened", why), description]
            continue
        made[name] = msgspec.structs.replace(made[name], verdict=verdicts[name])
        evidence = made[name].evidence
        end = max(inputs.end, claim.opened)
        reason = "" if evidence.events_new + evidence.events_old else "no fix after the opening is settled yet"
        for side in SIDES:
            population = Population(study.sides_of(claim).languages(side), claim.population)
            if not exposure.series(population)[exposure.dates[-1]]:
                where = ", ".join(claim.population) or "all components"
                reason = f"the exposure facts have no line of {getattr(claim, side)} in {where}"
        rows.append(study.row(claim, evidence, verdicts[name], since=claim.opened, until=end, reason=reason))
        rows.append(description)
    history = [
        Point(i, look.data_date, look.evidence.e_value, look.evidence.e_value_robust,
              look.evidence.e_value_against, look.evidence.low, look.evidence.high, look.verdict)
        for i in made
        for look in (*looks_of(lines, i), made[i])
    ]  # fmt: skip
    return Answer(_sentences(claims, rows), tuple(rows), made, tuple(history))


def data_digests(read: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Name -> digest of what was read: the last part of the location, and more of it where two would be one.

    Example:
        >>> data_digests([("a/cve/published", "1"), ("b/cve/published", "2"), ("releases.json", "3")])
        {'a/cve/published': '1', 'b/cve/published': '2', 'releases.json': '3'}
    """
    read = list(dict.fromkeys(read))
    parts = [Path(location).parts for location, _ in read]
    length = [1] * len(read)
    while True:
        names = [PurePath(*own[-many:]).as_posix() for own, many in zip(parts, length, strict=True)]
        longer = [i for i, own in enumerate(parts) if names.count(names[i]) > 1 and length[i] < len(own)]
        if not longer:
            break
        for i in longer:
            length[i] += 1
    found: dict[str, str] = {}
    for name, (_, digest) in zip(names, read, strict=True):
        again = 1 + sum(known == name or known.startswith(f"{name} (") for known in found)
        found[name if again == 1 else f"{name} ({again})"] = digest
    return found


def _untested(name: str, verdict: Verdict, reason: str) -> Row:
    return Row(
        claim=name, events_new=0, events_old=0, exposure_new=0.0, exposure_old=0.0, e_value=1.0, low=0.0, high=None,
        verdict=verdict, reason=reason,
    )  # fmt: skip


def _look(
    claim: Claim, past: Sequence[Look], inputs: Inputs, exposure: Exposure, *, names: Mapping[str, frozenset[str]],
    known: set[str], data: Mapping[str, str],
) -> tuple[Look, tuple[float, float]]:  # fmt: skip
    admitted_before = {i for look in past for s in look.admitted for i in s.records}
    seen = study.sightings(claim, inputs.events.events, inputs.methodologies, after=claim.opened, until=inputs.end)
    # What was admitted under one name may come under another when a feed is added: an alias tells.
    fresh = [s for s in seen if not any(admitted_before & names[i] for i in s.records)]
    made, silent = study.batch(claim, fresh, exposure)
    if silent:
        days = {b.fixed for b in made}
        fresh = [s for s in fresh if s.fixed in days]
    everything = [s for look in past for s in look.admitted] + fresh
    rejected = tuple(sorted(i for s in everything for i in s.records if i not in known))
    sides = study.sides_of(claim)
    end = max(inputs.end, claim.opened)
    sizes = [
        exposure.mloc_years(Population(sides.languages(side), claim.population), claim.opened, end) for side in SIDES
    ]
    evidence = study.evaluate(claim, [*(look.batches for look in past), made], sizes[0], sizes[1])
    cleaned: Evidence | None = None
    if rejected:
        left = [s for s in everything if any(i in known for i in s.records)]
        cleaned = study.evaluate(claim, [study.batch(claim, left, exposure)[0]], sizes[0], sizes[1])
    look = Look(
        claim_digest=claim.digest(),
        data=dict(data),
        data_date=str(inputs.data_date),
        cut_off=str(inputs.end),
        admitted=tuple(fresh),
        batches=tuple(made),
        rejected=rejected,
        evidence=evidence,
        cleaned=cleaned,
        verdict="open",
    )
    readings = [evidence] if cleaned is None else [evidence, cleaned]
    return look, (
        min(min(e.e_value, e.e_value_robust) for e in readings),
        min(min(e.e_value_against, e.e_value_against_robust) for e in readings),
    )


def _sentences(claims: Mapping[str, Claim], rows: Sequence[Row]) -> tuple[str, ...]:
    said = []
    for row in rows:
        if row.descriptive:
            continue
        claim = claims[row.claim]
        what = f"“{claim.statement}”"
        if row.verdict == "withdrawn":
            said.append(f"{what} was withdrawn: {row.reason}.")
        elif row.verdict == "not opened":
            said.append(f"{what} is not opened: {row.reason}.")
        elif row.verdict == "open":
            said.append(
                f"{what} is open: {row.events_new} and {row.events_old:,} events since {claim.opened} give "
                f"an e-value of {row.e_value:.3g} of the {1 / claim.alpha:.0f} needed at least."
            )
        else:
            said.append(
                f"{what} is {row.verdict}: e-value {row.e_value:.3g} for it and "
                f"{row.e_value_against or 1:.3g} against it."
            )
    return tuple(said)

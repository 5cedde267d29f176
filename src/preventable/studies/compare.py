"""Does the newcomer hold up? Vulnerabilities per million line-years by language, and their ratio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

from preventable.errors import FormatError
from preventable.plain_text import two_digits
from preventable.readers.exposure import ExposureRow, read_exposure
from preventable.records import Label, NotAvailable
from preventable.stats.rates import RateRatio, rate, rate_ratio, stratified_rate_ratio
from preventable.studies.events import Event, counted, side_of, within
from preventable.studies.exposure import Exposure, Population
from preventable.taxonomy.loader import Methodology

CAVEATS: Mapping[str, str] = {
    "deployment": "Deployment differs: the new code runs on fewer machines, so fewer of its faults are met.",
    "detection": "Detection effort differs: fuzzers, analysers and reviewers look at both unequally.",
    "released-only": "Faults fixed before a release get no CVE; young code has most of its faults there.",
    "age": "Age differs: young code is denser in faults; without history nothing is adjusted.",
    "labels": "One labeller, blind to path and language, gives the classes; hand readings are sensitivity.",
    "function": "Lines of different languages do different amounts of work.",
}
"""What stands beside every ratio."""

HAND_COUNTED = "hand, boundary cases counted"
HAND_LEFT_OUT = "hand, boundary cases left out"


_Kind = tuple[str, str, int | None, str]
"""Side, class, CWE, and the id of a record that was read by hand."""


class Sides(msgspec.Struct, frozen=True):
    """Which languages are the newcomer and which the incumbent; headers are on a stated side."""

    new: str = "Rust"
    old: str = "C"
    headers: Literal["old", "new", "neither"] = "old"

    def languages(self, side: Literal["new", "old"]) -> frozenset[str]:
        """The languages whose lines and files belong to a side."""
        own = {self.new if side == "new" else self.old}
        return frozenset(own | {"header"} if self.headers == side else own)


class Reading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person found by reading one record in full."""

    id: str
    weakness: str
    unsafe: Literal["yes", "no", "unknown"]
    """Whether the fault lay in, or depended on, unsafe code of the new language."""
    boundary: str = ""
    """A second class under which it may be counted; empty if there is no doubt."""
    reason: str = ""


class Row(msgspec.Struct, frozen=True):
    """One comparison. Rates are per million line-years; one that cannot be given is None with a reason."""

    population: str
    counts: str
    """``all``, a methodology's id, or ``class:`` and a weakness class."""
    labels: str
    events_new: int
    events_old: int
    events_both: int
    unlabelled_new: int
    unlabelled_old: int
    exposure_new: float
    exposure_old: float
    rate_new: float | None
    rate_new_low: float | None
    rate_new_high: float | None
    rate_old: float | None
    rate_old_low: float | None
    rate_old_high: float | None
    ratio: float | None
    low: float | None
    high: float | None
    p_value: float | None
    adjustment: str
    reason: str = ""
    """Why a figure is missing, if one is."""
    caveats: tuple[str, ...] = tuple(CAVEATS)


class Unsafe(msgspec.Struct, frozen=True):
    """Events of the new side by whether unsafe code had a part, and their rate where lines are counted."""

    part: Literal["unsafe", "safe", "unknown"]
    events: tuple[str, ...]
    exposure: float | None
    rate: float | None
    low: float | None
    high: float | None
    reason: str = ""


class Comparison(msgspec.Struct, frozen=True):
    """Everything that ``compare`` answers; the first sentence says whether the evidence decides."""

    sentences: tuple[str, ...]
    start: date
    end: date
    rows: tuple[Row, ...]
    unsafe: tuple[Unsafe, ...]
    events_new: tuple[Mapping[str, object], ...]
    """Every event of the new side, inside and outside the window, with what was read."""
    age_matched: Row | NotAvailable
    notes: tuple[str, ...]


def compare(
    events: Sequence[Event],
    exposure: Exposure,
    sides: Sides,
    methodologies: Mapping[str, Methodology],
    *,
    start: date,
    end: date,
    readings: Mapping[str, Reading] | None = None,
    cohorts: Sequence[tuple[str, ExposureRow]] = (),
    primary: str = "strict",
    name: str = "the code",
    level: float = 0.95,
) -> Comparison:
    """Rates of both languages, for everything, for every component that has both, and by class.

    Args:
        events: see ``studies.events``.
        exposure: snapshots of lines.
        sides: newcomer and incumbent.
        methodologies: by id; ``all`` is added.
        start, end: fixes in (start, end] count; see ``events.window``.
        readings: hand readings of events of the new side, by id, for the rows ``labels = hand``.
        cohorts: (year, row) pairs: lines by the year in which they were first written.
        primary: the methodology that the first sentence speaks of.
        name: of the code, for the sentences.
        level: of all intervals.
    Returns:
        Comparison.
    """
    readings = readings or {}
    seen = within(events, start, end)
    labelled = any(e.weakness != "unknown" for e in seen)
    rows: list[Row] = []
    for population, components in _populations(exposure, sides, start, end):
        part = [e for e in seen if not components or any(_in(c, components) for c in e.components)]
        kinds = _kinds(part, sides, readings)
        measures: list[tuple[str, Methodology | None, str | None]] = [("all", None, None)]
        if labelled:
            measures += [(m, methodologies[m], None) for m in methodologies]
            if population == "everything":
                classes = sorted({e.weakness for e in part} - {"unknown"})
                measures += [(f"class:{c}", None, c) for c in classes]
        for counts, methodology, weakness in measures:
            for labels in _variants(readings, population, counts):
                rows.append(
                    _row(
                        kinds, exposure, sides, population=population, components=components, counts=counts,
                        methodology=methodology, weakness=weakness, labels=labels,
                        readings=readings if labels != "machine" else {}, start=start, end=end, level=level,
                    )
                )  # fmt: skip
    matched = _age_matched(
        seen,
        cohorts,
        sides,
        methodologies.get(primary) if labelled else None,
        start=start,
        end=end,
        level=level,
    )
    before, after = exposure.covers(start, end)
    notes = [
        f"Headers count on the {sides.headers} side."
        if sides.headers != "neither"
        else "Headers count on neither side.",
        "Vendored, generated, test and unshipped code is left out.",
    ]
    if before or after:
        notes.append(f"Lines are held for {before} days before the first and {after} days after the last snapshot.")
    placed = sum(1 for e in seen if side_of(e, sides.languages("new"), sides.languages("old")) is None)
    if placed:
        notes.append(f"{placed} fixes touch files of neither language and are on no side.")
    return Comparison(
        sentences=_sentences(
            rows,
            sides,
            start=start,
            end=end,
            primary=primary if labelled else "all",
            name=name,
            matched=matched,
            level=level,
        ),
        start=start,
        end=end,
        rows=tuple(rows),
        unsafe=_unsafe(seen, exposure, sides, readings, start=start, end=end, level=level),
        events_new=tuple(_described(events, sides, readings, start, end)),
        age_matched=matched,
        notes=tuple(notes),
    )


def _row(
    kinds: Mapping[_Kind, int], exposure: Exposure, sides: Sides, *, population: str, components: tuple[str, ...],
    counts: str, methodology: Methodology | None, weakness: str | None, labels: str,
    readings: Mapping[str, Reading], start: date, end: date, level: float,
) -> Row:  # fmt: skip
    new, old = sides.languages("new"), sides.languages("old")
    sums = {"new": 0, "old": 0, "both": 0}
    unlabelled = {"new": 0, "old": 0, "both": 0}
    for (side, machine, cwe, name), number in kinds.items():
        reading = readings.get(name)
        says = [
            (weakness is None or given == weakness) and (methodology is None or methodology.counts(given, code))
            for given, code in _as_read(machine, cwe, reading, labels)
        ]
        unlabelled[side] += number * (machine == "unknown" and reading is None)
        sums[side] += number * (all(says) if labels == HAND_LEFT_OUT else any(says))
    x, y = sums["new"], sums["old"]
    e_new = exposure.mloc_years(Population(new, components), start, end)
    e_old = exposure.mloc_years(Population(old, components), start, end)
    r_new = rate(x, e_new, level) if e_new > 0 else None
    r_old = rate(y, e_old, level) if e_old > 0 else None
    ratio: RateRatio | None = None
    reason = ""
    if r_new is None or r_old is None:
        reason = f"no lines of {sides.new if r_new is None else sides.old} here in the window"
    else:
        ratio = rate_ratio(x, e_new, y, e_old, level)
        if ratio.value is None:
            reason = "no event on the old side: the ratio is unbounded"
    return Row(
        population=population, counts=counts, labels=labels, events_new=x, events_old=y,
        events_both=sums["both"], unlabelled_new=unlabelled["new"], unlabelled_old=unlabelled["old"],
        exposure_new=e_new, exposure_old=e_old,
        rate_new=r_new.value if r_new else None, rate_new_low=r_new.low if r_new else None,
        rate_new_high=r_new.high if r_new else None,
        rate_old=r_old.value if r_old else None, rate_old_low=r_old.low if r_old else None,
        rate_old_high=r_old.high if r_old else None,
        ratio=ratio.value if ratio else None, low=ratio.low if ratio else None,
        high=ratio.high if ratio else None, p_value=ratio.p_value if ratio else None,
        adjustment="unadjusted", reason=reason,
    )  # fmt: skip


def _variants(readings: Mapping[str, Reading], population: str, counts: str) -> tuple[str, ...]:
    """Whose labels: hand readings where they can change a figure, boundary cases for the headline."""
    if not readings or counts == "all":
        return ("machine",)
    if population == "everything" and not counts.startswith("class:"):
        return ("machine", "hand", HAND_COUNTED, HAND_LEFT_OUT)
    return ("machine", "hand")


def _kinds(part: Sequence[Event], sides: Sides, readings: Mapping[str, Reading]) -> Counter[_Kind]:
    """Events by side and label; those that somebody read stay apart, by name."""
    new, old = sides.languages("new"), sides.languages("old")
    found: Counter[_Kind] = Counter()
    for event in part:
        side = side_of(event, new, old)
        if side is not None:
            found[side, event.weakness, event.cwe, event.id if event.id in readings else ""] += 1
    return found


def _as_read(machine: str, cwe: int | None, reading: Reading | None, labels: str) -> list[tuple[str, int | None]]:
    """Class and CWE as the labeller, or a reader, or the reader's second choice gives them."""
    if reading is None:
        return [(machine, cwe)]
    if reading.boundary and labels in (HAND_COUNTED, HAND_LEFT_OUT):
        return [(reading.weakness, None), (reading.boundary, None)]
    return [(reading.weakness, None)]


def _populations(exposure: Exposure, sides: Sides, start: date, end: date) -> list[tuple[str, tuple[str, ...]]]:
    """Everything, then every directory and component with lines of the new language in the window."""
    found: list[tuple[str, tuple[str, ...]]] = [("everything", ())]
    tops = sorted({c.split("/")[0] for c in exposure.components if not c.startswith("pair/")})
    names = sorted(set(tops) | {c for c in exposure.components if not c.startswith("pair/")})
    for name in names:
        population = Population(frozenset({sides.new}), (name,))
        if exposure.mloc_years(population, start, end) > 0:
            found.append((name, (name,)))
    return found


def _in(component: str, wanted: Sequence[str]) -> bool:
    return any(component == w or component.startswith(w + "/") for w in wanted)


def _age_matched(
    seen: Sequence[Event], cohorts: Sequence[tuple[str, ExposureRow]], sides: Sides,
    methodology: Methodology | None, *, start: date, end: date, level: float,
) -> Row | NotAvailable:  # fmt: skip
    """Events per cohort of introduction over lines of the same cohort, cohorts that both sides have."""
    if not cohorts:
        return NotAvailable(
            "no history at hand says how old the lines of each language are; the crude ratio is unadjusted"
        )
    new, old = sides.languages("new"), sides.languages("old")
    by_cohort: dict[str, Exposure] = {}
    for cohort in sorted({c for c, _ in cohorts}):
        by_cohort[cohort] = Exposure([row for c, row in cohorts if c == cohort])
    names = list(by_cohort)
    e_new = [by_cohort[c].mloc_years(Population(new), start, end) for c in names]
    e_old = [by_cohort[c].mloc_years(Population(old), start, end) for c in names]
    x, y = [0] * len(names), [0] * len(names)
    undated = 0
    for event in seen:
        side = side_of(event, new, old)
        if side not in ("new", "old") or not counted(event, methodology):
            continue
        dated = event.introduced is not None and not event.introduced_before
        year = str(event.introduced.year) if event.introduced is not None and dated else ""
        if year not in by_cohort:
            undated += 1
        elif side == "new":
            x[names.index(year)] += 1
        else:
            y[names.index(year)] += 1
    if not any(a > 0 and b > 0 for a, b in zip(e_new, e_old, strict=True)):
        return NotAvailable("no year in which both languages wrote code that is still there")
    ratio = stratified_rate_ratio(x, e_new, y, e_old, level)
    r_new, r_old = (
        rate(ratio.events_new, ratio.exposure_new, level),
        rate(ratio.events_old, ratio.exposure_old, level),
    )
    return Row(
        population="everything", counts=methodology.id if methodology else "all", labels="machine",
        events_new=ratio.events_new, events_old=ratio.events_old, events_both=0, unlabelled_new=0,
        unlabelled_old=0, exposure_new=ratio.exposure_new, exposure_old=ratio.exposure_old,
        rate_new=r_new.value, rate_new_low=r_new.low, rate_new_high=r_new.high, rate_old=r_old.value,
        rate_old_low=r_old.low, rate_old_high=r_old.high, ratio=ratio.value, low=ratio.low, high=ratio.high,
        p_value=ratio.p_value, adjustment="age-matched",
        reason=f"{undated} events have no known year of introduction and are left out" if undated else "",
        caveats=tuple(c for c in CAVEATS if c != "age"),
    )  # fmt: skip


def _unsafe(
    seen: Sequence[Event], exposure: Exposure, sides: Sides, readings: Mapping[str, Reading],
    *, start: date, end: date, level: float,
) -> tuple[Unsafe, ...]:  # fmt: skip
    new, old = sides.languages("new"), sides.languages("old")
    ids: dict[str, list[str]] = {"unsafe": [], "safe": [], "unknown": []}
    for event in seen:
        if side_of(event, new, old) == "new":
            reading = readings.get(event.id)
            part = {"yes": "unsafe", "no": "safe"}.get(reading.unsafe if reading else "", "unknown")
            ids[part].append(event.id)
    population = Population(frozenset({sides.new}))
    total = exposure.mloc_years(population, start, end)
    inside = exposure.unsafe_mloc_years(population, start, end)
    rows = []
    kinds: tuple[Literal["unsafe", "safe", "unknown"], ...] = ("unsafe", "safe", "unknown")
    for kind in kinds:
        lines: float | None = None
        why = ""
        if kind == "unknown":
            why = "the record does not show the fix, and nobody has read it" if ids[kind] else ""
        elif isinstance(inside, NotAvailable):
            why = inside.reason
        else:
            lines = inside if kind == "unsafe" else total - inside
        figure = rate(len(ids[kind]), lines, level) if lines else None
        rows.append(
            Unsafe(
                part=kind,
                events=tuple(ids[kind]),
                exposure=lines,
                rate=figure.value if figure else None,
                low=figure.low if figure else None,
                high=figure.high if figure else None,
                reason=why,
            )
        )
    return tuple(rows)


def _described(
    events: Sequence[Event], sides: Sides, readings: Mapping[str, Reading], start: date, end: date
) -> list[dict[str, object]]:
    new, old = sides.languages("new"), sides.languages("old")
    rows: list[dict[str, object]] = []
    for event in events:
        side = side_of(event, new, old)
        if side not in ("new", "both"):
            continue
        reading = readings.get(event.id)
        rows.append(
            {
                "id": event.id,
                "side": side,
                "fixed": event.fixed,
                "inside": start < event.fixed <= end,
                "components": event.components,
                "machine": event.weakness,
                "hand": reading.weakness if reading else None,
                "boundary": reading.boundary if reading else "",
                "unsafe": reading.unsafe if reading else "unknown",
                "reason": reading.reason if reading else "",
            }
        )
    return rows


def _sentences(
    rows: Sequence[Row], sides: Sides, *, start: date, end: date, primary: str, name: str,
    matched: Row | NotAvailable, level: float,
) -> tuple[str, ...]:  # fmt: skip
    row = next(r for r in rows if r.population == "everything" and r.counts == primary)
    what = "vulnerabilities of every class" if primary == "all" else f"{primary} vulnerabilities"
    if row.ratio is None or row.low is None:
        return (f"No ratio can be given for {name}: {row.reason}.",)
    high = "unbounded" if row.high is None else two_digits(row.high)
    evidence = (
        f"from {start} to {end} mainline fixed {row.events_new:,} {sides.new} and {row.events_old:,} "
        f"{sides.old} {what} over {row.exposure_new:.3g} and {row.exposure_old:.3g} million line-years: "
        f"a rate ratio of "
        f"{two_digits(row.ratio)} ({level:.0%} interval {two_digits(row.low)} to {high}, exact, unadjusted)"
    )
    if row.low <= 1 <= (row.high if row.high is not None else float("inf")):
        first = f"The evidence does not decide whether {sides.new} holds up in {name}: {evidence}."
    elif row.low > 1:
        first = f"{sides.new} has the higher rate in {name}: {evidence}."
    else:
        first = f"{sides.new} has the lower rate in {name}, before any adjustment: {evidence}."
    sentences = [first]
    hand = next((r for r in rows if (r.population, r.counts, r.labels) == ("everything", primary, "hand")), None)
    if hand is not None and hand.ratio is not None and hand.low is not None:
        top = "unbounded" if hand.high is None else two_digits(hand.high)
        near = {
            labels: next(
                r.events_new for r in rows if (r.population, r.counts, r.labels) == ("everything", primary, labels)
            )
            for labels in (HAND_LEFT_OUT, HAND_COUNTED)
        }
        sentences.append(
            f"Read by hand, {hand.events_new} of the {sides.new} records count, which gives {two_digits(hand.ratio)} "
            f"({two_digits(hand.low)} to {top}); depending on the boundary cases between {near[HAND_LEFT_OUT]} and "
            f"{near[HAND_COUNTED]} do."
        )
    expected = row.events_old / row.exposure_old * row.exposure_new
    sentences.append(
        f"At {sides.old}'s rate {two_digits(expected)} would have been expected; with none at all the upper limit "
        f"would still be {two_digits(_limit_without_events(row, level))} times {sides.old}'s rate."
    )
    if isinstance(matched, NotAvailable):
        sentences.append(f"An age-matched ratio is not available: {matched.reason}.")
    elif matched.ratio is not None and matched.low is not None:
        top = "unbounded" if matched.high is None else two_digits(matched.high)
        sentences.append(
            f"Matched by age of code the ratio is {two_digits(matched.ratio)} ({two_digits(matched.low)} to {top})."
        )
    return tuple(sentences)


def _limit_without_events(row: Row, level: float) -> float:
    high = rate_ratio(0, row.exposure_new, row.events_old, row.exposure_old, level).high
    return high if high is not None else float("inf")


def relabel(labels: Mapping[str, Label], readings: Mapping[str, Reading]) -> dict[str, str]:
    """Where hand and machine differ: id -> "machine → hand"."""
    return {
        i: f"{labels[i].weakness if i in labels else 'unknown'} → {r.weakness}"
        for i, r in sorted(readings.items())
        if i not in labels or labels[i].weakness != r.weakness
    }


def read_cohorts(path: Path) -> tuple[tuple[str, ExposureRow], ...]:
    """Exposure facts that tell the year in which the lines were first written.

    Args:
        path: a CSV file with a column ``cohort``, or a saved JSON result of ``preventable lineage``.
    Raises:
        FormatError: see ``readers.exposure``; or no year is told.
    """
    rows = read_exposure(path).rows
    if not all(row.cohort for row in rows):
        raise FormatError("no column cohort", file=str(path), hint="It holds the year of first writing")
    return tuple((row.cohort, row) for row in rows)

"""Counterparts: C code and the Rust code that replaces it, pair by pair.

No pair prints a ratio unless the functions overlap, the deployment of both sides is stated, and both sides
have lines in the window. A pair whose code is not at hand works from a facts file that names its source and
date.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

from preventable.code.counting import count_files
from preventable.code.path_globs import PathGlobs
from preventable.code.unsafe_rust import measure_rust
from preventable.errors import CaseError, InputError
from preventable.evidence.merge import ids_by_name
from preventable.plain_text import two_digits
from preventable.readers.case_file import CaseFile
from preventable.stats.rates import rate_ratio
from preventable.studies.events import Event
from preventable.studies.exposure import DAYS_PER_YEAR, Exposure, Population
from preventable.studies.setting import Inputs, text_of

Side = Literal["new", "old"]
PAIR_COLUMNS = (
    "pair", "new", "old", "lines_new", "lines_old", "unsafe_share", "overlap", "events_new", "events_old",
    "exposure_new", "exposure_old", "ratio", "low", "high", "reason",
)  # fmt: skip
STATUS_COLUMNS = ("deployment_new", "deployment_old", "too_young")
"""Prose beside every ratio: columns of CSV; in a table they would be wider than a page, so that sentences say them."""
YOUNG_YEARS = 2.0
_IOCTL = re.compile(rb"\b([A-Z][A-Z0-9_]{3,})\s*=?\s*_IO(?:WR?|R)?\s*\(|#\s*define\s+([A-Z][A-Z0-9_]{3,})\s+_IO")


class PairSide(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One side of a pair in the case file."""

    name: str
    paths: tuple[str, ...] = ()
    """Globs in the tree, and of the files that fixes touch."""
    exposure: str | None = None
    """Component of the exposure facts that holds exactly these paths."""
    since: date | None = None
    """First release that ships it."""
    until: date | None = None
    """First release without it."""
    deployment: str = ""
    """Who runs it: without this there is no ratio."""
    lines: int | None = None
    """A fact, where no tree is at hand."""
    unsafe_lines: int | None = None
    files: int | None = None
    events: tuple[str, ...] = ()
    """Ids of its vulnerabilities from feeds that name no files."""


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of ``[[pairs]]``, or the ``[pair]`` of a facts file."""

    id: str
    title: str
    new: PairSide
    old: PairSide
    overlap: Literal["full", "partial", "none", "unknown"] = "unknown"
    features_both: tuple[str, ...] = ()
    features_new_only: tuple[str, ...] = ()
    features_old_only: tuple[str, ...] = ()
    uapi: tuple[str, ...] = ()
    """Headers whose ioctl numbers are looked for on both sides."""
    source: str = ""
    """Where facts come from; required in a facts file."""
    dated: date | None = None
    note: str = ""


class PairRow(msgspec.Struct, frozen=True):
    """What is known of a pair. A ratio that cannot be given is None, and ``reason`` says why."""

    pair: str
    title: str
    new: str
    old: str
    lines_new: int | None
    lines_old: int | None
    files_new: int | None
    files_old: int | None
    unsafe_lines: int | None
    unsafe_share: float | None
    overlap: str
    features_both: tuple[str, ...]
    features_new_only: tuple[str, ...]
    features_old_only: tuple[str, ...]
    ioctls_both: tuple[str, ...] | None
    ioctls_old_only: tuple[str, ...] | None
    ioctls_new_only: tuple[str, ...] | None
    age_new_years: float | None
    age_old_years: float | None
    deployment_new: str
    deployment_old: str
    events_new: int
    events_old: int
    events: tuple[Mapping[str, object], ...]
    exposure_new: float | None
    exposure_old: float | None
    ratio: float | None
    low: float | None
    high: float | None
    reason: str
    touch_both: int
    """Fixes that touch files of both sides; they count on both."""
    too_young: tuple[str, ...]
    measured: str
    source: str
    dated: date | None
    start: date
    """Of the common window: both sides are counted over the same days."""
    end: date


class _Measured(msgspec.Struct, frozen=True):
    lines: int
    files: int
    unsafe_lines: int | None
    names: frozenset[str]


def pairs_of(case: CaseFile | None) -> tuple[Pair, ...]:
    """The ``[[pairs]]`` of a case.

    Raises:
        CaseError: there is none, an unknown key, or two pairs of one id.
    """
    pairs = tuple((case.decode("pairs", list[Pair]) if case else None) or ())
    if not pairs:
        raise CaseError(
            "the case names no pairs", file=case.file if case else None, field="pairs",
            hint="Write [[pairs]]; see docs/compare.md",
        )  # fmt: skip
    ids = [p.id for p in pairs]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise CaseError("two pairs have one id", file=case.file if case else None, record=twice[0], field="id")
    return pairs


def read_facts(name: str, base: Path) -> Pair:
    """A facts file: one ``[pair]`` with its source and date.

    Raises:
        CaseError: not TOML, an unknown key, or no source or date.
    """
    data, shown = text_of(name, base)
    try:
        pair = msgspec.convert(tomllib.loads(data.decode("utf-8")).get("pair"), Pair)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise CaseError(f"the facts file cannot be read: {error}", file=shown) from error
    if not pair.source or pair.dated is None:
        raise CaseError("facts need a source and a date", file=shown, field="source, dated")
    return pair


def compare_pairs(pairs: Sequence[Pair], inputs: Inputs, base: Path, *, tree: Path | None = None) -> list[PairRow]:
    """One row per pair, those of facts files included.

    Args:
        pairs: of the case file.
        inputs: events, window and exposure.
        base: directory of the case file.
        tree: source tree to measure in; what it does not hold is taken from exposure facts or facts files.
    """
    if tree is not None and not tree.is_dir():
        raise InputError("the tree is no directory", file=str(tree), hint="Unpack it first")
    facts = [read_facts(name, base) for name in inputs.setting.facts]
    exposure = Exposure(inputs.exposure.rows) if inputs.exposure is not None else None
    paths = _paths(tree) if tree is not None else []
    return [_row(pair, inputs, exposure, tree, paths) for pair in (*pairs, *facts)]


def _row(pair: Pair, inputs: Inputs, exposure: Exposure | None, tree: Path | None, paths: Sequence[str]) -> PairRow:
    measured: dict[Side, _Measured | None] = {
        "new": _measure(pair.new, tree, paths),
        "old": _measure(pair.old, tree, paths),
    }
    names = _ioctls(pair.uapi, tree)
    window = _common_window(pair, inputs)
    events, shared = _events(pair, inputs, window)
    days: dict[Side, float | None] = {
        "new": _line_years(pair.new, exposure, measured["new"], inputs, window),
        "old": _line_years(pair.old, exposure, measured["old"], inputs, window),
    }
    lines: dict[Side, int | None] = {
        "new": _lines(pair.new, exposure, measured["new"]),
        "old": _lines(pair.old, exposure, measured["old"]),
    }
    unsafe = measured["new"].unsafe_lines if measured["new"] else pair.new.unsafe_lines
    if unsafe is None and exposure is not None and pair.new.exposure:
        unsafe = exposure.series(Population(frozenset({inputs.setting.new}), (pair.new.exposure,)), unsafe=True)[
            exposure.dates[-1]
        ]
    rust = _rust_lines(pair.new, exposure, measured["new"], inputs.setting.new)
    inside = [e for e in events if e["counts"]]
    x = sum(e["side"] == "new" for e in inside)
    y = sum(e["side"] == "old" for e in inside)
    reason = _why_no_ratio(pair, days, x + y, window)
    ratio = None
    if not reason and days["new"] and days["old"]:
        ratio = rate_ratio(x, days["new"], y, days["old"])
        if ratio.value is None:
            reason = "no vulnerability of the old side in the window: the ratio is unbounded above"
    ages = {s: _age(side, inputs.end) for s, side in (("new", pair.new), ("old", pair.old))}
    both, old_only, new_only = _ioctl_sets(names, measured["new"], measured["old"])
    return PairRow(
        pair=pair.id, title=pair.title, new=pair.new.name, old=pair.old.name,
        lines_new=lines["new"], lines_old=lines["old"],
        files_new=measured["new"].files if measured["new"] else pair.new.files,
        files_old=measured["old"].files if measured["old"] else pair.old.files,
        unsafe_lines=unsafe, unsafe_share=unsafe / rust if unsafe is not None and rust else None,
        overlap=pair.overlap, features_both=pair.features_both, features_new_only=pair.features_new_only,
        features_old_only=pair.features_old_only,
        ioctls_both=both, ioctls_old_only=old_only, ioctls_new_only=new_only,
        age_new_years=ages["new"], age_old_years=ages["old"],
        deployment_new=pair.new.deployment, deployment_old=pair.old.deployment,
        events_new=x, events_old=y, events=tuple(events), exposure_new=days["new"], exposure_old=days["old"],
        ratio=ratio.value if ratio else None, low=ratio.low if ratio else None,
        high=ratio.high if ratio else None, reason=reason, touch_both=shared,
        too_young=_too_young(pair, ages, days, lines, x=x, y=y),
        measured="tree" if measured["new"] or measured["old"] else "facts",
        source=pair.source, dated=pair.dated, start=window[0], end=window[1],
    )  # fmt: skip


def _ioctl_sets(
    names: frozenset[str], new: _Measured | None, old: _Measured | None
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None, tuple[str, ...] | None]:
    """Ioctls that both sides name, the old one only, the new one only; None where a side was not measured."""
    if not names or new is None or old is None:
        return None, None, None
    mine, theirs = names & new.names, names & old.names
    return tuple(sorted(mine & theirs)), tuple(sorted(theirs - mine)), tuple(sorted(mine - theirs))


def _why_no_ratio(pair: Pair, days: Mapping[Side, float | None], events: int, window: tuple[date, date]) -> str:
    missing = []
    if pair.overlap not in ("full", "partial"):
        missing.append(f"the functional overlap is {pair.overlap}")
    if not (pair.new.deployment and pair.old.deployment):
        missing.append("the deployment of a side is not stated")
    if window[1] <= window[0]:
        missing.append("the two sides were never there at the same time inside the window")
    missing += [
        f"{(pair.new if side == 'new' else pair.old).name} has no lines in the window"
        for side, value in days.items()
        if not value and window[1] > window[0]
    ]
    if not missing and not events:
        missing.append("neither side has a vulnerability in the window")
    return "; ".join(missing)


def _too_young(
    pair: Pair, ages: Mapping[str, float | None], days: Mapping[Side, float | None],
    lines: Mapping[Side, int | None], *, x: int, y: int,
) -> tuple[str, ...]:  # fmt: skip
    said = []
    for side, it in (("new", pair.new), ("old", pair.old)):
        age = ages[side]
        if age is not None and age < YOUNG_YEARS:
            said.append(f"{it.name} has shipped for {age:.1f} years only")
    if days["new"] and days["old"] and y:
        expected = y / days["old"] * days["new"]
        if expected < 3.7:
            said.append(
                f"at {pair.old.name}'s rate {two_digits(expected)} vulnerabilities of {pair.new.name} were to be "
                f"expected: {x} says little"
            )
    if lines["new"] is not None and lines["old"] and lines["new"] < 0.1 * lines["old"]:
        said.append(f"{pair.new.name} is {lines['new'] / lines['old']:.0%} of {pair.old.name}'s size")
    return tuple(said)


def _events(pair: Pair, inputs: Inputs, window: tuple[date, date]) -> tuple[list[dict[str, object]], int]:
    new, old = PathGlobs(pair.new.paths), PathGlobs(pair.old.paths)
    files = {a.id: a.files for a in inputs.advisories}
    ids = ids_by_name(inputs.advisories)
    by_name: dict[Side, frozenset[str]] = {
        "new": frozenset(ids.get(i, i) for i in pair.new.events),
        "old": frozenset(ids.get(i, i) for i in pair.old.events),
    }
    dated: dict[str, Event] = {e.id: e for e in inputs.events.events}
    rows: list[dict[str, object]] = []
    shared = 0
    for advisory in inputs.advisories:
        mine = [f for f in files[advisory.id] if new.matches(f)]
        theirs = [f for f in files[advisory.id] if old.matches(f)]
        named: list[Side] = []
        if mine or advisory.id in by_name["new"]:
            named.append("new")
        if theirs or advisory.id in by_name["old"]:
            named.append("old")
        shared += len(named) == 2
        for side in named:
            rows.append(_event(advisory.id, side, dated.get(advisory.id), inputs, window))
    seen = {str(r["id"]) for r in rows}
    for side, names in by_name.items():
        rows += [_event(i, side, None, inputs, window) for i in names if i not in seen]
    return sorted(rows, key=lambda r: (str(r["side"]), str(r["id"]))), shared


def _event(name: str, side: Side, event: Event | None, inputs: Inputs, window: tuple[date, date]) -> dict[str, object]:
    reading = inputs.readings.get(name)
    label = inputs.labels.get(name)
    return {
        "id": name,
        "side": side,
        "fixed": event.fixed if event else None,
        "weakness": label.weakness if label else "unknown",
        "hand": reading.weakness if reading else None,
        "unsafe": reading.unsafe if reading else None,
        "counts": event is not None and window[0] < event.fixed <= window[1],
    }


def _common_window(pair: Pair, inputs: Inputs) -> tuple[date, date]:
    """The part of the window in which both sides were there: fair only over the same calendar time."""
    start = max(d for d in (inputs.start, pair.new.since, pair.old.since) if d is not None)
    return start, min(d for d in (inputs.end, pair.new.until, pair.old.until) if d is not None)


def _line_years(
    side: PairSide, exposure: Exposure | None, measured: _Measured | None, inputs: Inputs,
    window: tuple[date, date],
) -> float | None:  # fmt: skip
    start, end = window
    if end <= start:
        return None
    if exposure is not None and side.exposure:
        languages = frozenset({inputs.setting.new, inputs.setting.old, "header"})
        return exposure.mloc_years(Population(languages, (side.exposure,)), start, end) or None
    lines = measured.lines if measured else side.lines
    return lines * (end - start).days / DAYS_PER_YEAR / 1e6 if lines else None


def _lines(side: PairSide, exposure: Exposure | None, measured: _Measured | None) -> int | None:
    if measured is not None:
        return measured.lines
    if exposure is not None and side.exposure:
        everything = Population(frozenset(exposure.languages), (side.exposure,))
        value = exposure.series(everything)[exposure.dates[-1]]
        return value or side.lines
    return side.lines


def _rust_lines(side: PairSide, exposure: Exposure | None, measured: _Measured | None, language: str) -> int | None:
    if measured is not None:
        return measured.lines
    if exposure is not None and side.exposure:
        return exposure.series(Population(frozenset({language}), (side.exposure,)))[exposure.dates[-1]]
    return side.lines


def _age(side: PairSide, end: date) -> float | None:
    if side.since is None:
        return None
    return (min(end, side.until or end) - side.since).days / DAYS_PER_YEAR


def _paths(tree: Path) -> list[str]:
    found = []
    for directory, folders, files in os.walk(tree):
        folders[:] = sorted(f for f in folders if f != ".git" and not Path(directory, f).is_symlink())
        found += [Path(directory, f).relative_to(tree).as_posix() for f in files]
    return sorted(found)


def _measure(side: PairSide, tree: Path | None, paths: Sequence[str]) -> _Measured | None:
    if tree is None or not side.paths:
        return None
    globs = PathGlobs(side.paths)
    mine = [p for p in paths if globs.matches(p) and (tree / p).is_file() and not (tree / p).is_symlink()]
    if not mine:
        return None
    counts = count_files([str(tree / p) for p in mine])
    unsafe: int | None = 0
    words: set[str] = set()
    for path in mine:
        data = (tree / path).read_bytes()
        words.update(w.decode() for w in re.findall(rb"\b[A-Z][A-Z0-9_]{3,}\b", data))
        if path.endswith(".rs"):
            facts = measure_rust(data)
            unsafe = None if facts.counts is None or unsafe is None else unsafe + facts.counts.unsafe_lines
    return _Measured(sum(c.code for c in counts.values()), len(counts), unsafe, frozenset(words))


def _ioctls(uapi: Sequence[str], tree: Path | None) -> frozenset[str]:
    """Names that the headers define as ioctl numbers."""
    names: set[str] = set()
    for path in uapi:
        if tree is not None and (tree / path).is_file():
            for one, two in _IOCTL.findall((tree / path).read_bytes()):
                names.add((one or two).decode())
    return frozenset(names)

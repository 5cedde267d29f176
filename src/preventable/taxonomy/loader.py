"""Reads the taxonomy files and checks that they are consistent; every entry has a source.

The built-in files lie beside this module. A user adds a methodology or an intervention by writing a TOML
file of the same shape into ``methodologies/`` or ``interventions/`` beside the case file.
"""

from __future__ import annotations

import math
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from preventable.errors import TaxonomyError

State = Literal["by_construction", "with_effort", "contained", "detected", "not"]
STATES: tuple[State, ...] = ("by_construction", "with_effort", "contained", "detected", "not")
UNKNOWN = "unknown"
"""The label of a record whose class nobody could tell."""

T = TypeVar("T")


class WeaknessClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One class of weaknesses; ``default_cwe`` stands in where only the class is known."""

    id: str
    title: str
    default_cwe: int
    text: str
    source: str


class Methodology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which classes, CWEs and records count as memory safety, and who says so.

    With ``cwes_only`` the CWE alone decides (the label's own, else its class's default); otherwise a
    record counts when its class is in ``classes`` or its CWE in ``cwes_in``, unless its CWE is in
    ``cwes_out``.
    """

    id: str
    title: str
    text: str
    source: str
    classes: tuple[str, ...]
    cwes_in: tuple[int, ...] = ()
    cwes_out: tuple[int, ...] = ()
    cwes_only: bool = False
    admit_informational: tuple[str, ...] = ()
    """Feeds' words for records that are no plain vulnerability but belong to the denominator."""
    admit_severities: tuple[str, ...] = ()
    """Only these severities belong to the denominator; empty admits all, records without one included."""

    def counts(self, weakness: str, cwe: int | None) -> bool:
        """Whether a label counts as memory safety here.

        Example:
            >>> builtin().methodologies["cwe-1399"].counts("leak", 401)
            True
            >>> builtin().methodologies["strict"].counts("leak", 401)
            False
        """
        if weakness == UNKNOWN:
            return False
        if cwe is not None and cwe in self.cwes_out:
            return False
        if self.cwes_only:
            return cwe in self.cwes_in if cwe is not None else weakness in self.classes
        return weakness in self.classes or (cwe is not None and cwe in self.cwes_in)

    def admits(self, informational: str | None, severity: str | None) -> bool:
        """Whether a record belongs to the denominator."""
        if informational is not None and informational not in self.admit_informational:
            return False
        return not self.admit_severities or severity in self.admit_severities


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A published share, to be drawn beside one's own, with what it counted."""

    id: str
    who: str
    share: float
    period: str
    scope: str
    near: str
    source: str
    numerator: int | None = None
    denominator: int | None = None
    approximate: bool = False


class Cell(msgspec.Struct, frozen=True):
    """What one intervention does to one class: shares over the states, with counts where a study gives them.

    ``states`` is empty when nothing is known; ``unavailable`` then says why.
    """

    weakness: str
    states: dict[str, float]
    source: str
    counts: dict[str, int] | None = None
    detection_probability: float | None = None
    condition: str = ""
    note: str = ""
    unavailable: str = ""


class Intervention(msgspec.Struct, frozen=True):
    """A language, hardware or proof that rules classes out, class by class."""

    id: str
    title: str
    kind: str
    text: str
    caveat: str
    cells: dict[str, Cell]
    order: int = 99

    def cell(self, weakness: str) -> Cell:
        """The cell for a class; one without a source says so instead of guessing."""
        found = self.cells.get(weakness)
        if found is not None:
            return found
        return Cell(weakness, {}, source="", unavailable="no source found for this class")


class Taxonomy(msgspec.Struct, frozen=True):
    """All tables together."""

    classes: dict[str, WeaknessClass]
    cwe_class: dict[int, str]
    vague_cwes: frozenset[int]
    methodologies: dict[str, Methodology]
    references: tuple[Reference, ...]
    interventions: dict[str, Intervention]

    def class_of_cwe(self, cwe: int) -> str | None:
        """The class that a CWE decides, or ``None`` where it is vague or not known."""
        return None if cwe in self.vague_cwes else self.cwe_class.get(cwe)

    def knows_cwe(self, cwe: int) -> bool:
        """Whether the CWE is in the map at all, vague ones included."""
        return cwe in self.cwe_class

    def cwe_of(self, weakness: str, cwe: int | None) -> int | None:
        """The CWE a label is judged by: its own, else its class's default."""
        if cwe is not None:
            return cwe
        known = self.classes.get(weakness)
        return known.default_cwe or None if known else None


class _Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        name: str
        counts: tuple[int, ...]
        derived: str = ""

    id: str
    title: str
    source: str
    states: tuple[str, ...]
    mapping: str
    total: tuple[int, ...]
    row: tuple[Row, ...]
    note: str = ""
    group: tuple[Row, ...] = ()


class _CellFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"weakness": "class"}):
    weakness: str
    study: str = ""
    row: str = ""
    counts: dict[str, int] | None = None
    states: dict[str, float] | None = None
    source: str = ""
    detection_probability: float | None = None
    condition: str = ""
    note: str = ""
    unavailable: str = ""


class _InterventionFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str
    kind: str
    text: str
    cell: tuple[_CellFile, ...]
    caveat: str = ""
    order: int = 99
    """Place in lists; a user's own come last unless they say otherwise."""


@cache
def builtin() -> Taxonomy:
    """The taxonomy that ships with Preventable."""
    return load_taxonomy()


def load_taxonomy(beside: Path | None = None) -> Taxonomy:
    """The built-in taxonomy, with a user's methodologies and interventions added or replaced.

    Args:
        beside: directory of the case file; its ``methodologies/*.toml`` and ``interventions/*.toml`` are
            read, each in the shape of the built-in ones.
    Raises:
        TaxonomyError: a file is not TOML, misses a field or a source, names an unknown class, or its
            numbers do not add up.
    """
    root = Path(str(files("preventable.taxonomy")))
    classes = {c.id: c for c in _entries(root / "classes.toml", "class", WeaknessClass)}
    cwe_class, vague = _load_cwe_map(root / "cwe_map.toml", classes)
    methodologies = {
        m.id: _checked_methodology(m, classes, root / "methodologies.toml")
        for m in _entries(root / "methodologies.toml", "methodology", Methodology)
    }
    studies = {s.id: s for s in (_load_study(p) for p in sorted((root / "studies").glob("*.toml")))}
    interventions = {
        i.id: i
        for i in (_load_intervention(p, classes, studies) for p in sorted((root / "interventions").glob("*.toml")))
    }
    if beside is not None:
        for path in sorted((beside / "methodologies").glob("*.toml")):
            methodology = _checked_methodology(_convert(_toml(path), Methodology, path), classes, path)
            methodologies[methodology.id] = methodology
        for path in sorted((beside / "interventions").glob("*.toml")):
            intervention = _load_intervention(path, classes, studies)
            interventions[intervention.id] = intervention
    interventions = dict(sorted(interventions.items(), key=lambda pair: (pair[1].order, pair[0])))
    references = tuple(_entries(root / "references.toml", "reference", Reference))
    return Taxonomy(classes, cwe_class, vague, methodologies, references, interventions)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or too long a number
        raise TaxonomyError(f"not valid TOML: {error}", file=str(path)) from error


def _convert(value: object, kind: type[T], path: Path) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise TaxonomyError(str(error), file=str(path), hint="See docs/taxonomy.md for the fields") from error


def _entries(path: Path, name: str, kind: type[T]) -> list[T]:
    return [_convert(entry, kind, path) for entry in _toml(path).get(name, [])]


def _load_cwe_map(path: Path, classes: dict[str, WeaknessClass]) -> tuple[dict[int, str], frozenset[int]]:
    document = _toml(path)
    table: dict[int, str] = {}
    for group in document["group"]:
        if group["class"] not in classes:
            raise TaxonomyError(f"unknown class {group['class']!r}", file=str(path))
        for cwe in group["cwes"]:
            if cwe in table:
                raise TaxonomyError(f"CWE-{cwe} is listed twice", file=str(path))
            table[cwe] = group["class"]
    vague = frozenset(document["vague"]["cwes"])
    if stray := sorted(vague - table.keys()):
        raise TaxonomyError(f"vague CWEs without a class: {stray}", file=str(path))
    return table, vague


def _checked_methodology(m: Methodology, classes: dict[str, WeaknessClass], path: Path) -> Methodology:
    if unknown := [c for c in m.classes if c not in classes]:
        raise TaxonomyError(
            f"unknown classes {unknown}", file=str(path), record=m.id, hint=f"Known: {', '.join(classes)}"
        )
    if not m.source.strip():
        raise TaxonomyError("a methodology needs a source", file=str(path), record=m.id)
    return m


def _load_study(path: Path) -> _Study:
    """A study's counts; its rows, groups and totals have to add up, since printed tables contain slips."""
    study = _convert(_toml(path), _Study, path)
    for name, parts in (("row", study.row), ("group", study.group)):
        if not parts:
            continue
        if bad := [p.name for p in parts if len(p.counts) != len(study.states)]:
            raise TaxonomyError(f"{name}s {bad} do not have one count per state", file=str(path))
    if study.group:
        sums = tuple(sum(column) for column in zip(*(g.counts for g in study.group), strict=True))
        if sums != study.total:
            raise TaxonomyError(f"groups add up to {sums}, not to the total {study.total}", file=str(path))
    for i, state in enumerate(study.states):
        if (have := sum(r.counts[i] for r in study.row)) > study.total[i]:
            raise TaxonomyError(
                f"rows of state {state} add up to {have}, over the total {study.total[i]}", file=str(path)
            )
    return study


def _load_intervention(path: Path, classes: dict[str, WeaknessClass], studies: dict[str, _Study]) -> Intervention:
    raw = _convert(_toml(path), _InterventionFile, path)
    cells: dict[str, Cell] = {}
    for entry in raw.cell:
        where = f"{raw.id}/{entry.weakness}"
        if entry.weakness not in classes:
            raise TaxonomyError(
                f"unknown class {entry.weakness!r}",
                file=str(path),
                record=where,
                hint=f"Known: {', '.join(classes)}",
            )
        if entry.weakness in cells:
            raise TaxonomyError("the class has two cells", file=str(path), record=where)
        cells[entry.weakness] = _cell(entry, studies, path, where)
    return Intervention(raw.id, raw.title, raw.kind, raw.text, raw.caveat, cells, raw.order)


def _cell(entry: _CellFile, studies: dict[str, _Study], path: Path, where: str) -> Cell:
    counts, source, note = entry.counts, entry.source, entry.note
    if entry.study:
        study = studies.get(entry.study)
        row = next((r for r in study.row if r.name == entry.row), None) if study else None
        if study is None or row is None:
            raise TaxonomyError(
                f"study {entry.study!r} has no row {entry.row!r}", file=str(path), record=where, field="row"
            )
        counts = dict(zip(study.states, row.counts, strict=True))
        source = f"{study.title}, {study.source}; row {row.name!r}"
        note = f"{study.mapping} {note}".strip()
    if entry.unavailable:
        return Cell(entry.weakness, {}, source, unavailable=entry.unavailable, note=note)
    if not source.strip():
        return Cell(entry.weakness, {}, "", unavailable="the cell names no source", note=note)
    if counts is not None:
        total = sum(counts.values())
        if total <= 0 or min(counts.values()) < 0:
            raise TaxonomyError("counts must be >= 0 and not all 0", file=str(path), record=where, field="counts")
        states = {state: n / total for state, n in counts.items()}
    else:
        states = dict(entry.states or {})
    if unknown := [s for s in states if s not in STATES]:
        raise TaxonomyError(
            f"unknown states {unknown}", file=str(path), record=where, hint=f"Known: {', '.join(STATES)}"
        )
    if not math.isclose(sum(states.values()), 1.0, abs_tol=1e-9) or min(states.values(), default=0) < 0:
        raise TaxonomyError("shares over the states must be >= 0 and add up to 1", file=str(path), record=where)
    if ("detected" in states) != (entry.detection_probability is not None):
        raise TaxonomyError(
            "a cell with the state detected needs detection_probability, and only such a cell",
            file=str(path),
            record=where,
        )
    if entry.detection_probability is not None and not 0 < entry.detection_probability <= 1:
        raise TaxonomyError("detection_probability must be in (0, 1]", file=str(path), record=where)
    return Cell(
        entry.weakness,
        states,
        source,
        counts=counts,
        detection_probability=entry.detection_probability,
        condition=entry.condition,
        note=note,
    )

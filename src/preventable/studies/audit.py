"""An audit of one's own: draw records, let two people read them apart from each other, see how far they agree, merge.

Files of an audit lie in one directory: ``sample.csv`` (id, stratum, weight), ``sample.toml`` (how it was drawn),
``codebook.md`` (the rules), ``records.jsonl`` (what to read, without any label), ``reading-a.csv`` and
``reading-b.csv`` (to fill in), later ``disagreements.csv`` (to settle). Only ids, classes and notes of one's own go
into the merged table.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

from preventable.errors import FormatError, InputError, OutputError, UsageError
from preventable.plain_text import printable
from preventable.readers.case_file import nearest
from preventable.records import Advisory, NotAvailable
from preventable.stats.agreement import Agreement, cohens_kappa
from preventable.studies.filled_tables import flag, read_filled, write_table
from preventable.taxonomy.loader import UNKNOWN, Taxonomy

Stratum = Literal["none", "year", "severity", "package"]
READING = ("id", "class", "ambiguous", "note")
MERGED = ("id", "reading_a", "reading_b", "final", "ambiguous", "note", "reader_kind")
DESIGN = ("stratum", "weight")
"""Further columns of the sample and of the merged table; a table may lack them."""
_CLASSES = "The classes: preventable list classes"
READER_KINDS = ("human", "model", "mixed")
NOTE_WORDS = 10
OWN_FILES = (
    "sample.csv", "sample.toml", "codebook.md", "records.jsonl", "reading-a.csv", "reading-b.csv", "disagreements.csv",
)  # fmt: skip
"""What an audit keeps in its directory; no result may take their place."""
ALGORITHMS = {
    False: "random.Random(seed).sample over sorted ids (Python)",
    True: (
        "strata in sorted order, each with its share of the sample by largest remainder but at least one record; "
        "in each random.Random(seed).sample over sorted ids, one generator for all, which then shuffles the whole "
        "(Python). Not self-weighting: a record stands for as many as its weight in sample.csv says"
    ),
}
"""How a sample is drawn, by whether it is stratified."""


class Drawn(msgspec.Struct, frozen=True):
    """One record of a draw."""

    advisory: Advisory
    stratum: str = ""
    """Empty for a simple draw."""
    weight: float | None = None
    """How many records of its stratum in the frame it stands for, itself included; None for a simple draw."""


class Sampled(msgspec.Struct, frozen=True):
    """One row of ``sample.csv``; stratum and weight as in ``Drawn``."""

    id: str
    stratum: str = ""
    weight: float | None = None


class Reading(msgspec.Struct, frozen=True):
    """What one reader wrote about one record."""

    id: str
    weakness: str
    ambiguous: bool
    note: str


class Audited(msgspec.Struct, frozen=True):
    """One record of a finished or half-finished audit."""

    id: str
    reading_a: str
    reading_b: str
    final: str
    """Empty where the readings disagree and nobody has settled it."""
    ambiguous: bool
    note: str
    reader_kind: str
    stratum: str = ""
    """As drawn; empty for a simple draw or a table without this column."""
    weight: float | None = None
    """How many records of the stratum one stands for; None for a simple draw or a table without this column."""


class Status(msgspec.Struct, frozen=True):
    """How far an audit has come."""

    sample: int
    read_a: int
    read_b: int
    read_twice: int
    agreeing: int
    settled: int
    agreement: Agreement | NotAvailable
    by_methodology: dict[str, Agreement | NotAvailable]
    confusion: tuple[tuple[str, str, int], ...]
    """Pairs of classes (first reader, second) that differ, most frequent first."""
    reader_kinds: tuple[str, ...]


def draw(advisories: Sequence[Advisory], size: int, seed: int, stratify: Stratum = "none") -> list[Drawn]:
    """Draw records without replacement, with the stratum of each; the order of the list is the order of the draw.

    Simple: ``random.Random(seed).sample`` over the ids in sorted order. Stratified: each stratum gets its share of
    ``size`` by largest remainder (at least one record), the list is shuffled by the same generator. Since small
    strata get more than their share, a drawn record carries its weight N_h / n_h.

    Args:
        advisories: the frame; withdrawn records are left out.
        size: how many, 1..frame.
        seed: of the generator; recorded.
        stratify: by what.
    Raises:
        UsageError: size outside 1..frame, or fewer than the strata.
    """
    frame = sorted((a for a in advisories if a.withdrawn is None), key=lambda a: a.id)
    if not 1 <= size <= len(frame):
        raise UsageError(f"cannot draw {size} of {len(frame)} records", hint=f"Choose --size from 1 to {len(frame)}")
    generator = random.Random(seed)
    if stratify == "none":
        return [Drawn(a) for a in generator.sample(frame, size)]
    groups: dict[str, list[Advisory]] = {}
    for a in frame:
        groups.setdefault(_stratum(a, stratify), []).append(a)
    if size < len(groups):
        raise UsageError(f"{size} records cannot cover {len(groups)} strata", hint="Draw more, or stratify by less")
    drawn = [
        Drawn(a, name, len(groups[name]) / count)
        for name, count in _allocate({n: len(g) for n, g in groups.items()}, size).items()
        for a in generator.sample(groups[name], count)
    ]
    generator.shuffle(drawn)
    return drawn


def write_audit(directory: Path, drawn: Sequence[Drawn], description: Mapping[str, object], seed: int) -> None:
    """Write the files of a new audit; the two readings list the records in two orders
    and tell neither stratum nor weight. What a terminal or a spreadsheet would obey is taken out of ids and texts.

    Raises:
        OutputError: the directory already holds an audit, or cannot be written.
        InputError: two ids differ by such characters alone.
    """
    ids = [printable(d.advisory.id).strip() for d in drawn]
    if twice := next((i for i, count in Counter(ids).items() if count > 1), None):
        raise InputError(
            f"two ids differ by control characters or blanks alone: {twice}", hint="Take one of these records out"
        )
    if there := [name for name in OWN_FILES if (directory / name).exists()]:
        what = "already holds an audit" if "sample.csv" in there else f"has a {there[0]} that would be overwritten"
        raise OutputError(f"the directory {what}", file=str(directory), hint="Choose another with --out")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_table(
            directory / "sample.csv", ("id", *DESIGN), [(i, *_design(d)) for i, d in zip(ids, drawn, strict=True)]
        )
        lines = [f"{key} = {_toml(value)}" for key, value in description.items()]
        (directory / "sample.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        records = [
            {
                "id": i, "title": _shown(a.title), "text": _shown(a.text), "impact": _shown(a.impact),
                "files": [_shown(name) for name in a.files],
            }
            for i, a in zip(ids, (d.advisory for d in drawn), strict=True)
        ]  # fmt: skip
        (directory / "codebook.md").write_bytes((files("preventable.data") / "codebook.md").read_bytes())
        (directory / "records.jsonl").write_bytes(msgspec.json.Encoder().encode_lines(records))
        for name, salt in (("a", 1), ("b", 2)):
            order = ids.copy()
            random.Random(seed * 2 + salt).shuffle(order)
            write_table(directory / f"reading-{name}.csv", READING, [(i, "", "", "") for i in order])
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", file=str(directory)) from error


def read_reading(path: Path, taxonomy: Taxonomy, sample: Collection[str] | None = None) -> dict[str, Reading]:
    """The filled-in rows of one reading.

    Args:
        path: the file.
        taxonomy: its classes are allowed.
        sample: the ids that were drawn, the only ones allowed; any where it is not given.
    Raises:
        FormatError: a column is missing, an id stands twice or is not of the sample, a class is unknown,
            ``ambiguous`` is not yes or no, or a note has more than ten words. All faults of rows are named at once.
            Small or capital letters and spaces around a class or a flag are no fault.
        InputError: the file cannot be read.
    """
    drawn = None if sample is None else frozenset(sample)
    found: dict[str, Reading] = {}
    faults: list[str] = []
    for number, row in read_filled(path, ("id", "class")):
        id_, weakness = row["id"].strip(), _class(row["class"])
        where = f"line {number} ({id_})"
        if drawn is not None and id_ not in drawn and (id_ or weakness):
            faults.append(f"{where}: the id is not in sample.csv")
            continue
        if not weakness:
            continue
        ambiguous = flag(row.get("ambiguous", ""))
        note = row.get("note", "").strip()
        if weakness not in taxonomy.classes and weakness != UNKNOWN:
            faults.append(f"{where}: column class: {_no_class(row['class'], taxonomy)}")
        elif ambiguous is None:
            faults.append(f"{where}: ambiguous is {row['ambiguous'].strip()!r}, write yes or no")
        elif len(note.split()) > NOTE_WORDS:
            faults.append(f"{where}: the note has more than {NOTE_WORDS} words")
        elif id_ in found:
            faults.append(f"{where}: the id stands twice")
        found[id_] = Reading(id_, weakness, bool(ambiguous), note)
    if faults:
        raise FormatError("; ".join(faults[:20]), file=str(path), hint=f"Correct these rows and run again. {_CLASSES}")
    return found


def merge(
    sample: Sequence[Sampled],
    first: Mapping[str, Reading],
    second: Mapping[str, Reading],
    settled: Mapping[str, Reading],
    reader_kind: str,
    *,
    settled_of: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> tuple[list[Audited], list[str]]:
    """The table of records that were read twice, in the order of the draw, and the ids still to be settled.

    ``ambiguous`` is yes where either reader said so or the readings differ. Those read of a stratum stand for all of
    it: their weight is N_h / (n_h read), as if those not read yet were left out at random. A settlement counts for
    the two readings that it settled; where one of them has changed, the record is open again.
    """
    drawn_of = Counter(d.stratum for d in sample)
    read_of = Counter(d.stratum for d in sample if d.id in first and d.id in second)
    table: list[Audited] = []
    open_ids: list[str] = []
    for drawn in sample:
        id_ = drawn.id
        a, b = first.get(id_), second.get(id_)
        if a is None or b is None:
            continue
        if a.weakness == b.weakness:
            final, note = a.weakness, a.note or b.note
        elif id_ in settled and settled_of.get(id_, (a.weakness, b.weakness)) == (a.weakness, b.weakness):
            final, note = settled[id_].weakness, settled[id_].note
        else:
            final, note = "", ""
            open_ids.append(id_)
        ambiguous = a.ambiguous or b.ambiguous or a.weakness != b.weakness
        weight = drawn.weight
        if weight is not None:
            weight *= drawn_of[drawn.stratum] / read_of[drawn.stratum]
        table.append(Audited(id_, a.weakness, b.weakness, final, ambiguous, note, reader_kind, drawn.stratum, weight))
    return table, open_ids


def status(table: Sequence[Audited], taxonomy: Taxonomy, sample: int, read_a: int, read_b: int) -> Status:
    """Progress, agreement over classes and by methodology, and where the readings differ."""
    first, second = [r.reading_a for r in table], [r.reading_b for r in table]
    different = Counter((a, b) for a, b in zip(first, second, strict=True) if a != b)

    def agreement(of: Callable[[str], str]) -> Agreement | NotAvailable:
        if len(table) < 2:
            return NotAvailable("fewer than two records were read twice")
        return cohens_kappa([of(a) for a in first], [of(b) for b in second])

    by_methodology = {
        name: agreement(lambda c, m=m: "yes" if m.counts(c, taxonomy.cwe_of(c, None)) else "no")  # type: ignore[misc]  # m is bound early
        for name, m in taxonomy.methodologies.items()
    }
    return Status(
        sample=sample,
        read_a=read_a,
        read_b=read_b,
        read_twice=len(table),
        agreeing=sum(a == b for a, b in zip(first, second, strict=True)),
        settled=sum(r.reading_a != r.reading_b and bool(r.final) for r in table),
        agreement=agreement(str),
        by_methodology=by_methodology,
        confusion=tuple((a, b, n) for (a, b), n in sorted(different.items(), key=lambda x: (-x[1], x[0]))),
        reader_kinds=tuple(sorted({r.reader_kind for r in table})),
    )


def read_merged(path: Path, taxonomy: Taxonomy) -> list[Audited]:
    """A merged audit table; the columns ``stratum`` and ``weight`` may be missing.

    Raises:
        FormatError: a column is missing, a class is unknown, ``ambiguous`` is not yes or no, an id stands twice,
            ``reader_kind`` is not made of human, model and mixed, or a weight is no positive number.
        InputError: the file cannot be read.
    """
    table = []
    lines: dict[str, int] = {}
    for number, row in read_filled(path, MERGED):
        id_ = row["id"].strip()
        if id_ in lines:
            raise FormatError(
                f"the id {id_} stands on line {lines[id_]} and on line {number}",
                file=str(path), field="id", hint="Keep one of the two",
            )  # fmt: skip
        lines[id_] = number
        first, second, final = (_class(row[column]) for column in ("reading_a", "reading_b", "final"))
        for column, value in (("reading_a", first), ("reading_b", second), ("final", final)):
            if value not in taxonomy.classes and value != UNKNOWN and not (column == "final" and not value):
                raise FormatError(
                    _no_class(row[column], taxonomy), file=str(path), record=f"line {number}", field=column,
                    hint=_CLASSES,
                )  # fmt: skip
        ambiguous = flag(row["ambiguous"])
        if ambiguous is None:
            raise FormatError(
                f"neither yes nor no: {row['ambiguous'].strip()!r}", file=str(path), record=f"line {number}",
                field="ambiguous", hint="Write yes or no",
            )  # fmt: skip
        table.append(
            Audited(
                id_, first, second, final, ambiguous, row["note"],
                _reader_kind(path, number, row["reader_kind"]), row.get("stratum", "").strip(),
                _weight(path, number, row),
            )
        )  # fmt: skip
    return table


def write_merged(table: Sequence[Audited], path: Path) -> None:
    """Write the merged table."""
    rows = [
        (r.id, r.reading_a, r.reading_b, r.final, "yes" if r.ambiguous else "no", r.note, r.reader_kind, *_design(r))
        for r in table
    ]
    try:
        write_table(path, (*MERGED, *DESIGN), rows)
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", file=str(path)) from error


def write_disagreements(
    directory: Path, first: Mapping[str, Reading], second: Mapping[str, Reading], ids: Sequence[str]
) -> Path:
    """A file to settle what the readings left open: one row per id, ``class`` and ``note`` to fill in."""
    path = directory / "disagreements.csv"
    kept = {row["id"].strip(): row for _, row in read_filled(path, ("id", "class"))} if path.exists() else {}
    stale = set(ids) & {i for i, row in kept.items() if row["class"].strip()}
    kept = {i: row for i, row in kept.items() if i not in stale}
    rows = [(i, r.get("reading_a", ""), r.get("reading_b", ""), r["class"], r.get("note", "")) for i, r in kept.items()]
    rows += [(i, first[i].weakness, second[i].weakness, "", "") for i in ids if i not in kept]
    try:
        write_table(path, ("id", "reading_a", "reading_b", "class", "note"), rows)
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", file=str(path)) from error
    return path


def settled_readings(directory: Path) -> dict[str, tuple[str, str]]:
    """By id, the two readings that a row of ``disagreements.csv`` settles; rows without them are left out."""
    path = directory / "disagreements.csv"
    rows = read_filled(path, ("id", "class")) if path.exists() else []
    pairs = {row["id"].strip(): (_class(row.get("reading_a", "")), _class(row.get("reading_b", ""))) for _, row in rows}
    return {i: pair for i, pair in pairs.items() if all(pair)}


def read_sample(directory: Path) -> list[Sampled]:
    """An audit's sample in the order of the draw.

    Raises:
        FormatError: no column ``id``, or a weight is no positive number. InputError: the file cannot be read.
    """
    path = directory / "sample.csv"
    return [
        Sampled(row["id"].strip(), row.get("stratum", "").strip(), _weight(path, number, row))
        for number, row in read_filled(path, ("id",))
    ]


def is_own_file(directory: Path, path: Path) -> bool:
    """Whether a path is one of the files that the audit in this directory is made of, by whatever name."""
    for name in OWN_FILES:
        own = directory / name
        if own.resolve() == path.resolve() or (own.exists() and path.exists() and own.samefile(path)):
            return True
    return False


def _design(one: Drawn | Audited) -> tuple[str, str]:
    return one.stratum, "" if one.weight is None else repr(one.weight)


def _weight(path: Path, number: int, row: Mapping[str, str]) -> float | None:
    text = row.get("weight", "").strip()
    if not text:
        return None
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise FormatError(
            f"{text!r} is no positive number", file=str(path), record=f"line {number}", field="weight",
            hint="A weight is the number of records that one drawn record stands for, such as 12.5",
        )  # fmt: skip
    return weight


def _reader_kind(path: Path, number: int, value: str) -> str:
    kinds = [kind.strip().lower() for kind in re.split(r"[,+]", value)]
    if wrong := [kind for kind in kinds if kind not in READER_KINDS]:
        raise FormatError(
            f"no kind of reader {wrong[0]!r}", file=str(path), record=f"line {number}", field="reader_kind",
            hint=f"Write one or several of {', '.join(READER_KINDS)}",
        )  # fmt: skip
    return ", ".join(kinds)


def _class(cell: str) -> str:
    return cell.strip().lower()


def _no_class(cell: str, taxonomy: Taxonomy) -> str:
    near = nearest(_class(cell), [*taxonomy.classes, UNKNOWN])
    return f"no class {cell.strip()!r}" + (f", did you mean {near}?" if near else "")


def _shown(text: str) -> str:
    return printable(text, keep="\n\t")


def _stratum(a: Advisory, by: Stratum) -> str:
    if by == "year":
        return str(a.published.year) if a.published else "undated"
    if by == "severity":
        return a.severity or "without"
    return printable(a.package or "").strip() or "without"


def _allocate(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    everything = sum(sizes.values())
    exact = {name: total * n / everything for name, n in sizes.items()}
    given = {name: max(1, int(x)) for name, x in exact.items()}
    order = sorted(exact, key=lambda name: (int(exact[name]) - exact[name], name))
    while (missing := total - sum(given.values())) != 0:
        step = 1 if missing > 0 else -1
        for name in order if missing > 0 else sorted(given, key=lambda name: (-given[name], name)):
            if total == sum(given.values()):
                break
            if 1 <= given[name] + step <= sizes[name]:
                given[name] += step
    return {name: given[name] for name in sorted(given)}


def _toml(value: object) -> str:
    return msgspec.json.encode(value).decode()

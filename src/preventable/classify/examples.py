"""Labelled texts to learn from: what each record's readings, CWEs or categories say of its class.

What each source weighs, and why, is in docs/model-card.md. Audit records are left out by id and by alias.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zlib
from collections.abc import Mapping, Sequence, Set
from importlib.resources import files
from pathlib import Path

import msgspec
import zstandard

from preventable.classify.labeller import PRECEDENCE
from preventable.classify.text_rules import Match, matches
from preventable.classify.words import SENTENCE, is_rejected, words_of
from preventable.errors import FormatError, InputError
from preventable.readers.sources import ZstdFrames
from preventable.records import Advisory
from preventable.taxonomy.loader import Taxonomy

CLASSES: tuple[str, ...] = PRECEDENCE
READING_WEIGHTS = {"kernel": 3.0, "rustsec": 6.0, "vr": 3.0}
CATEGORY_WEIGHT = 3.0
CWE_WEIGHTS = {"nluedtke": 6.0, "vr-kernel": 1.0, "vr": 0.7}
COMMON = frozenset(("injection", "access-control", "path"))
"""Classes of which the non-kernel data holds thousands: one in ten is kept."""
TRIGGERS = frozenset(("integer", "race", "error-handling", "logic"))

STRICT = frozenset(("spatial", "temporal", "initialization", "type"))
BROAD = STRICT | {"null", "race", "integer"}
CORRUPTION = frozenset(("memory-corruption", "memory-exposure"))
"""Categories of RustSec that say memory safety outright."""
UNCLEAR = frozenset(("code-execution", "thread-safety"))
"""Categories that leave it open."""


class Example(msgspec.Struct, frozen=True):
    """One text with what is known about its class."""

    id: str
    source: str
    title: str
    text: str
    weakness: str | None
    """Class, or ``None`` when no single one is known."""
    weight: float
    by: str
    """``reading``, ``cwe``, ``category`` or ``none``."""
    stands_for: float = 1.0
    """How many texts like it, where readings were drawn by strata."""
    among: frozenset[str] = frozenset()
    """Classes of which it is one, where no single one is known."""
    kin: frozenset[str] = frozenset()
    """Its aliases, and a package: records that share any of these, or whose id it is, are held out together."""


class Row(msgspec.Struct, frozen=True):
    """One line of the file of texts."""

    id: str
    source: str
    title: str
    text: str
    cwe: tuple[int, ...] | None = None
    aliases: tuple[str, ...] = ()
    cats: tuple[str, ...] | None = None
    """RustSec's categories; ``None`` where they are withheld, and such a record is not used at all."""
    informational: str | None = None
    package: str = ""


def read_rows(path: Path) -> tuple[list[Row], str]:
    """Read the texts of an ``advisories-dev.jsonl[.zst]`` file and the digest of its bytes.

    Raises:
        InputError: the file cannot be read. FormatError: a line is not such a record.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=str(path)) from error
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    if path.suffix == ".zst":
        raw = _unpacked(raw, path)
    decoder = msgspec.json.Decoder(Row)
    rows: list[Row] = []
    for number, line in enumerate(raw.splitlines(), start=1):
        if line.strip():
            try:
                row = decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise FormatError(f"not a training record: {error}", file=str(path), record=f"line {number}") from error
            if not row.id or row.id.split() != [row.id]:
                raise FormatError(
                    f"an id of one word is needed, not {row.id!r}", file=str(path), record=f"line {number}", field="id"
                )
            rows.append(row)
    return rows, digest


def _unpacked(data: bytes, path: Path) -> bytes:
    try:
        return io.BufferedReader(ZstdFrames(io.BytesIO(data))).read()
    except zstandard.ZstdError as error:
        raise FormatError(f"damaged zstd data: {error}", file=str(path)) from error
    except EOFError as error:
        raise FormatError("truncated zstd data", file=str(path), hint="Fetch the file again") from error


def audit_ids() -> frozenset[str]:
    """The records of the audit, which train nothing."""
    text = files("preventable.data").joinpath("audit/linux-sample.csv").read_text(encoding="utf-8")
    return frozenset(row["id"] for row in csv.DictReader(text.splitlines()))


class Reading(msgspec.Struct, frozen=True):
    """What a record was read as."""

    weakness: str
    drawn: str
    """How it was picked: a fact about the order of reading, since every kernel record of the file has been read."""
    second: str | None = None
    """What a second reading, blind to the first, said."""
    stands_for: float = 1.0
    """How many records like it, where they were drawn by strata."""


def readings() -> dict[str, Reading]:
    """The training readings, of the kernel, RustSec and others, by id."""
    second = {row["id"]: row["class"] for row in _table("linux-second-readings.csv")}
    return {
        row["id"]: Reading(
            row["class"],
            row["drawn"],
            row.get("second") or second.get(row["id"]),
            float(row.get("stands_for", 1)),
        )
        for name in ("linux-readings.csv", "rustsec-readings.csv", "other-readings.csv")
        for row in _table(name)
    }


def _table(name: str) -> list[dict[str, str]]:
    text = files("preventable.data").joinpath(f"training/{name}").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def gist(record: Example | Row) -> str:
    """Its words, without regard to case and space: of two records with the same one the label of either tells both."""
    return " ".join(f"{record.title}\n{record.text}".lower().split())


def assemble(
    rows: Sequence[Row],
    taxonomy: Taxonomy,
    read: Mapping[str, Reading],
    excluded: Set[str],
) -> list[Example]:
    """Give every text the best label there is: its readings (either class, where two differ), else a specific CWE.

    Args:
        rows: texts.
        taxonomy: maps CWEs to classes; vague ones decide nothing.
        read: readings by id.
        excluded: ids (or aliases) that must not be used at all, nor other records of the very same words.
    """
    barred = {gist(row) for row in rows if row.id in excluded}
    examples = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if row.id in excluded or not excluded.isdisjoint(row.aliases) or (row.id, row.source) in seen:
            continue
        if gist(row) in barred or is_rejected(row.text):
            continue
        seen.add((row.id, row.source))
        if row.source == "rustsec":
            examples += _rust(row, read.get(row.id))
            continue
        weakness: str | None = None
        among: frozenset[str] = frozenset()
        weight, by, stands_for = 0.0, "none", 1.0
        if row.id in read:
            reading = read[row.id]
            said = frozenset((reading.weakness, reading.second or reading.weakness)) & frozenset(CLASSES)
            if said:  # a reading of ``unknown`` teaches nothing
                weight, by = READING_WEIGHTS.get(row.source, READING_WEIGHTS["kernel"]), "reading"
                weakness, among = (next(iter(said)), frozenset()) if len(said) == 1 else (None, said)
                stands_for = reading.stands_for
        elif row.source in CWE_WEIGHTS and row.cwe and not _repeats_title(row):
            decided = [c for cwe in row.cwe if (c := taxonomy.class_of_cwe(cwe)) is not None]
            if decided:
                weakness = min(decided, key=CLASSES.index)
                weight, by = CWE_WEIGHTS[row.source], "cwe"
                if row.source == "vr":
                    if weakness in COMMON and zlib.crc32(row.id.encode()) % 10:
                        continue
                    weakness, weight = _consequence(row, weakness, weight)
        if weight > 0:
            kin = frozenset(row.aliases)
            examples.append(
                Example(row.id, row.source, row.title, row.text, weakness, weight, by, stands_for, among, kin)
            )
    return examples


def _repeats_title(row: Row) -> bool:
    """Whether the text says no more than the title: mostly what an attacker gains, with a CWE that others know."""
    title, text = (" ".join(part.lower().split()) for part in (row.title, row.text))
    return bool(title) and text in ("", title)


def _rust(row: Row, reading: Reading | None) -> list[Example]:
    """A RustSec advisory: its reading, and where that contradicts the categories, what these say.

    A category names a set of classes ("memory-corruption": one of the strict ones). Where both speak, the set
    decides and the reading picks from it. Advisories about a package without a maintainer are no fault.
    """
    if row.cats is None:
        return []
    among: frozenset[str] = frozenset()
    if not CORRUPTION.isdisjoint(row.cats):
        among = STRICT
    elif row.cats and UNCLEAR.isdisjoint(row.cats):
        among = frozenset(CLASSES) - STRICT
    elif not row.cats and row.informational in ("unmaintained", "notice"):
        among = frozenset(CLASSES) - BROAD
    kin = frozenset((*row.aliases, *([f"package {row.package}"] if row.package else ())))
    weakness: str | None = None
    weight, by = (CATEGORY_WEIGHT, "category") if among else (0.0, "none")
    if reading is not None and reading.weakness in CLASSES and (not among or reading.weakness in among):
        weakness, weight, by = reading.weakness, READING_WEIGHTS["rustsec"], "reading"
    return [Example(row.id, row.source, row.title, row.text, weakness, weight, by, 1.0, among, kin)]


def _consequence(row: Row, weakness: str, weight: float) -> tuple[str | None, float]:
    """A CWE often names the trigger ("integer overflow"); the codebook wants what the text says that memory suffers.

    Not in the one paragraph of a CVE: those are labelled, and judged, as NVD does it, by the word that stands first.
    Deep recursion is sometimes filed under a stack overflow's CWE; such a record teaches nothing.
    """
    if weakness in TRIGGERS and words_of(row.title, row.text).genre != SENTENCE:
        found = matches(Advisory(row.id, "", "", row.title, row.text))
        if found and found[0].weakness in STRICT and not _shift(found):
            return found[0].weakness, weight / 4
    if weakness == "spatial" and "recurs" in row.text.lower():
        return None, 0.0
    return weakness, weight


def _shift(found: Sequence[Match]) -> bool:
    """Whether the rules saw a shift out of bounds, whose last words they would take for an access."""
    return any("shift" in m.words.lower() for m in found)

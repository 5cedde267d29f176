"""Labelled texts to learn from: what each record's readings, CWEs, categories or rules say of its class.

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
from preventable.classify.words import SENTENCE, words_of
from preventable.errors import FormatError, InputError
from preventable.readers.sources import ZstdFrames
from preventable.records import Advisory
from preventable.taxonomy.loader import Taxonomy

CLASSES: tuple[str, ...] = PRECEDENCE
READING_WEIGHTS = {"random": 6.0, "mixed": 3.0, "uncertain": 3.0}
"""By how a record was drawn: those picked for being hard count half, lest they decide how common a class is."""
CATEGORY_WEIGHT = 3.0
CWE_WEIGHTS = {"nluedtke": 6.0, "vr-kernel": 1.0, "vr": 0.7}
RULE_WEIGHT = 0.6
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
    """``reading``, ``cwe``, ``category``, ``rules`` or ``none``."""
    among: frozenset[str] = frozenset()
    """Classes of which it is one, where no single one is known."""
    group: str = ""
    """Records of one group (one package, one fault) are held out together."""


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
                rows.append(decoder.decode(line))
            except msgspec.MsgspecError as error:
                raise FormatError(f"not a training record: {error}", file=str(path), record=f"line {number}") from error
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


def readings() -> dict[str, tuple[str, str]]:
    """The training readings, kernel and RustSec: id to (class, how it was drawn)."""
    found = {}
    for name in ("linux-readings.csv", "rustsec-readings.csv"):
        text = files("preventable.data").joinpath(f"training/{name}").read_text(encoding="utf-8")
        found.update({row["id"]: (row["class"], row["drawn"]) for row in csv.DictReader(text.splitlines())})
    return found


def assemble(
    rows: Sequence[Row],
    taxonomy: Taxonomy,
    read: Mapping[str, tuple[str, str]],
    excluded: Set[str],
) -> list[Example]:
    """Give every text the best label there is: a reading, a specific CWE, else the rules' word.

    Args:
        rows: texts.
        taxonomy: maps CWEs to classes; vague ones decide nothing.
        read: readings, id to class and how it was drawn.
        excluded: ids (or aliases) that must not be used at all.
    """
    examples = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if row.id in excluded or not excluded.isdisjoint(row.aliases) or (row.id, row.source) in seen:
            continue
        seen.add((row.id, row.source))
        if row.source == "rustsec":
            examples += _rust(row, read.get(row.id))
            continue
        weakness: str | None = None
        weight, by = 0.0, "none"
        if row.id in read:
            weakness, drawn = read[row.id]
            weight, by = READING_WEIGHTS[drawn], "reading"
        elif row.source in CWE_WEIGHTS and row.cwe:
            decided = [c for cwe in row.cwe if (c := taxonomy.class_of_cwe(cwe)) is not None]
            if decided:
                weakness = min(decided, key=CLASSES.index)
                weight, by = CWE_WEIGHTS[row.source], "cwe"
                if row.source == "vr":
                    if weakness in COMMON and zlib.crc32(row.id.encode()) % 10:
                        continue
                    weakness, weight = _consequence(row, weakness, weight)
        elif row.source == "kernel":
            weakness, weight = rule_label(matches(Advisory(row.id, "", "", row.title, row.text)))
            by = "rules" if weakness else "none"
        if weakness is None and row.source not in ("kernel", "nluedtke"):
            continue
        if weakness not in CLASSES:  # a reading of ``unknown``
            weakness, weight, by = None, 0.0, "none"
        examples.append(Example(row.id, row.source, row.title, row.text, weakness, weight, by))
    return examples


def _rust(row: Row, reading: tuple[str, str] | None) -> list[Example]:
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
    group = min((a for a in row.aliases if a.startswith("CVE")), default=row.package)
    weakness: str | None = None
    weight, by = (CATEGORY_WEIGHT, "category") if among else (0.0, "none")
    if reading is not None and reading[0] in CLASSES and (not among or reading[0] in among):
        weakness, weight, by = reading[0], READING_WEIGHTS[reading[1]], "reading"
    return [Example(row.id, row.source, row.title, row.text, weakness, weight, by, among, group)]


def _consequence(row: Row, weakness: str, weight: float) -> tuple[str | None, float]:
    """A CWE often names the trigger ("integer overflow"); the codebook wants what the text says that memory suffers.

    Not in the one paragraph of a CVE: those are labelled, and judged, as NVD does it, by the word that stands first.
    Deep recursion is sometimes filed under a stack overflow's CWE; such a record teaches nothing.
    """
    if weakness in TRIGGERS and words_of(row.title, row.text).genre != SENTENCE:
        by_rules, _ = rule_label(matches(Advisory(row.id, "", "", row.title, row.text)))
        if by_rules in STRICT:
            return by_rules, weight / 4
    if weakness == "spatial" and "recurs" in row.text.lower():
        return None, 0.0
    return weakness, weight


def rule_label(found: Sequence[Match]) -> tuple[str | None, float]:
    """The rules' class and how far to trust it: less from the body, much less when classes compete."""
    if not found:
        return None, 0.0
    best = found[0]
    if best.weakness == "spatial" and any("shift" in m.words.lower() for m in found):
        return "integer", 0.4
    weight = RULE_WEIGHT if best.kind == "signature" or best.field == "title" else RULE_WEIGHT / 2
    if any(m.weakness != best.weakness and m.strength >= best.strength - 12 for m in found):
        weight *= 0.35
    return best.weakness, weight

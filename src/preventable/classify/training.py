"""Learns the model from labelled texts: readings of kernel records, specific CWEs, and rules where nothing else tells.

What each source weighs, and why, is in docs/model-card.md. Audit records are left out by id and by alias.
"""

from __future__ import annotations

import csv
import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import zstandard
from scipy import sparse

from preventable.classify.features import CHAIN_TERMS, keys_of, make_vocabulary, rows_of
from preventable.classify.labeller import PRECEDENCE
from preventable.classify.model import (
    MODEL_VERSION,
    Calibration,
    Card,
    ModelLabeller,
    lead,
    load_model,
    logit,
    model_arrays,
)
from preventable.classify.regression import Softmax, fit_logistic, fit_softmax, fit_temperature, softmax
from preventable.classify.text_rules import Match, matches
from preventable.classify.words import SENTENCE, Words, words_of
from preventable.errors import FormatError, InputError
from preventable.records import Advisory
from preventable.taxonomy.loader import Taxonomy

F32 = npt.NDArray[np.float32]

CLASSES: tuple[str, ...] = PRECEDENCE
READING_WEIGHTS = {"random": 6.0, "mixed": 3.0, "uncertain": 3.0}
"""By how a record was drawn: those picked for being hard count half, lest they decide how common a class is."""
CATEGORY_WEIGHT = 3.0
CWE_WEIGHTS = {"nluedtke": 6.0, "vr-kernel": 1.0, "vr": 0.7}
RULE_WEIGHT = 0.6
COMMON = frozenset(("injection", "access-control", "path"))
"""Classes of which the non-kernel data holds thousands: one in ten is kept."""
TRIGGERS = frozenset(("integer", "race", "error-handling", "logic"))
MIN_RECORDS_PER_WORD = 8
MIN_RECORDS_PER_KEY = 8
MAX_FEATURES = 52_000
MIN_TAUGHT = 50
"""Labelled texts that no fold holds out: every fit starts from them."""
PENALTY = 2e-5
TEACHER_TRUST = 0.4
DOUBT = 0.15
"""A rule's label to which the first fit gives less than this is dropped."""
SURE = 0.8
SURE_WEIGHT = 0.2
FOLDS = 4
JUDGED = frozenset(("kernel", "nluedtke", "rustsec"))
"""Sources whose readings, CWEs and categories are held out in turn."""
CALIBRATED_ON = ("kernel", "nluedtke", "rustsec")
"""By genre of text, the source on whose held-out predictions it is calibrated."""

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


class _Row(msgspec.Struct, frozen=True):
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


class Trained(msgspec.Struct, frozen=True):
    """A fitted model with its out-of-fold probabilities, from which accuracy may be told."""

    labeller: ModelLabeller
    examples: tuple[Example, ...]
    held_out: F32
    """Shape (n, c); rows of examples that are not judged are zero."""
    chances: dict[str, npt.NDArray[np.float64]]
    """``strict`` and ``broad``, shape (n,): calibrated on the other folds."""
    judged: npt.NDArray[np.bool_]
    """Which examples were held out in turn."""


def read_rows(path: Path) -> tuple[list[_Row], str]:
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
    decoder = msgspec.json.Decoder(_Row)
    rows: list[_Row] = []
    for number, line in enumerate(raw.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(decoder.decode(line))
            except msgspec.MsgspecError as error:
                raise FormatError(f"not a training record: {error}", file=str(path), record=f"line {number}") from error
    return rows, digest


def _unpacked(data: bytes, path: Path) -> bytes:
    """All frames of zstd data; a stream reader would take a truncated one for whole."""
    parts = []
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            parts.append(frame.decompress(data))
        except zstandard.ZstdError as error:
            raise FormatError(f"damaged zstd data: {error}", file=str(path)) from error
        if not frame.eof:
            raise FormatError("truncated zstd data", file=str(path), hint="Fetch the file again")
        data = frame.unused_data
    return b"".join(parts)


def check_enough(examples: Sequence[Example], rows: int, path: Path) -> None:
    """That there are texts to learn from.

    Args:
        examples: what ``assemble`` made of the rows.
        rows: how many the file holds.
        path: the file.
    Raises:
        InputError: fewer than ``MIN_TAUGHT`` labelled texts that no fold holds out.
    """
    outside = _held_out_ids(examples)
    taught = [e for e in examples if e.weight > 0 and e.id not in outside]
    if len(taught) < MIN_TAUGHT:
        raise InputError(
            f"too few rows to learn from: {rows:,} rows, of which {len(taught):,} have a label and are not held out; "
            f"at least {MIN_TAUGHT} of these are needed",
            file=str(path),
            hint="Give more records with a specific CWE; those of the kernel and of RustSec are held out in turn",
        )


def _judged(e: Example) -> bool:
    return e.source == "rustsec" or (e.by in ("reading", "cwe") and e.source in JUDGED)


def _held_out_ids(examples: Sequence[Example]) -> set[str]:
    return {e.id for e in examples if _judged(e)}


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
    rows: Sequence[_Row],
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


def _rust(row: _Row, reading: tuple[str, str] | None) -> list[Example]:
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


def _consequence(row: _Row, weakness: str, weight: float) -> tuple[str | None, float]:
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


def train(
    examples: Sequence[Example],
    digest: str,
    taxonomy: Taxonomy,
    *,
    iterations: int = 40,
    said: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Fit, calibrate on held-out folds, prune, and fit again.

    Args:
        examples: from ``assemble``.
        digest: of the data, written into the model.
        taxonomy: whose methodologies are calibrated.
        iterations: of the first fit; later ones start from it.
        said: told what is being done.
    Raises:
        InputError: the texts share no word.
    """
    words = [words_of(e.title, e.text) for e in examples]
    said(f"{len(examples)} texts to words")
    vocabulary, keys = _count(words)
    if not vocabulary:
        raise InputError(
            f"no word stands in {MIN_RECORDS_PER_WORD} of the {len(examples):,} texts", hint="Give records with texts"
        )
    x = _matrix(words, vocabulary, keys)
    targets, weights = _targets(examples)
    said(f"{x.shape[1]} features, {x.nnz} values")
    first = fit_softmax(x, targets, weights, penalty=PENALTY, iterations=iterations)
    kept = _most_important(first, x)
    keys, x, first = keys[kept], x[:, kept].tocsr(), Softmax(first.weights_[kept], first.bias_)
    said(f"{len(keys)} features kept")
    judged = np.array([_judged(e) for e in examples])
    ids = _held_out_ids(examples)
    outside = np.array([e.id in ids for e in examples])
    start = fit_softmax(
        x, targets, np.where(outside, 0, weights).astype(np.float32), penalty=PENALTY, iterations=iterations
    )
    fold = np.array([zlib.crc32((e.group or e.id).encode()) % FOLDS for e in examples])
    weak = np.array([e.source == "kernel" and e.by in ("rules", "none") for e in examples])
    scores = np.zeros(targets.shape, dtype=np.float32)
    for k in range(FOLDS):
        out = outside & (fold == k)
        fitted = _fit_doubting(x, targets, weights, weak, out, start, iterations // 2)
        scores[out] = x[out] @ fitted.weights_ + fitted.bias_
        said(f"fold {k + 1} of {FOLDS}")
    final = _fit_doubting(x, targets, weights, weak, np.zeros(len(weak), dtype=bool), first, iterations // 2)
    genre = np.array([w.genre for w in words])
    temperature, held_out, chances, calibrations = _calibrate(examples, scores, judged, genre, fold, taxonomy)
    card = Card(
        MODEL_VERSION,
        CLASSES,
        digest,
        dict(sorted(Counter(f"{e.source}/{e.by}" for e in examples).items())),
        temperature,
        calibrations,
        "Apache-2.0",
        "single words, signatures of sanitizers, and groups of at most three words; no text of any record",
    )
    used, remap = _used_words(vocabulary, keys)
    labeller = ModelLabeller(make_vocabulary(used, remap), final.weights_, final.bias_, card, taxonomy)
    return Trained(labeller, tuple(examples), held_out, chances, judged)


def _fit_doubting(
    x: sparse.csr_matrix,
    targets: F32,
    weights: F32,
    weak: npt.NDArray[np.bool_],
    out: npt.NDArray[np.bool_],
    start: Softmax,
    iterations: int,
) -> Softmax:
    """Fit twice: the first fit, which trusts weak labels less, says which of them to drop and fills gaps it is sure of.

    Rows of ``out`` take part in neither fit.
    """
    used = np.where(out, 0, weights).astype(np.float32)
    teacher = fit_softmax(
        x, targets, np.where(weak, used * TEACHER_TRUST, used), penalty=PENALTY, start=start, iterations=iterations
    )
    p = teacher.probabilities(x)
    doubted = weak & (used > 0) & ((p * targets).sum(axis=1) < DOUBT)
    sure = weak & ~out & ((used == 0) | doubted) & (p.max(axis=1) > SURE)
    taught, trust = targets.copy(), used.copy()
    trust[doubted] = 0
    taught[sure] = 0
    taught[sure, p[sure].argmax(axis=1)] = 1
    trust[sure] = SURE_WEIGHT
    return fit_softmax(x, taught, trust, penalty=PENALTY, start=teacher, iterations=iterations)


def save(trained: Trained, path: Path) -> ModelLabeller:
    """Write the model file and read it back, so that what is measured is what ships."""
    model = trained.labeller
    arrays = model_arrays(model.words, model.vocabulary.keys, model.weights, model.bias, model.card)
    with path.open("wb") as stream:  # by name, NumPy would add a suffix of its own
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    return load_model(path, model.taxonomy)


def _count(words: Sequence[Words]) -> tuple[list[bytes], npt.NDArray[np.uint64]]:
    frequency: Counter[bytes] = Counter()
    for w in words:
        frequency.update({*w.title, *w.body})
    ranked = sorted(
        (w for w, n in frequency.items() if n >= MIN_RECORDS_PER_WORD and len(w) < 32), key=lambda w: (-frequency[w], w)
    )
    vocabulary = ranked[:60_000]
    numbers = {w: i for i, w in enumerate(vocabulary, start=1)}
    chain = frozenset(numbers[t] for t in CHAIN_TERMS if t in numbers)
    once = []
    for start in range(0, len(words), 2000):
        keys, rows = keys_of(words[start : start + 2000], numbers, chain)
        order = np.lexsort((keys, rows))
        keys, rows = keys[order], rows[order]
        new = np.ones(len(keys), dtype=bool)
        new[1:] = (keys[1:] != keys[:-1]) | (rows[1:] != rows[:-1])
        once.append(keys[new])
    unique, count = np.unique(np.concatenate(once), return_counts=True)
    order = np.argsort(-count, kind="stable")
    return vocabulary, unique[order][count[order] >= MIN_RECORDS_PER_KEY]


def _matrix(words: Sequence[Words], vocabulary: Sequence[bytes], keys: npt.NDArray[np.uint64]) -> sparse.csr_matrix:
    tables = make_vocabulary(vocabulary, keys)
    parts = [rows_of(words[i : i + 1000], tables) for i in range(0, len(words), 1000)]
    base = np.cumsum([0, *(p.starts[-1] for p in parts)])
    starts = np.concatenate([[0], *(p.starts[1:] + b for p, b in zip(parts, base, strict=False))])
    values, columns = np.concatenate([p.values for p in parts]), np.concatenate([p.columns for p in parts])
    return sparse.csr_matrix((values, columns, starts), shape=(len(words), len(keys)))


def _targets(examples: Sequence[Example]) -> tuple[F32, F32]:
    targets = np.ones((len(examples), len(CLASSES)), dtype=np.float32)
    for i, e in enumerate(examples):
        known = {e.weakness} if e.weakness is not None else e.among
        if known:
            targets[i] = [c in known for c in CLASSES]
    return targets, np.array([e.weight for e in examples], dtype=np.float32)


def _most_important(model: Softmax, x: sparse.csr_matrix) -> npt.NDArray[np.intp]:
    spread = model.weights_ - model.weights_.mean(axis=1, keepdims=True)
    used = np.sqrt(np.asarray(x.multiply(x).sum(axis=0)).ravel())
    order = np.argsort(-np.abs(spread).max(axis=1) * used, kind="stable")[:MAX_FEATURES]
    return np.sort(order)


def _used_words(
    vocabulary: Sequence[bytes], keys: npt.NDArray[np.uint64]
) -> tuple[list[bytes], npt.NDArray[np.uint64]]:
    mask = np.uint64(0xFFFF)
    style = (keys >> np.uint64(48)) == 8
    parts = [np.where(style, np.uint64(0), (keys >> np.uint64(s)) & mask) for s in (32, 16, 0)]
    numbers = np.unique(np.concatenate([p[~style] for p in parts]))
    terms = {i for i, w in enumerate(vocabulary, start=1) if w in set(CHAIN_TERMS)}
    numbers = np.union1d(numbers[numbers > 0], np.array(sorted(terms), dtype=np.uint64))
    renumber = np.zeros(len(vocabulary) + 1, dtype=np.uint64)
    renumber[numbers.astype(np.int64)] = np.arange(1, len(numbers) + 1, dtype=np.uint64)
    a, b, c = (renumber[p.astype(np.int64)] for p in parts)
    zone = keys >> np.uint64(48) << np.uint64(48)
    mapped = zone | a << np.uint64(32) | b << np.uint64(16) | c
    return [vocabulary[int(n) - 1] for n in numbers], np.where(style, keys, mapped)


def _calibrate(
    examples: Sequence[Example],
    scores: F32,
    judged: npt.NDArray[np.bool_],
    genre: npt.NDArray[np.intp],
    fold: npt.NDArray[np.intp],
    taxonomy: Taxonomy,
) -> tuple[tuple[float, float, float], F32, dict[str, npt.NDArray[np.float64]], dict[str, Calibration]]:
    """Temperature, then slope and offset by methodology, each by genre, all on held-out folds.

    Only readings that were drawn at random count, since the others were picked for being hard. A category counts for a
    methodology whose classes hold all or none of those that it names.
    """
    drawn = readings()
    random = np.array([drawn[e.id][1] == "random" if e.by == "reading" else e.by != "rules" for e in examples])
    truth = np.array([CLASSES.index(e.weakness) if e.weakness else -1 for e in examples])
    known = np.array([[c == e.weakness or (not e.weakness and c in e.among) for c in CLASSES] for e in examples])
    of_genre = [judged & random & np.array([e.source == source for e in examples]) for source in CALIBRATED_ON]
    held_out = np.zeros_like(scores)
    temperature = []
    for g, use in enumerate(u & (truth >= 0) for u in of_genre):
        t = fit_temperature(scores[use], truth[use]) if use.sum() >= 200 else 1.0
        temperature.append(t)
        held_out[genre == g] = softmax(scores[genre == g] * np.float32(t))
    held_out[~judged] = 0
    calibrations = {}
    chances = {}
    for name, methodology in taxonomy.methodologies.items():
        counted = np.array([methodology.counts(c, taxonomy.cwe_of(c, None)) for c in CLASSES])
        evidence = np.column_stack([logit(held_out[:, counted].sum(axis=1)), lead(held_out, counted)])
        fits = []
        chances[name] = np.zeros(len(scores))
        yes, no = (known & counted).any(axis=1), (known & ~counted).any(axis=1)
        for g, use in enumerate(u & (yes != no) for u in of_genre):
            enough = use.sum() >= 200
            fits.append(fit_logistic(evidence[use], yes[use]) if enough else (1.0, 0.0, 0.0))
            for k in range(FOLDS):
                other, here = use & (fold != k), (genre == g) & (fold == k)
                slope, of_lead, offset = fit_logistic(evidence[other], yes[other]) if enough else (1.0, 0.0, 0.0)
                chances[name][here] = 1 / (1 + np.exp(-(evidence[here] @ (slope, of_lead) + offset)))
        calibrations[name] = Calibration(*fits)
    return (temperature[0], temperature[1], temperature[2]), held_out, chances, calibrations


def held_out_rows(trained: Trained) -> list[dict[str, object]]:
    """One row per judged example with its chances from the fold that did not see it: facts, no text."""
    drawn = readings()
    rows: list[dict[str, object]] = []
    for i, (example, p) in enumerate(zip(trained.examples, trained.held_out, strict=True)):
        if trained.judged[i]:
            rows.append(
                {
                    "id": example.id,
                    "source": example.source,
                    "drawn": drawn[example.id][1] if example.id in drawn else "all",
                    "truth": drawn[example.id][0] if example.id in drawn else example.weakness,
                    "predicted": CLASSES[int(p.argmax())],
                    "strict": round(float(trained.chances["strict"][i]), 5),
                    "broad": round(float(trained.chances["broad"][i]), 5),
                }
            )
    return rows

"""Learns the model from labelled texts (see ``examples``) and calibrates it on folds that each fit did not see."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import sparse

from preventable.classify.examples import CLASSES, Example, readings
from preventable.classify.features import CHAIN_TERMS, keys_of, make_vocabulary, rows_of
from preventable.classify.model import (
    MODEL_VERSION,
    Calibration,
    Card,
    ModelLabeller,
    choose,
    held_out_arrays,
    lead,
    load_model,
    logit,
    model_arrays,
)
from preventable.classify.regression import Softmax, fit_logistic, fit_softmax, fit_temperature, softmax
from preventable.classify.words import Words, words_of
from preventable.errors import InputError
from preventable.taxonomy.loader import Taxonomy

F32 = npt.NDArray[np.float32]

MIN_RECORDS_PER_WORD = 8
MIN_RECORDS_PER_KEY = 8
MAX_FEATURES = 52_000
MIN_TAUGHT = 50
"""Labelled texts that no fold holds out: every fit starts from them."""
PENALTY = 2e-5
RARE = 5.0
"""Logarithm of how rare a feature is whose weight the ridge holds as if unscaled."""
FOLDS = 4
JUDGED = frozenset(("kernel", "nluedtke", "rustsec"))
"""Sources whose readings, CWEs and categories are held out in turn."""
CALIBRATED_ON = ("kernel", "nluedtke", "rustsec")
"""By genre of text, the source on whose held-out predictions it is calibrated."""


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

    The ridge holds a rare n-gram less than a common one: every feature is scaled by its rarity, log(n / records with
    it), while weights are fitted, and the factor moves into the weights at the end.
    """
    words = [words_of(e.title, e.text) for e in examples]
    said(f"{len(examples)} texts to words")
    vocabulary, keys = _count(words)
    if not vocabulary:
        raise InputError(
            f"no word stands in {MIN_RECORDS_PER_WORD} of the {len(examples):,} texts", hint="Give records with texts"
        )
    x = _matrix(words, vocabulary, keys)
    rarity = _rarity(x)
    x.data *= rarity[x.indices]
    targets, weights = _targets(examples)
    said(f"{x.shape[1]} features, {x.nnz} values")
    first = fit_softmax(x, targets, weights, penalty=PENALTY, iterations=iterations)
    kept = _most_important(first, x)
    keys, x, rarity, first = keys[kept], x[:, kept].tocsr(), rarity[kept], Softmax(first.weights_[kept], first.bias_)
    said(f"{len(keys)} features kept")
    judged = np.array([_judged(e) for e in examples])
    ids = _held_out_ids(examples)
    outside = np.array([e.id in ids for e in examples])
    start = fit_softmax(
        x, targets, np.where(outside, 0, weights).astype(np.float32), penalty=PENALTY, iterations=iterations
    )
    fold = np.array([zlib.crc32((e.group or e.id).encode()) % FOLDS for e in examples])
    scores = np.zeros(targets.shape, dtype=np.float32)
    for k in range(FOLDS):
        out = outside & (fold == k)
        known = np.where(out, 0, weights).astype(np.float32)
        fitted = fit_softmax(x, targets, known, penalty=PENALTY, start=start, iterations=iterations)
        scores[out] = x[out] @ fitted.weights_ + fitted.bias_
        said(f"fold {k + 1} of {FOLDS}")
    final = fit_softmax(x, targets, weights, penalty=PENALTY, start=first, iterations=iterations)
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
    labeller = ModelLabeller(
        make_vocabulary(used, remap), final.weights_ * rarity[:, None], final.bias_, card, taxonomy
    )
    return Trained(labeller, tuple(examples), held_out, chances, judged)


def save(trained: Trained, path: Path) -> ModelLabeller:
    """Write the model file and read it back, so that what is measured is what ships."""
    model = trained.labeller
    arrays = model_arrays(model.words, model.vocabulary.keys, model.weights, model.bias, model.card)
    held = [(str(r["id"]), CLASSES.index(str(r["predicted"]))) for r in held_out_rows(trained)]
    arrays |= held_out_arrays(dict(held))
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


def _rarity(x: sparse.csr_matrix) -> F32:
    """One factor per feature, about 1 in the middle of the range, never 0. Shape (d,)."""
    records = np.maximum(np.bincount(x.indices, minlength=x.shape[1]), 1)
    rarity: F32 = (np.maximum(np.log(x.shape[0] / records), 0.05) / RARE).astype(np.float32)
    return rarity


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

    A category, or a pair of readings, counts for a methodology whose classes hold all or none of those that it names.
    """
    truth = np.array([CLASSES.index(e.weakness) if e.weakness else -1 for e in examples])
    known = np.array([[c == e.weakness or (not e.weakness and c in e.among) for c in CLASSES] for e in examples])
    of_genre = [judged & np.array([e.source == source for e in examples]) for source in CALIBRATED_ON]
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


def held_out_rows(trained: Trained) -> list[dict[str, str | float | None]]:
    """One row per judged example with its chances from the fold that did not see it: facts, no text."""
    read = readings()
    rows: list[dict[str, str | float | None]] = []
    chosen = choose(trained.held_out, trained.chances["strict"], trained.chances["broad"], CLASSES)
    for i, (example, c) in enumerate(zip(trained.examples, chosen, strict=True)):
        if trained.judged[i]:
            rows.append(
                {
                    "id": example.id,
                    "source": example.source,
                    "drawn": read[example.id].drawn if example.id in read else "all",
                    "truth": read[example.id].weakness if example.id in read else example.weakness,
                    "predicted": CLASSES[int(c)],
                    "strict": round(float(trained.chances["strict"][i]), 5),
                    "broad": round(float(trained.chances["broad"][i]), 5),
                }
            )
    return rows

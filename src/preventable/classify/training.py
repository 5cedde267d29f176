"""Learns the model from labelled texts (see ``examples``) and calibrates it on folds that each fit did not see."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from preventable.classify.examples import CLASSES, Example, Row, gist, readings
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
    read_held_out,
    tier_chances,
)
from preventable.classify.regression import fit_logistic, fit_softmax, fit_temperature, softmax
from preventable.classify.words import Words, words_of
from preventable.errors import InputError
from preventable.taxonomy.loader import Taxonomy

F32 = npt.NDArray[np.float32]

MIN_RECORDS_PER_WORD = 8
MIN_RECORDS_PER_KEY = 8
ENOUGH = 200
"""Texts from which a temperature or a slope is fitted."""
MIN_TAUGHT = 50
"""Labelled texts."""
PENALTY = 2e-5
RARE = 5.0
"""Logarithm of how rare a feature is whose weight the ridge holds as if unscaled."""
FOLDS = 8
CALIBRATED_ON = ("kernel", "nluedtke", "vr", "rustsec")
"""By genre of text, the source on whose held-out predictions it is calibrated; of CISA's records those that were read,
since its labels are too noisy for it."""


class _Held(msgspec.Struct, frozen=True):
    """Texts, and how they score in the fit that did not see them."""

    examples: tuple[Example, ...]
    scores: F32
    """Shape (n, c)."""
    genre: npt.NDArray[np.intp]
    fold: npt.NDArray[np.intp]


class _Labels(msgspec.Struct, frozen=True):
    """Class, and chances to be strict and broad, each of shape (n,)."""

    chosen: npt.NDArray[np.intp]
    strict: F32
    broad: F32


class Trained(msgspec.Struct, frozen=True):
    """A fitted model, and what fits that had not seen them say of the texts it learned from."""

    labeller: ModelLabeller
    examples: tuple[Example, ...]
    held_out: npt.NDArray[np.intp]
    """Shape (n,): the class that the fit gives which did not see the text."""
    chances: dict[str, npt.NDArray[np.float64]]
    """``strict`` and ``broad``, shape (n,): of the same fit, calibrated on the other folds."""
    asked: dict[str, tuple[int, ...]]
    """By id of a text that taught nothing, the class that each fold's fit gives."""


def check_enough(examples: Sequence[Example], rows: int, path: Path) -> None:
    """That there are texts to learn from.

    Args:
        examples: what ``assemble`` made of the rows.
        rows: how many the file holds.
        path: the file.
    Raises:
        InputError: fewer than ``MIN_TAUGHT`` labelled texts.
    """
    taught = sum(e.weight > 0 for e in examples)
    if taught < MIN_TAUGHT:
        raise InputError(
            f"too few rows to learn from: {rows:,} rows, of which {taught:,} have a label; at least {MIN_TAUGHT} are "
            "needed",
            file=str(path), hint="Give more records with a specific CWE",
        )  # fmt: skip


def train(
    examples: Sequence[Example],
    digest: str,
    taxonomy: Taxonomy,
    *,
    ask: Sequence[Row] = (),
    iterations: int = 200,
    said: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Fit on all texts but those of each fold in turn, calibrate on what these fits say of it, and fit on all.

    Args:
        examples: from ``assemble``.
        digest: of the data, written into the model.
        taxonomy: whose methodologies are calibrated.
        ask: texts that teach nothing, of which every fold's fit is asked: an audit's, so that the labels of its records
            come from the same fits as those of all others.
        iterations: of each fit, at most; it ends after about 170, when nothing is gained any more.
        said: told what is being done.
    Raises:
        InputError: the texts share no word, or so many share a name that a fold has nothing to learn from.

    The ridge holds a rare n-gram less than a common one: every feature is scaled by its rarity, log(n / records with
    it), while weights are fitted, and the factor moves into the weights at the end. Which features there are follows
    from counts alone, never from labels.
    """
    words = [words_of(e.title, e.text) for e in examples]
    said(f"{len(examples)} texts to words")
    vocabulary, keys = _count(words)
    if not vocabulary:
        raise InputError(
            f"no word stands in {MIN_RECORDS_PER_WORD} of the {len(examples):,} texts", hint="Give records with texts"
        )
    x = _matrix(words, vocabulary, keys)
    asked_words = [words_of(r.title, r.text) for r in ask]
    asked = _matrix(asked_words, vocabulary, keys)
    rarity = _rarity(x)
    for matrix in (x, asked):
        matrix.data *= rarity[matrix.indices]
    targets, weights = _targets(examples)
    said(f"{x.shape[1]} features, {x.nnz} values")
    fold = _folds(examples)
    if len(set(fold[weights > 0])) < 2:
        raise InputError(
            f"all {(weights > 0).sum():,} labelled texts belong together (by id, alias, package or text), so that none "
            "can be held out", hint="Give records of more than one fault",
        )  # fmt: skip
    scores = np.zeros(targets.shape, dtype=np.float32)
    asked_scores = []
    for k in range(FOLDS):
        out = fold == k
        known = np.where(out, 0, weights).astype(np.float32)
        fitted = fit_softmax(x, targets, known, penalty=PENALTY, iterations=iterations)
        scores[out] = x[out] @ fitted.weights_ + fitted.bias_
        asked_scores.append(asked @ fitted.weights_ + fitted.bias_)
        said(f"fold {k + 1} of {FOLDS}")
    final = fit_softmax(x, targets, weights, penalty=PENALTY, iterations=iterations)
    held = _Held(tuple(examples), scores, np.array([w.genre for w in words]), fold)
    asked_genre = np.array([w.genre for w in asked_words], dtype=np.intp)
    chosen = np.zeros(len(examples), dtype=np.intp)
    chances = {name: np.zeros(len(examples)) for name in ("strict", "broad")}
    of_asked = []
    for k in range(FOLDS):
        temperature, calibrations = _calibrate(held, fold != k, taxonomy)
        here = fold == k
        label = _labels(scores[here], held.genre[here], temperature, calibrations)
        chosen[here] = label.chosen
        chances["strict"][here], chances["broad"][here] = label.strict, label.broad
        of_asked.append(_labels(asked_scores[k], asked_genre, temperature, calibrations).chosen)
    temperature, calibrations = _calibrate(held, np.ones(len(examples), dtype=bool), taxonomy)
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
    by_fold = {r.id: tuple(int(c[i]) for c in of_asked) for i, r in enumerate(ask)}
    return Trained(labeller, tuple(examples), chosen, chances, by_fold)


def save(trained: Trained, path: Path) -> ModelLabeller:
    """Write the model file and read it back, so that what is measured is what ships."""
    model = trained.labeller
    arrays = model_arrays(model.words, model.vocabulary.keys, model.weights, model.bias, model.card)
    held = {id_: list(classes) for id_, classes in trained.asked.items()}
    for example, c in zip(trained.examples, trained.held_out, strict=True):
        held.setdefault(example.id, [int(c)])
    arrays |= held_out_arrays(held)
    with path.open("wb") as stream:  # by name, NumPy would add a suffix of its own
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    read_held_out(path)
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
    parts = [rows_of(words[i : i + 1000], tables) for i in range(0, max(len(words), 1), 1000)]
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


def _folds(examples: Sequence[Example]) -> npt.NDArray[np.intp]:
    """The fold of each, shape (n,): one for all that share an id, an alias, a package or their words.

    It is drawn by a digest of the first name. (CISA's common classes are thinned by another hash of the id.)
    """
    names: dict[str, int] = {}
    rows, columns = [], []
    for i, e in enumerate(examples):
        for name in (e.id, *e.kin, "text " + gist(e)):
            rows.append(i)
            columns.append(len(examples) + names.setdefault(name, len(names)))
    size = len(examples) + len(names)
    links = sparse.coo_matrix((np.ones(len(rows)), (np.array(rows), np.array(columns))), shape=(size, size))
    _, family = connected_components(links, directed=False)
    first: dict[int, str] = {}
    for name, number in names.items():
        known = int(family[len(examples) + number])
        first[known] = min(first.get(known, name), name)
    drawn = {f: hashlib.sha256(name.encode()).digest()[0] % FOLDS for f, name in first.items()}
    return np.array([drawn[int(f)] for f in family[: len(examples)]], dtype=np.intp)


def _calibrate(
    held: _Held, within: npt.NDArray[np.bool_], taxonomy: Taxonomy
) -> tuple[tuple[float, float, float, float], dict[str, Calibration]]:
    """Temperature, then slopes and offset by methodology, each by genre, from some of the texts.

    A category, or a pair of readings, counts for a methodology whose classes hold all or none of those that it names.

    Args:
        held: texts with the scores of fits that did not see them.
        within: shape (n,), which of them to use.
        taxonomy: the methodologies.
    Returns:
        Temperature by genre, calibration by methodology; 1 and (1, 0, 0) where fewer than ``ENOUGH`` texts tell.
    """
    examples = held.examples
    truth = np.array([CLASSES.index(e.weakness) if e.weakness else -1 for e in examples])
    known = np.array([[c == e.weakness or (not e.weakness and c in e.among) for c in CLASSES] for e in examples])
    weights = np.array([e.stands_for for e in examples])
    of_genre = [
        within & np.array([e.source == source and (e.source != "vr" or e.by == "reading") for e in examples])
        for source in CALIBRATED_ON
    ]
    temperature = []
    for use in (u & (truth >= 0) for u in of_genre):
        temperature.append(fit_temperature(held.scores[use], truth[use], weights[use]) if use.sum() >= ENOUGH else 1.0)
    p = softmax(held.scores * np.array(temperature, dtype=np.float32)[held.genre][:, None])
    calibrations = {}
    for name, methodology in taxonomy.methodologies.items():
        counted = np.array([methodology.counts(c, taxonomy.cwe_of(c, None)) for c in CLASSES])
        evidence = np.column_stack([logit(p[:, counted].sum(axis=1)), lead(p, counted)])
        yes, no = (known & counted).any(axis=1), (known & ~counted).any(axis=1)
        fits = [
            fit_logistic(evidence[use], yes[use], weights[use]) if use.sum() >= ENOUGH else (1.0, 0.0, 0.0)
            for use in (u & (yes != no) for u in of_genre)
        ]
        calibrations[name] = Calibration(*fits)
    return (temperature[0], temperature[1], temperature[2], temperature[3]), calibrations


def _labels(
    scores: F32,
    genre: npt.NDArray[np.intp],
    temperature: tuple[float, float, float, float],
    calibrations: dict[str, Calibration],
) -> _Labels:
    """What scores of shape (n, c) come to under a calibration."""
    p = softmax(scores * np.array(temperature, dtype=np.float32)[genre][:, None])
    strict, broad = tier_chances(p, genre, calibrations, CLASSES)
    return _Labels(choose(p, strict, broad, CLASSES), strict, broad)


def held_out_rows(trained: Trained) -> list[dict[str, str | float | None]]:
    """One row per text with its chances from the fold that did not see it: facts, no text."""
    read = readings()
    rows: list[dict[str, str | float | None]] = []
    for i, (example, c) in enumerate(zip(trained.examples, trained.held_out, strict=True)):
        reading = read.get(example.id) if example.by == "reading" or example.source == "rustsec" else None
        rows.append(
            {
                "id": example.id,
                "source": example.source,
                "drawn": reading.drawn if reading else "all",
                "stands_for": example.stands_for,
                "truth": reading.weakness if reading else example.weakness,
                "second": reading.second if reading else None,
                "predicted": CLASSES[int(c)],
                "strict": round(float(trained.chances["strict"][i]), 5),
                "broad": round(float(trained.chances["broad"][i]), 5),
            }
        )
    return rows

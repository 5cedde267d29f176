"""The learned labeller: text to calibrated class probabilities, with the words that decided. NumPy only.

p = softmax(T * (x W + b)); x holds the n-grams of a record (``features``), W what training found (``training``). The
chance that a record counts under a methodology is the sum over the classes it counts, calibrated once more.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from preventable.classify.features import (
    ZONES,
    Rows,
    Vocabulary,
    key_words,
    make_vocabulary,
    rows_of,
    zone_of,
)
from preventable.classify.words import GENRES, Words, is_rejected, words_of
from preventable.errors import FormatError
from preventable.records import Advisory, Label, LabelReason, Span
from preventable.taxonomy.loader import UNKNOWN, Taxonomy, builtin

F32 = npt.NDArray[np.float32]

BATCH = 256
"""Records turned into features at once."""
_GATHERED = 16
"""Records whose weights are gathered at once: few enough to stay in the cache."""
NO_NEWS = 0.15
"""A text whose words move the chances by less than this (Kullback-Leibler, in nats, from those of a text of the same
genre without words) says nothing that the model understands: no label and no chances."""
LEAST = 0.30
"""Where the class that the chances of the tiers allow is not likelier than this, nor its tier than one half, there is
no label; chances stand."""
FAINT = 0.10
"""A class that only its tier makes likely is not shown below this."""
BRIEF = 12
"""Records whose title and text have at most so many words each: every word weighs much there, whatever it is, so
that ..."""
LEAST_OF_BRIEF = 0.50
"""... more is asked of them."""
MODEL_VERSION = "4"
_DAMAGE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, msgspec.MsgspecError)
"""What reading a file raises that is not a model, or is a damaged one."""
_TIERS = (
    frozenset(("spatial", "temporal", "initialization", "type")),
    frozenset(("null", "race", "integer")),
)
"""Which class is given is decided from the top down: first whether any of these, then which one."""


class Calibration(msgspec.Struct, frozen=True):
    """logit p' = a * logit p + b * lead + c, one triple per genre of text (``words.GENRES``).

    p is the sum over the classes that count; the lead is that of the likeliest of them over the likeliest other one.
    """

    commit: tuple[float, float, float] = (1.0, 0.0, 0.0)
    sentence: tuple[float, float, float] = (1.0, 0.0, 0.0)
    other: tuple[float, float, float] = (1.0, 0.0, 0.0)
    rust: tuple[float, float, float] = (1.0, 0.0, 0.0)


class Card(msgspec.Struct, frozen=True):
    """What a model file says about itself."""

    version: str
    classes: tuple[str, ...]
    data_digest: str
    rows: dict[str, int]
    temperature: tuple[float, float, float, float]
    """By genre of text."""
    calibrations: dict[str, Calibration]
    """By methodology, and ``strict`` and ``broad`` in any case."""
    licence: str
    vocabulary: str


class _Versioned(msgspec.Struct, frozen=True):
    """The part of a card that every version has."""

    version: str


class Prediction(msgspec.Struct, frozen=True):
    """Labels with the probabilities behind them, in the order of the records."""

    labels: tuple[Label, ...]
    probabilities: F32
    """Shape (n, c)."""
    methodologies: dict[str, F32]
    """By methodology, shape (n,)."""


class ModelLabeller:
    """Labels records by their title and text alone.

    Args:
        vocabulary: words and n-grams.
        weights: shape (d, c), float32.
        bias: shape (c,).
        card: what the file says.
        taxonomy: whose methodologies are reported.
    """

    def __init__(
        self, vocabulary: Vocabulary, weights: F32, bias: F32, card: Card, taxonomy: Taxonomy | None = None
    ) -> None:
        self.card = card
        self.classes = card.classes
        self.taxonomy = taxonomy or builtin()
        self.vocabulary = vocabulary
        self.weights = weights
        self.bias = bias
        self.words = list(vocabulary.words)
        self._names: dict[int, tuple[str, str]] = {}
        self._silent = self._without_words()
        self._centred = weights - weights.mean(axis=1, keepdims=True)

    def label(self, advisory: Advisory) -> Label:
        """The class of one record and the words that decided."""
        return self.predict([advisory]).labels[0]

    def __call__(self, advisories: Sequence[Advisory]) -> Sequence[Label]:
        """Labels of many records, as everything that labels by text takes them."""
        return self.predict(advisories).labels

    def probabilities(self, advisories: Sequence[Advisory]) -> F32:
        """Calibrated class probabilities, shape (n, c), columns as ``classes``."""
        parts = [self._softmax(rows, genre) for rows, genre, _, _ in self._batches(advisories)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)), dtype=np.float32)

    def predict(self, advisories: Sequence[Advisory], *, reasons: int = 4) -> Prediction:
        """Labels, class probabilities and methodologies' probabilities.

        Args:
            advisories: any number of records.
            reasons: how many deciding word groups to name per record; 0 is faster.
        """
        labels: list[Label] = []
        found: list[F32] = []
        methodologies: dict[str, list[F32]] = {m: [] for m in self.taxonomy.methodologies}
        for rows, genre, size, batch in self._batches(advisories):
            p = self._softmax(rows, genre)
            found.append(p)
            for name, chances in self._methodologies(p, genre).items():
                methodologies[name].append(chances)
            chosen, likely, chances_of = self._choose(p, genre)
            words = self._reasons(rows, chosen, batch, reasons)
            news = (p * np.log(np.maximum(p, 1e-9) / self._silent[genre])).sum(axis=1)
            least = np.where(size <= BRIEF, LEAST_OF_BRIEF, LEAST)
            sure = likely | (p[np.arange(len(batch)), chosen] >= least)
            few = size <= BRIEF
            for advisory, c, row_p, tiers, why, told, known, brief in zip(
                batch, chosen, p, chances_of, words, news, sure, few, strict=True
            ):
                if told < NO_NEWS or (brief and not self._tells(advisory)):
                    labels.append(Label(advisory.id, UNKNOWN, "none"))
                elif not known:
                    doubt = self._doubt(row_p, tiers)
                    labels.append(Label(advisory.id, UNKNOWN, "none", None, (LabelReason("model", doubt, "model"),)))
                else:
                    weakness = self.classes[c]
                    cwe = self.taxonomy.cwe_of(weakness, None)
                    first = LabelReason("model", f"{weakness} {row_p[c]:.0%}", "model")
                    labels.append(Label(advisory.id, weakness, "model", cwe, (first, *why)))
        return Prediction(
            tuple(labels),
            np.concatenate(found) if found else np.zeros((0, len(self.classes)), dtype=np.float32),
            {m: np.concatenate(v) if v else np.zeros(0, dtype=np.float32) for m, v in methodologies.items()},
        )

    def _tells(self, advisory: Advisory) -> bool:
        """Whether a record has any known word of more than one letter."""
        words = words_of(advisory.title, advisory.text)
        return any(len(w) > 1 and w in self.vocabulary.words for w in (*words.title, *words.body))

    def _without_words(self) -> F32:
        """Chances of a text of each genre of which no word is known, shape (genres, c)."""
        rows = rows_of([Words([], [], genre) for genre in range(len(GENRES))], self.vocabulary)
        chances: F32 = np.maximum(self._softmax(rows, np.arange(len(GENRES))), np.float32(1e-9))
        return chances

    def scores(self, advisories: Sequence[Advisory]) -> F32:
        """Uncalibrated scores, shape (n, c); for training and tests."""
        parts = [self._scores(rows) for rows, _, _, _ in self._batches(advisories)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.classes)), dtype=np.float32)

    def _batches(
        self, advisories: Sequence[Advisory]
    ) -> Iterator[tuple[Rows, npt.NDArray[np.intp], npt.NDArray[np.intp], Sequence[Advisory]]]:
        for start in range(0, len(advisories), BATCH):
            batch = advisories[start : start + BATCH]
            words = [words_of(a.title, a.text) for a in batch]
            genre = np.fromiter((w.genre for w in words), dtype=np.intp, count=len(words))
            size = np.fromiter((max(len(w.title), len(w.body)) for w in words), dtype=np.intp, count=len(words))
            yield rows_of(words, self.vocabulary), genre, size, batch

    def _scores(self, rows: Rows) -> F32:
        summed = np.zeros((len(rows.starts) - 1, len(self.classes)), dtype=np.float32)
        for first in range(0, len(summed), _GATHERED):
            starts = rows.starts[first : first + _GATHERED + 1]
            inside = slice(starts[0], starts[-1])
            gathered = self.weights[rows.columns[inside]] * rows.values[inside, None]
            filled = starts[1:] > starts[:-1]
            # A genre that training never met has no style feature: a row may be empty, and reduceat misreads such.
            if filled.any():
                summed[first : first + _GATHERED][filled] = np.add.reduceat(
                    gathered, starts[:-1][filled] - starts[0], axis=0
                )
        return summed + self.bias

    def _softmax(self, rows: Rows, genre: npt.NDArray[np.intp]) -> F32:
        scores = self._scores(rows) * np.array(self.card.temperature, dtype=np.float32)[genre][:, None]
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        result: F32 = p / p.sum(axis=1, keepdims=True)
        return result

    def _methodologies(self, p: F32, genre: npt.NDArray[np.intp]) -> dict[str, F32]:
        """The chance to count under each; never less than under one whose classes are a part of its own."""
        masks = {
            name: np.array([methodology.counts(c, self.taxonomy.cwe_of(c, None)) for c in self.classes])
            for name, methodology in self.taxonomy.methodologies.items()
        }
        alone = {
            name: calibrated(p, mask, genre, self.card.calibrations.get(name, Calibration()))
            for name, mask in masks.items()
        }
        return {
            name: np.max([alone[part] for part, inner in masks.items() if not (inner & ~mask).any()], axis=0)
            for name, mask in masks.items()
        }

    def _choose(self, p: F32, genre: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_], F32]:
        """The class shown, which agrees with the tiers; whether the classes of its tier are likely together; and the
        chances of the tiers, shape (n, 2).

        Where no class of the second tier is itself likely the first of those outside the first stands, if it is enough.
        """
        strict, broad = tier_chances(p, genre, self.card.calibrations, self.classes)
        chosen = choose(p, strict, broad, self.classes)
        faint = (strict <= 0.5) & (broad > 0.5) & (p[np.arange(len(p)), chosen] < FAINT)
        outside = ~_tiers(self.classes)[0]
        chosen[faint] = np.argmax(np.where(outside, p[faint], -1.0), axis=1)
        return chosen, ~faint & ((strict > 0.5) | (broad > 0.5)), np.column_stack([strict, broad])

    def _doubt(self, p: F32, tiers: F32) -> str:
        """Why there is no label: no class is likely, or one is whose tier is not."""
        first, second = _tiers(self.classes)
        c = int(np.argmax(p))
        for name, tier, chance in (("strict", first, tiers[0]), ("broad", second, tiers[1])):
            if tier[c] and chance <= 0.5:
                return (
                    f"no class is likely enough: {self.classes[c]} {p[c]:.0%}, but the chance of {name} is {chance:.0%}"
                )
        return f"no class is likely enough (nearest {self.classes[c]} {p[c]:.0%})"

    def _reasons(
        self, rows: Rows, chosen: npt.NDArray[np.intp], batch: Sequence[Advisory], count: int
    ) -> list[tuple[LabelReason, ...]]:
        if count <= 0:
            return [()] * len(batch)
        row = np.repeat(np.arange(len(batch)), np.diff(rows.starts))
        gain = rows.values * self._centred[rows.columns, chosen[row]]
        strong = gain > 0.1
        row, gain, columns = row[strong], gain[strong], rows.columns[strong]
        order = np.lexsort((-gain, row))
        row, gain, columns = row[order], gain[order], columns[order]
        starts = np.searchsorted(row, np.arange(len(batch) + 1))
        result: list[tuple[LabelReason, ...]] = []
        for i, advisory in enumerate(batch):
            named: list[LabelReason] = []
            seen: set[str] = set()
            title, text = _lower(advisory.title), _lower(advisory.text)
            for j in range(starts[i], min(starts[i + 1], starts[i] + 4 * count)):
                zone, words = self._name(int(columns[j]))
                if zone == "style" or words in seen:
                    continue
                seen.add(words)
                span = None
                if zone == "title":
                    span = _span("title", title, words)
                elif zone != "chain":
                    span = _span("text", text, words)
                detail = f"{words} (+{gain[j]:.2f}, {zone})"
                named.append(LabelReason("model", detail, "model", span))
                if len(named) == count:
                    break
            result.append(tuple(named))
        return result

    def _name(self, column: int) -> tuple[str, str]:
        known = self._names.get(column)
        if known is None:
            key = int(self.vocabulary.keys[column])
            known = self._names[column] = (ZONES[zone_of(key)], key_words(key, self.words))
        return known


def _tiers(classes: Sequence[str]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    first, second = (np.array([c in tier for c in classes]) for tier in _TIERS)
    return first, second


def choose(
    p: F32, strict: npt.NDArray[np.floating[Any]], broad: npt.NDArray[np.floating[Any]], classes: Sequence[str]
) -> npt.NDArray[np.intp]:
    """The likeliest class among those that the chances of the tiers allow, shape (n,).

    Args:
        p: class probabilities, shape (n, c).
        strict: chance that a record is one of the first tier, shape (n,).
        broad: of the first or the second.
        classes: names of the columns.
    """
    first, second = _tiers(classes)
    allowed = np.where((strict > 0.5)[:, None], first, np.where((broad > 0.5)[:, None], second, ~(first | second)))
    chosen: npt.NDArray[np.intp] = np.argmax(np.where(allowed, p, -1.0), axis=1)
    return chosen


def logit(p: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Logarithm of the odds, kept finite."""
    inside = np.clip(p.astype(np.float64), 1e-6, 1 - 1e-6)
    result: npt.NDArray[np.float64] = np.log(inside / (1 - inside))
    return result


def lead(p: F32, counted: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Logarithm of the ratio of the likeliest class that counts to the likeliest other one, shape (n,)."""
    if counted.all() or not counted.any():
        return np.zeros(len(p))
    inside = np.log(np.clip(p.astype(np.float64), 1e-6, 1))
    result: npt.NDArray[np.float64] = inside[:, counted].max(axis=1) - inside[:, ~counted].max(axis=1)
    return result


def calibrated(p: F32, counted: npt.NDArray[np.bool_], genre: npt.NDArray[np.intp], calibration: Calibration) -> F32:
    """The chance that a record counts, shape (n,), from class probabilities of shape (n, c)."""
    summed: F32 = p[:, counted].sum(axis=1)
    if calibration == Calibration():
        return np.clip(summed, np.float32(0), np.float32(1))
    fits = np.array(msgspec.structs.astuple(calibration))[genre]
    z = fits[:, 0] * logit(summed) + fits[:, 1] * lead(p, counted) + fits[:, 2]
    result: F32 = (1.0 / (1.0 + np.exp(-z))).astype(np.float32)
    return result


def tier_chances(
    p: F32, genre: npt.NDArray[np.intp], calibrations: Mapping[str, Calibration], classes: Sequence[str]
) -> tuple[F32, F32]:
    """The chances of the first tier, ``strict``, and of both, ``broad``; each of shape (n,)."""
    first, second = _tiers(classes)
    return (
        calibrated(p, first, genre, calibrations.get("strict", Calibration())),
        calibrated(p, first | second, genre, calibrations.get("broad", Calibration())),
    )


def why_silent(title: str, text: str) -> str:
    """Why the model says nothing of a record: no class, no chances, no reasons.

    Example:
        >>> why_silent("", "** REJECT ** a duplicate"), why_silent("", " "), why_silent("hello", "")
        ('the text says that its number was rejected', 'it has no text', 'its words tell nothing that the model knows')
    """
    if is_rejected(text):
        return "the text says that its number was rejected"
    return "its words tell nothing that the model knows" if (title + text).strip() else "it has no text"


@cache
def default_model() -> ModelLabeller:
    """The model that ships with Preventable."""
    with as_file(files("preventable.data").joinpath("model/weakness.npz")) as path:
        return load_model(path)


def load_model(path: Path, taxonomy: Taxonomy | None = None) -> ModelLabeller:
    """Read a model file.

    Raises:
        FormatError: the file is not a model, is damaged, or is of another version.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            version = msgspec.json.decode(archive["card"].tobytes(), type=_Versioned).version
            if version != MODEL_VERSION:
                raise FormatError(
                    f"a model of version {version}, expected {MODEL_VERSION}", file=str(path),
                    hint="Make one with preventable train",
                )  # fmt: skip
            card = msgspec.json.decode(archive["card"].tobytes(), type=Card)
            words = archive["words"].tobytes().split(b"\n")
            keys = np.cumsum(archive["key_steps"], dtype=np.uint64)
            weights = archive["weights"].astype(np.float32) * archive["scale"]
            bias = archive["bias"]
    except _DAMAGE as error:
        raise FormatError(f"not a model: {error}", file=str(path), hint="Make one with preventable train") from error
    if weights.shape != (len(keys), len(card.classes)):
        raise FormatError(
            f"not a model: weights of shape {weights.shape}, expected ({len(keys)}, {len(card.classes)})",
            file=str(path),
            hint="Make one with preventable train",
        )
    return ModelLabeller(make_vocabulary(words, keys), weights, bias, card, taxonomy)


@cache
def held_out_classes() -> Mapping[str, tuple[str, ...]]:
    """Records of which the model that ships was made, and the classes that fits gave which had not seen them.

    What the model itself says of these is close to what it was told, so that nothing about its errors can be
    learned from them. A record that taught has one class; one of the audit, that no fit saw, has one of every fit.

    Raises:
        FormatError: the model file is damaged.
    """
    with as_file(files("preventable.data").joinpath("model/weakness.npz")) as path:
        return read_held_out(path)


def read_held_out(path: Path) -> dict[str, tuple[str, ...]]:
    """What ``held_out_arrays`` wrote; nothing where nothing was held out.

    Raises:
        FormatError: the file is not a model or is damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            classes = msgspec.json.decode(archive["card"].tobytes(), type=Card).classes
            ids = archive["held_out_ids"].tobytes().decode().split()  # none at all where nothing was held out
            found: dict[str, tuple[str, ...]] = {}
            for i, c in zip(ids, archive["held_out"], strict=True):
                found[i] = (*found.get(i, ()), classes[c])
            return found
    except (*_DAMAGE, IndexError) as error:
        raise FormatError(f"not a model: {error}", file=str(path), hint="Make one with preventable train") from error


def held_out_arrays(chosen: Mapping[str, Sequence[int]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a model file from which ``read_held_out`` reads; ids in order, one per class of theirs."""
    pairs = [(i, c) for i in sorted(chosen) for c in chosen[i]]
    return {
        "held_out_ids": np.frombuffer("\n".join(i for i, _ in pairs).encode(), dtype=np.uint8),
        "held_out": np.array([c for _, c in pairs], dtype=np.uint8),
    }


def model_arrays(
    words: Sequence[bytes], keys: npt.NDArray[np.uint64], weights: F32, bias: F32, card: Card
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a model file: keys ascending and as steps, weights in eight bits with one scale per class."""
    order = np.argsort(keys)
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-6) / 127
    return {
        "card": np.frombuffer(msgspec.json.encode(card), dtype=np.uint8),
        "words": np.frombuffer(b"\n".join(words), dtype=np.uint8),
        "key_steps": np.diff(keys[order], prepend=np.uint64(0)),
        "weights": np.rint(weights[order] / scale).astype(np.int8),
        "scale": scale.astype(np.float32),
        "bias": bias.astype(np.float32),
    }


def _span(field: Literal["title", "text"], lower: str, words: str) -> Span | None:
    position = lower.find(words)
    while position >= 0:
        end = position + len(words)
        if not (lower[position - 1 : position].isalpha() or lower[end : end + 1].isalpha()):
            return Span(field, position, end)
        position = lower.find(words, position + 1)
    return None


def _lower(text: str) -> str:
    """Lower case of the same length, so that positions stay those of the original."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)

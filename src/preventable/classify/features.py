"""From words to numbers: n-grams of at most three words in zones, as sparse rows that NumPy alone can make.

Zones: title, head (the first words of the body), body, and the chain of field terms in their order ("race-condition …
use-after-free"). The one paragraph of a CVE has a second set of the same, since its labels follow habits of their
own ("race condition ..." first); what all genres share is learned once.
Every key is ``zone << 48 | word << 32 | word << 16 | word``; word 0 means none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby, repeat

import msgspec
import numpy as np
import numpy.typing as npt

from preventable.classify.words import HEAD_WORDS, SENTENCE, Words

U64 = npt.NDArray[np.uint64]
I32 = npt.NDArray[np.int32]
F32 = npt.NDArray[np.float32]

TITLE, HEAD, BODY, CHAIN, OWN_TITLE, OWN_HEAD, OWN_BODY, OWN_CHAIN, STYLE = range(9)
ZONES = ("title", "head", "body", "chain", "title", "head", "body", "chain", "style")
_OWN_ZONES = 4
"""Offset from a zone to its copy for texts of the genre ``SENTENCE``."""

_TABLE_BITS = 20
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

CHAIN_TERMS: tuple[bytes, ...] = tuple(
    term.encode()
    for term in [
        "use-after-free",
        "double-free",
        "shift-out-of-bounds",
        "out-of-bounds",
        "off-by-one",
        "null-pointer",
        "null",
        "deref",
        "data-race",
        "race-condition",
        "race",
        "races",
        "racy",
        "concurrently",
        "buffer-overflow",
        "integer-overflow",
        "overflow",
        "overflows",
        "underflow",
        "memory-leak",
        "leak",
        "leaks",
        "leaked",
        "leaking",
        "refcount",
        "zero-division",
        "deadlock",
        "deadlocked",
        "uninitialized",
        "info-leak",
        "protection-fault",
        "atomic-sleep",
        "soft-lockup",
        "list-corruption",
        "type-confusion",
        "memory-corruption",
        "undefined-behavior",
        "poison-pointer",
        "kasan",
        "kmsan",
        "kcsan",
        "ubsan",
        "lockdep",
        "warning",
        "warn",
        "bug",
        "oops",
        "panic",
        "crash",
        "crashes",
        "hang",
        "hangs",
        "hung",
        "stall",
        "freed",
        "free",
        "free's",
        "released",
        "dangling",
        "stale",
        "destroyed",
        "bounds",
        "boundary",
        "beyond",
        "past",
        "overrun",
        "overread",
        "index",
        "length",
        "size",
        "negative",
        "truncated",
        "garbage",
        "random",
        "initialized",
        "initialize",
        "zero",
        "loop",
        "infinite",
        "endless",
        "recursion",
        "recursive",
        "rcu",
        "lock",
        "locking",
        "unlock",
        "mutex",
        "spinlock",
        "sleep",
        "sleeping",
        "wait",
        "stuck",
        "reference",
        "references",
        "put",
        "get",
        "cancel",
        "pending",
        "timer",
        "workqueue",
        "unregister",
        "remove",
        "cast",
        "container",
        "corrupt",
        "corrupted",
        "corruption",
        "stack",
        "heap",
        "slab",
        "check",
        "missing",
        "permission",
        "privileges",
        "escape",
        "disclosure",
        "sensitive",
        "inject",
        "injection",
        "traversal",
        "symlink",
        "timing",
        "spectre",
        "speculation",
        "execution",
        "assertion",
        "fail",
        "failed",
        "error",
        "unbalanced",
        "suspicious",
        "unsound",
    ]
)


class Vocabulary(msgspec.Struct, frozen=True):
    """Known words and n-gram keys; ``keys[i]`` is feature ``i``."""

    words: dict[bytes, int]
    """Word to its number, 1 to 65,535."""
    chain: frozenset[int]
    """Numbers of the terms that form the chain."""
    keys: U64
    table: I32
    """Hash of a key to its feature, or -1; keys that collide with a more important one are absent from ``keys``."""


class Rows(msgspec.Struct, frozen=True):
    """Sparse feature rows: row ``r`` owns ``columns[starts[r]:starts[r + 1]]``."""

    starts: npt.NDArray[np.int64]
    columns: I32
    values: F32


def make_vocabulary(words: Sequence[bytes], keys: U64) -> Vocabulary:
    """The lookup tables for given words (in order of their numbers, from 1) and keys, most important first."""
    numbers = {word: i for i, word in enumerate(words, start=1)}
    table = np.full(1 << _TABLE_BITS, -1, dtype=np.int32)
    slots = _slots(keys)
    # Written backwards, so that of two colliding keys the earlier, more important one stays.
    table[slots[::-1]] = np.arange(len(keys), dtype=np.int32)[::-1]
    return Vocabulary(numbers, frozenset(numbers[t] for t in CHAIN_TERMS if t in numbers), keys, table)


def keys_of(batch: Sequence[Words], words: dict[bytes, int], terms: frozenset[int]) -> tuple[U64, I32]:
    """All n-gram keys of a batch and the record each stands in, repeated as often as they occur."""
    get = words.get
    found_keys: list[U64] = []
    found_rows: list[I32] = []
    titles = [list(map(get, record.title, repeat(0))) for record in batch]
    bodies = [list(map(get, record.body, repeat(0))) for record in batch]
    chains = [_chain(t, b, terms) for t, b in zip(titles, bodies, strict=True)]
    genre = np.fromiter((record.genre for record in batch), dtype=np.uint64, count=len(batch))
    own = genre == SENTENCE
    for zone, sequences, longest in (
        (TITLE, titles, 3),
        (HEAD, [b[:HEAD_WORDS] for b in bodies], 3),
        (BODY, bodies, 2),
        (CHAIN, chains, 3),
    ):
        keys, rows = _n_grams(sequences, zone, longest)
        found_keys.append(keys)
        found_rows.append(rows)
        if own.any():
            apart = own[rows]
            found_keys.append(keys[apart] + np.uint64(_OWN_ZONES << 48))
            found_rows.append(rows[apart])
    style = np.uint64(STYLE << 48) + genre
    found_keys.append(style)
    found_rows.append(np.arange(len(batch), dtype=np.int32))
    return np.concatenate(found_keys), np.concatenate(found_rows)


def rows_of(batch: Sequence[Words], vocabulary: Vocabulary) -> Rows:
    """Feature rows of a batch: each n-gram once, every zone of a row scaled to length 1.

    Args:
        batch: words of the records; a few hundred at a time keep memory small.
        vocabulary: as ``make_vocabulary`` gives it.
    """
    keys, rows = keys_of(batch, vocabulary.words, vocabulary.chain)
    columns = vocabulary.table[_slots(keys)]
    known = columns >= 0
    columns, keys, rows = columns[known], keys[known], rows[known]
    exact = vocabulary.keys[columns] == keys
    return _scaled(columns[exact], rows[exact], vocabulary.keys, len(batch))


def key_words(key: int, words: Sequence[bytes]) -> str:
    """The words of a key, for people."""
    numbers = [(key >> shift) & 0xFFFF for shift in (32, 16, 0)]
    return " ".join(words[n - 1].decode() for n in numbers if n)


def zone_of(key: int) -> int:
    """The zone of a key."""
    return key >> 48


def _scaled(columns: I32, rows: I32, keys: U64, n_rows: int) -> Rows:
    n_features = np.int64(max(len(keys), 1))
    # Sorting is several times faster here than numpy.unique, which hashes.
    unique = np.sort(rows.astype(np.int64) * n_features + columns)
    if len(unique):
        unique = unique[np.concatenate(([True], unique[1:] != unique[:-1]))]
    row, column = unique // n_features, (unique % n_features).astype(np.int32)
    zone = (keys[column] >> np.uint64(48)).astype(np.int64) if len(column) else np.zeros(0, dtype=np.int64)
    group = row * len(ZONES) + zone
    count = np.bincount(group, minlength=n_rows * len(ZONES))
    values = (1.0 / np.sqrt(np.maximum(count, 1))).astype(np.float32)[group]
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(row, minlength=n_rows), out=starts[1:])
    return Rows(starts, column, values)


def _slots(keys: U64) -> npt.NDArray[np.int64]:
    with np.errstate(over="ignore"):
        mixed = keys * _MULTIPLIER
    return (mixed >> np.uint64(64 - _TABLE_BITS)).astype(np.int64)


def _chain(title: list[int], body: list[int], terms: frozenset[int]) -> list[int]:
    found = [word for word in title + body if word in terms]
    return [word for word, _ in groupby(found)][:24]


def _n_grams(sequences: Sequence[Sequence[int]], zone: int, longest: int) -> tuple[U64, I32]:
    lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
    # Two zeros after each record keep n-grams from reaching into the next one.
    total = int(lengths.sum()) + 2 * len(sequences)
    flat = np.zeros(total, dtype=np.uint64)
    rows = np.repeat(np.arange(len(sequences), dtype=np.int32), lengths + 2)
    starts = np.cumsum(lengths + 2) - (lengths + 2)
    inside = np.arange(total) - np.repeat(starts, lengths + 2) < np.repeat(lengths, lengths + 2)
    flat[inside] = np.fromiter(chain.from_iterable(sequences), dtype=np.uint64, count=int(lengths.sum()))
    base = np.uint64(zone << 48)
    first = flat != 0
    keys = [base | flat[first] << np.uint64(32)]
    where = [rows[first]]
    if longest >= 2 and total >= 2:
        second = first[:-1] & first[1:]
        pairs = base | flat[:-1][second] << np.uint64(32) | flat[1:][second] << np.uint64(16)
        keys.append(pairs)
        where.append(rows[:-1][second])
    if longest >= 3 and total >= 3:
        third = first[:-2] & first[1:-1] & first[2:]
        keys.append(base | flat[:-2][third] << np.uint64(32) | flat[1:-1][third] << np.uint64(16) | flat[2:][third])
        where.append(rows[:-2][third])
    return np.concatenate(keys), np.concatenate(where)

"""Ragged tables and other small things about arrays of whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np

Ints = np.ndarray[Any, np.dtype[np.integer[Any]]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


class Rows(msgspec.Struct, frozen=True):
    """A ragged table: row i holds ``values[starts[i]:starts[i+1]]``."""

    starts: Ints
    values: Ints

    def __getitem__(self, row: int) -> Ints:
        return self.values[self.starts[row] : self.starts[row + 1]]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def gather(self, rows: Ints) -> Ints:
        """All values of the rows given, one after the other."""
        begin = self.starts[rows]
        size = self.starts[rows + 1] - begin
        total = int(size.sum())
        if not total:
            return self.values[:0]
        offset = np.repeat(begin - (np.cumsum(size) - size), size)
        return self.values[offset + np.arange(total, dtype=np.int32)]

    def sizes(self, rows: Ints) -> Ints:
        """How many values each of the rows given holds."""
        size: Ints = self.starts[rows + 1] - self.starts[rows]
        return size

    def none(self) -> Rows:
        """No rows at all."""
        return Rows(np.zeros(1, np.int32), np.zeros(0, np.int32))

    def transposed(self, width: int) -> Rows:
        """Row j of the answer holds the rows in which j occurs."""
        order = stable_order(self.values)
        rows = np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.starts))
        return Rows(starts_of(np.bincount(self.values, minlength=width)), rows[order])


def starts_of(size: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Ints:
    out = np.zeros(len(size) + 1, np.int32)
    np.cumsum(size, out=out[1:])
    return out


def rows_of(lists: Iterable[Sequence[int] | Ints]) -> Rows:
    """Ragged lists as ``Rows``."""
    lists = list(lists)
    size = np.fromiter(map(len, lists), np.int64, len(lists))
    if lists and isinstance(lists[0], np.ndarray):
        return Rows(starts_of(size), np.concatenate(lists))
    values = np.fromiter(chain.from_iterable(lists), np.int32, int(size.sum()))
    return Rows(starts_of(size), values)


def stable_order(keys: Ints) -> Ints:
    """``np.argsort(keys, kind="stable")`` for numbers from 0: one sort of key and place together is faster.

    Example:
        >>> stable_order(np.array([2, 0, 2, 1])).tolist()
        [1, 3, 0, 2]
    """
    bits = len(keys).bit_length()
    if not len(keys) or int(keys.max()).bit_length() + bits > 63 or int(keys.min()) < 0:
        return np.argsort(keys, kind="stable")
    packed = (keys.astype(np.int64) << bits) | np.arange(len(keys), dtype=np.int64)
    packed.sort()
    order: Ints = packed & ((1 << bits) - 1)
    return order


def numbers(values: Iterable[int]) -> Ints:
    """Whole numbers as an array."""
    return np.fromiter(values, np.int32)


def ascending(values: Ints) -> Ints:
    """The distinct values, ascending; NumPy's own function imports its masked arrays, which takes longer."""
    ordered = np.sort(values)
    fresh = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=fresh[1:])
    return ordered[fresh]


def distinct(values: Ints, width: int) -> Ints:
    """The distinct values below ``width``, ascending; many times faster than a sort or a hash here."""
    return np.flatnonzero(np.bincount(values, minlength=width)).astype(np.int32)


def joined(a: Rows, b: Rows) -> Rows:
    """The rows of one table after those of another."""
    return Rows(np.concatenate((a.starts, b.starts[1:] + a.starts[-1])), np.concatenate((a.values, b.values)))

"""The state of a replay at one commit: for every path, the commit that wrote each of its lines.

A branch starts as a cheap copy of the commit it forks from: paths live in buckets that are shared until one
side writes. The arrays of a file are never changed once they are in a tree; an edit makes new ones.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Literal, NamedTuple

Age = Literal["last-touched", "substantive", "both"]
AGES: tuple[Age, ...] = ("both", "last-touched", "substantive")
"""Which ages of a line are asked for."""
UNKNOWN = 0xFFFFFFFF
"""In place of a commit's index: who wrote this line cannot be told."""

_BITS = 7


class FileLines(NamedTuple):
    """The commits that wrote the lines of one file, as indices into the commit table.

    ``substantive`` is the very same array as ``touched`` as long as they do not differ.
    """

    touched: array[int]
    substantive: array[int]


class BinaryFile(NamedTuple):
    """A file that git calls binary: its lines are worked out only should it turn into text."""

    before: FileLines | BinaryFile | None
    commit: int
    blobs: tuple[bytes, bytes] | None


class Paths:
    """Paths as small numbers, in order of first appearance."""

    def __init__(self, names: list[bytes] | None = None) -> None:
        self.names: list[bytes] = names or []
        self._numbers = {name: number for number, name in enumerate(self.names)}

    def number(self, name: bytes) -> int:
        """The number of a path, given one if it is new."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return number

    def known(self, name: bytes) -> int | None:
        """The number of a path that has been seen, or None."""
        return self._numbers.get(name)


class Tree:
    """Path number → lines, with cheap copies."""

    __slots__ = ("_buckets", "_own", "paths")

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._buckets: list[dict[int, FileLines | BinaryFile]] = []
        self._own: set[int] = set()

    def fork(self) -> Tree:
        """A tree with the same files; each may change without the other."""
        other = Tree(self.paths)
        other._buckets = self._buckets[:]
        self._own.clear()
        return other

    def get(self, number: int) -> FileLines | BinaryFile | None:
        """The lines of a path by its number."""
        bucket = number >> _BITS
        return self._buckets[bucket].get(number) if bucket < len(self._buckets) else None

    def set(self, number: int, lines: FileLines | BinaryFile) -> None:
        """Set the lines of a path by its number."""
        self._writable(number >> _BITS)[number] = lines

    def drop(self, number: int) -> None:
        """Forget a path, if it is there."""
        bucket = number >> _BITS
        if bucket < len(self._buckets) and number in self._buckets[bucket]:
            del self._writable(bucket)[number]

    def _writable(self, bucket: int) -> dict[int, FileLines | BinaryFile]:
        if bucket not in self._own:
            while bucket >= len(self._buckets):
                self._buckets.append({})
            self._buckets[bucket] = self._buckets[bucket].copy()
            self._own.add(bucket)
        return self._buckets[bucket]

    def items(self) -> Iterator[tuple[int, FileLines | BinaryFile]]:
        """All paths by number, with their lines."""
        for bucket in self._buckets:
            yield from bucket.items()

    def lines(self, path: bytes) -> FileLines | None:
        """The lines of a text file, or None when there is no such text file here."""
        number = self.paths.known(path)
        found = None if number is None else self.get(number)
        return found if isinstance(found, FileLines) else None

    def files(self) -> Iterator[tuple[bytes, FileLines]]:
        """All text files with their lines."""
        names = self.paths.names
        for number, lines in self.items():
            if isinstance(lines, FileLines):
                yield names[number], lines

"""A replay on disk, so that a killed run goes on where it was.

One file, written whole and then renamed into place. It is named after everything that the replay depends
on (repository, last commit, options, version); a file that is damaged or of another version is ignored.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from array import array
from pathlib import Path

import msgspec
import numpy as np
import platformdirs

from preventable.code.history.cohorts import ChurnByQuarter, CohortCounter, SnapshotCount
from preventable.code.history.replay import Replay
from preventable.code.history.tree import BinaryFile, FileLines, Paths, Tree
from preventable.records import METHOD_VERSION

VERSION = f"1 {METHOD_VERSION} {sys.byteorder}"
EVERY_SECONDS = 10.0

_Lines = tuple[int, int] | int
"""Two numbers of arrays, or a number of a binary file."""


class _Count(msgspec.Struct, array_like=True):
    commit: int
    shape: tuple[int, int]
    touched: bytes
    substantive: bytes
    files: int
    binary_files: int


class _Saved(msgspec.Struct):
    version: str
    next: int
    paths: list[bytes]
    arrays: list[bytes]
    binaries: list[tuple[_Lines | None, int, tuple[bytes, bytes] | None]]
    trees: dict[int, list[tuple[int, _Lines]]]
    unknown_files: list[tuple[int, bytes]]
    counts: list[_Count]
    churn: list[tuple[int, str, int, int]]


class Checkpoint:
    """Where one replay is saved.

    Args:
        key: everything the replay depends on.
        directory: by default the user's cache directory.
    """

    def __init__(self, key: tuple[str, ...], directory: Path | None = None) -> None:
        digest = hashlib.sha256("\0".join((VERSION, *key)).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        folder = directory or Path(platformdirs.user_cache_dir("preventable")) / "replay"
        self.path = folder / f"{digest}.replay"
        self._saved = time.monotonic()
        self._works = True

    def due(self) -> bool:
        """Whether it is time to save again."""
        return self._works and time.monotonic() - self._saved >= EVERY_SECONDS

    def save(self, replay: Replay, counter: CohortCounter, churn: ChurnByQuarter) -> None:
        """Write the state of a replay between two commits. A full or read-only disk is no reason to stop."""
        packer = _Packer()
        trees = {
            index: [(number, packer.lines(lines)) for number, lines in tree.items()]
            for index, tree in replay.held().items()
        }
        counts = [
            _Count(
                commit,
                (c.touched.shape[0], c.touched.shape[1]),
                c.touched.tobytes(),
                c.substantive.tobytes(),
                c.files,
                c.binary_files,
            )
            for commit, c in counter.counts.items()
        ]
        saved = _Saved(
            VERSION,
            replay.next,
            replay.paths.names,
            packer.arrays,
            packer.binaries,
            trees,
            replay.unknown_files,
            counts,
            [(quarter, language, *cell) for (quarter, language), cell in churn.counts.items()],  # type: ignore[misc]  # a cell has two members
        )
        partial = self.path.with_suffix(f".{os.getpid()}.partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(msgspec.msgpack.encode(saved))
            partial.replace(self.path)
        except OSError:
            partial.unlink(missing_ok=True)
            self._works = False
        self._saved = time.monotonic()

    def restore(self, replay: Replay, counter: CohortCounter, churn: ChurnByQuarter) -> bool:
        """Put a saved state into a fresh replay; False when there is none that fits."""
        try:
            saved = msgspec.msgpack.decode(self.path.read_bytes(), type=_Saved)
            if saved.version != VERSION:
                return False
            paths, trees = _unpack(saved)
            counts = {c.commit: _count(c) for c in saved.counts}
        except (OSError, msgspec.DecodeError, ValueError, IndexError):
            return False
        replay.resume(saved.next, paths, trees, saved.unknown_files)
        counter.groups.of_paths(paths.names)
        counter.counts.update(counts)
        churn.counts.update({(quarter, language): [a, r] for quarter, language, a, r in saved.churn})
        return True

    def remove(self) -> None:
        """The replay is complete."""
        self.path.unlink(missing_ok=True)


class _Packer:
    """Arrays and binary files once each, however many trees share them."""

    def __init__(self) -> None:
        self.arrays: list[bytes] = []
        self.binaries: list[tuple[_Lines | None, int, tuple[bytes, bytes] | None]] = []
        self._seen: dict[int, int] = {}

    def lines(self, lines: FileLines | BinaryFile) -> _Lines:
        if isinstance(lines, FileLines):
            return (self._array(lines.touched), self._array(lines.substantive))
        chain = []
        at: FileLines | BinaryFile | None = lines
        while isinstance(at, BinaryFile) and id(at) not in self._seen:
            chain.append(at)
            at = at.before
        before: _Lines | None = None
        if isinstance(at, FileLines):
            before = self.lines(at)
        elif at is not None:
            before = self._seen[id(at)]
        for binary in reversed(chain):
            self.binaries.append((before, binary.commit, binary.blobs))
            before = self._seen[id(binary)] = len(self.binaries) - 1
        return before if before is not None else self._seen[id(lines)]

    def _array(self, values: array[int]) -> int:
        number = self._seen.get(id(values))
        if number is None:
            number = self._seen[id(values)] = len(self.arrays)
            self.arrays.append(values.tobytes())
        return number


def _unpack(saved: _Saved) -> tuple[Paths, dict[int, Tree]]:
    arrays = []
    for data in saved.arrays:
        values = array("I")
        values.frombytes(data)
        arrays.append(values)
    binaries: list[BinaryFile] = []

    def lines(packed: _Lines) -> FileLines | BinaryFile:
        if isinstance(packed, int):
            return binaries[packed]
        return FileLines(arrays[packed[0]], arrays[packed[1]])

    for before, commit, blobs in saved.binaries:
        binaries.append(BinaryFile(None if before is None else lines(before), commit, blobs))
    paths = Paths(saved.paths)
    trees = {}
    for index, files in saved.trees.items():
        trees[index] = Tree(paths)
        for number, packed in files:
            trees[index].set(number, lines(packed))
    return paths, trees


def _count(saved: _Count) -> SnapshotCount:
    touched = np.frombuffer(saved.touched, dtype=np.int64).reshape(saved.shape)
    substantive = np.frombuffer(saved.substantive, dtype=np.int64).reshape(saved.shape)
    return SnapshotCount(touched, substantive, saved.files, saved.binary_files)

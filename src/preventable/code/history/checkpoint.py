"""A replay on disk, so that a killed run goes on where it was.

One file, written whole and then renamed into place. It is named after everything that the replay depends
on (repository, last commit, options, version); a file that is damaged or of another version is ignored. It
holds the state of the replay and of everything that counts along with it (:class:`Part`). The words that the
shards write (:mod:`preventable.code.history.addedtext`) stay in a directory beside it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec
import platformdirs

from preventable.code.history.replay import Replay
from preventable.code.history.tree import BinaryFile, FileLines, Paths, Tree
from preventable.records import METHOD_VERSION

VERSION = f"4 {METHOD_VERSION} {sys.byteorder}"
EVERY_SECONDS = 10.0

_Lines = tuple[int, int] | int
"""Two numbers of arrays, or a number of a binary file."""


@runtime_checkable
class Part(Protocol):
    """Something that counts along with a replay and can be saved with it."""

    def state(self) -> bytes:
        """All it has counted."""

    def restore(self, state: bytes, paths: Sequence[bytes]) -> bool:
        """Take what :meth:`state` gave; ``paths`` are those of the replay, by number.

        Returns:
            False when it does not fit, with nothing changed; who may say so comes first among the parts.
        """


class _Saved(msgspec.Struct):
    version: str
    next: int
    paths: list[bytes]
    arrays: list[memoryview]
    binaries: list[tuple[_Lines | None, int, tuple[bytes, bytes] | None]]
    trees: dict[int, list[tuple[int, _Lines]]]
    unknown_files: list[tuple[int, bytes]]
    capped: list[int]
    parts: list[bytes]
    text: str
    """Name of the directory of words, or empty."""


class Checkpoint:
    """Where one replay is saved.

    Args:
        key: everything the replay depends on.
        directory: by default the user's cache directory.
    """

    def __init__(self, key: Sequence[str], directory: Path | None = None) -> None:
        self._digest = hashlib.sha256("\0".join((VERSION, *key)).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._folder = directory or Path(platformdirs.user_cache_dir("preventable")) / "replay"
        self.path = self._folder / f"{self._digest}.replay"
        self._text: Path | None = None
        self._saved = time.monotonic()
        self._works = True

    def run(
        self, replay: Replay, parts: Sequence[Part], *, resume: bool = True, done: Callable[[int], None] | None = None
    ) -> int:
        """Replay to the end, saving now and then.

        Args:
            replay: a fresh one.
            parts: what counts along with it.
            resume: go on from a saved state.
            done: called with the number of commits that were just applied, or were when the state was saved.
        Returns:
            The index of the first commit that was not in the saved state: 0 without one.
        """
        if resume:
            self._restore(replay, parts)
        self._sweep()
        resumed_at = replay.next
        if done and resumed_at:
            done(resumed_at)
        for _ in replay.steps(done):
            if self._works and time.monotonic() - self._saved >= EVERY_SECONDS:
                self.save(replay, parts)
        return resumed_at

    def directory_for_text(self) -> str:
        """A directory for the words that shards write; it survives a kill, and :meth:`remove` takes it away."""
        text = self._folder / f"{self._digest}.{os.getpid()}.text"
        try:
            shutil.rmtree(text, ignore_errors=True)
            text.mkdir(parents=True)
        except OSError:
            self._works = False
            text = Path(tempfile.mkdtemp(prefix="preventable-"))
        self._text = text
        return str(text)

    def save(self, replay: Replay, parts: Sequence[Part]) -> None:
        """Write the state of a replay between two commits. A full or read-only disk is no reason to stop."""
        packer = _Packer()
        trees = {
            index: [(number, packer.lines(lines)) for number, lines in tree.items()]
            for index, tree in replay.held().items()
        }
        saved = _Saved(
            VERSION,
            replay.next,
            replay.paths.names,
            packer.arrays,
            packer.binaries,
            trees,
            replay.unknown_files,
            replay.capped,
            [part.state() for part in parts],
            self._text.name if self._text else "",
        )
        partial = self.path.with_suffix(f".{os.getpid()}.partial")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(msgspec.msgpack.encode(saved))
            partial.replace(self.path)
        except OSError:
            partial.unlink(missing_ok=True)
            self._works = False
        self._saved = time.monotonic()

    def remove(self) -> None:
        """The replay is complete, and its words have been read."""
        self.path.unlink(missing_ok=True)
        if self._text is not None:
            shutil.rmtree(self._text, ignore_errors=True)

    def _restore(self, replay: Replay, parts: Sequence[Part]) -> None:
        """Put a saved state into a fresh replay if there is one that fits."""
        try:
            saved = msgspec.msgpack.decode(self.path.read_bytes(), type=_Saved)
            if saved.version != VERSION or len(saved.parts) != len(parts) or bool(saved.text) != bool(self._text):
                return
            paths, trees = _unpack(saved)
            if saved.text and not self._take_text(saved):
                return
            if not all(part.restore(state, saved.paths) for part, state in zip(parts, saved.parts, strict=True)):
                return
        except (OSError, msgspec.DecodeError, msgspec.ValidationError, ValueError, IndexError):
            return
        replay.resume(saved.next, paths, trees, saved.unknown_files, saved.capped)

    def _take_text(self, saved: _Saved) -> bool:
        """Take over the words of a run that is dead; those of commits not yet applied will be written again."""
        theirs = self._folder / saved.text
        if self._text is None or _lives(theirs) or not theirs.is_dir():
            return False
        self._text.rmdir()
        theirs.rename(self._text)
        for file in self._text.iterdir():
            if int(file.name) >= saved.next:
                file.unlink()
        return True

    def _sweep(self) -> None:
        """Take away what dead runs of the same replay left."""
        for left in self._folder.glob(f"{self._digest}.*.text"):
            if left != self._text and not _lives(left):
                shutil.rmtree(left, ignore_errors=True)


def _lives(text: Path) -> bool:
    """Whether the run that a directory of words belongs to is another one that still runs."""
    number = int(text.name.split(".")[1])
    if number == os.getpid():
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class _Packer:
    """Arrays and binary files once each, however many trees share them."""

    def __init__(self) -> None:
        self.arrays: list[memoryview] = []
        """Not copied: the arrays of a large tree are most of the memory."""
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
            self.arrays.append(memoryview(values).cast("B"))
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

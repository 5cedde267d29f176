"""Surviving lines by cohort, language and component at chosen commits of a replay."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from preventable.code.history.diffparse import Change
from preventable.code.history.tree import UNKNOWN, BinaryFile, FileLines, Tree

Counts = npt.NDArray[np.int64]


class Groups:
    """Numbers the pairs of language and component that paths fall into.

    Args:
        language_of, component_of: functions of a path.
    """

    def __init__(self, language_of: Callable[[str], str], component_of: Callable[[str], str]) -> None:
        self._language_of = language_of
        self._component_of = component_of
        self.pairs: list[tuple[str, str]] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self.known: array[int] = array("I")
        """The group of every path seen so far, by path number."""

    def of_paths(self, names: Sequence[bytes]) -> array[int]:
        """The group of every path, by path number; ``names`` may only have grown since the last call."""
        known = self.known
        for raw in names[len(known) :]:
            name = raw.decode("utf-8", "backslashreplace")
            pair = (self._language_of(name), self._component_of(name))
            number = self._numbers.get(pair)
            if number is None:
                number = self._numbers[pair] = len(self.pairs)
                self.pairs.append(pair)
            known.append(number)
        return known


class _SavedCount(msgspec.Struct, array_like=True):
    commit: int
    shape: tuple[int, int]
    touched: tuple[bytes, bytes]
    substantive: tuple[bytes, bytes]
    files: int
    binary_files: int


class _SavedCohorts(msgspec.Struct, array_like=True):
    pairs: list[tuple[str, str]]
    of_path: bytes
    counts: list[_SavedCount]


class SnapshotCount:
    """What one commit holds. Most cohorts have no lines in most groups: only the others are stored.

    Args:
        touched, substantive: lines, shape (groups, cohorts + 1); the last column is ``unknown``.
        files, binary_files: text and binary files.
    """

    def __init__(self, touched: Counts, substantive: Counts, files: int, binary_files: int) -> None:
        self._shape: tuple[int, int] = (touched.shape[0], touched.shape[1])
        self._touched = _sparse(touched)
        self._substantive = self._touched if substantive is touched else _sparse(substantive)
        self.files = files
        self.binary_files = binary_files

    def packed(self, commit: int) -> _SavedCount:
        """For a checkpoint."""
        return _SavedCount(
            commit, self._shape, _bytes(self._touched), _bytes(self._substantive), self.files, self.binary_files
        )

    @classmethod
    def unpacked(cls, saved: _SavedCount) -> SnapshotCount:
        """What :meth:`packed` made."""
        self = cls.__new__(cls)
        self._shape = saved.shape
        self._touched = _arrays(saved.touched)
        self._substantive = _arrays(saved.substantive)
        self.files, self.binary_files = saved.files, saved.binary_files
        return self

    @property
    def touched(self) -> Counts:
        """Lines by the last touch, shape (groups, cohorts + 1)."""
        return _dense(self._touched, self._shape)

    @property
    def substantive(self) -> Counts:
        """Lines by the last change of substance, shape (groups, cohorts + 1)."""
        return _dense(self._substantive, self._shape)


_Sparse = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]


def _sparse(counts: Counts) -> _Sparse:
    flat = counts.ravel()
    where = np.flatnonzero(flat)
    return where.astype(np.uint32), flat[where].astype(np.uint32)


def _bytes(sparse: _Sparse) -> tuple[bytes, bytes]:
    return sparse[0].tobytes(), sparse[1].tobytes()


def _arrays(saved: tuple[bytes, bytes]) -> _Sparse:
    return np.frombuffer(saved[0], dtype=np.uint32), np.frombuffer(saved[1], dtype=np.uint32)


def _dense(sparse: _Sparse, shape: tuple[int, ...]) -> Counts:
    flat = np.zeros(shape, dtype=np.int64)
    flat.ravel()[sparse[0]] = sparse[1]
    return flat


class CohortCounter:
    """An observer that counts lines by cohort at chosen commits.

    Args:
        wanted: indices of the commits.
        cohorts: cohort of each commit, -1 for unknown.
        groups: how paths fall into groups.
        substantive: whether the substantive age is kept.
    """

    def __init__(self, wanted: Collection[int], cohorts: Sequence[int], groups: Groups, *, substantive: bool) -> None:
        self.before: Collection[int] = ()
        self.after = frozenset(wanted)
        self.groups = groups
        self.counts: dict[int, SnapshotCount] = {}
        known = [c for c in cohorts if c >= 0]
        self.first_cohort = min(known, default=0)
        self.width = max(known, default=0) - self.first_cohort + 2
        column = np.asarray(cohorts, dtype=np.int64) - self.first_cohort
        column[np.asarray(cohorts) < 0] = self.width - 1
        self._column = column
        self._substantive = substantive
        self._files: dict[int, FileLines | BinaryFile] = {}
        self._touched = self._none(0)
        self._spaced = self._none(0)

    def see_before(self, index: int, tree: Tree, changes: Sequence[Change]) -> None:
        """Nothing to see: counts are taken after a commit."""

    def see_after(self, index: int, tree: Tree) -> None:
        """Count the lines after commit ``index``: only files that are not as they were at the last count."""
        group_of = self.groups.of_paths(tree.paths.names)
        before, now = self._files, dict(tree.items())
        self._files = now
        for sign, files, others in ((1, now, before), (-1, before, now)):
            touched: dict[int, list[array[int]]] = defaultdict(list)
            substantive: dict[int, list[array[int]]] = defaultdict(list)
            for number, lines in files.items():
                if others.get(number) is lines:
                    continue
                if isinstance(lines, FileLines):
                    group = group_of[number]
                    touched[group].append(lines.touched)
                    substantive[group].append(lines.substantive)
            self._touched = self._added(self._touched, touched, sign)
            if self._substantive:
                self._spaced = self._added(self._spaced, substantive, sign)
        text_files = sum(isinstance(lines, FileLines) for lines in now.values())
        self.counts[index] = SnapshotCount(
            self._touched,
            self._spaced if self._substantive else self._touched,
            text_files,
            len(now) - text_files,
        )

    def state(self) -> bytes:
        """For a checkpoint."""
        counts = [count.packed(commit) for commit, count in self.counts.items()]
        return msgspec.msgpack.encode(_SavedCohorts(self.groups.pairs, self.groups.known.tobytes(), counts))

    def restore(self, state: bytes, paths: Sequence[bytes]) -> bool:
        """Take a saved state; False, and nothing is taken, when paths fall into other groups now."""
        saved = msgspec.msgpack.decode(state, type=_SavedCohorts)
        here = self.groups.of_paths(paths)[: len(saved.of_path) // 4]
        if here.tobytes() != saved.of_path or self.groups.pairs[: len(saved.pairs)] != saved.pairs:
            return False
        self.counts = {count.commit: SnapshotCount.unpacked(count) for count in saved.counts}
        return True

    def _added(self, counts: Counts, arrays: dict[int, list[array[int]]], sign: int) -> Counts:
        """Counts with the lines of some files added, or taken away."""
        if len(counts) < len(self.groups.pairs):
            counts = np.concatenate([counts, self._none(len(self.groups.pairs) - len(counts))])
        for group, parts in arrays.items():
            indices = np.frombuffer(b"".join(parts), dtype=np.uint32)
            if not indices.size:
                continue
            if indices.max() == UNKNOWN:
                known = indices[indices != UNKNOWN]
                counts[group, -1] += sign * (indices.size - known.size)
                indices = known
            counts[group] += sign * np.bincount(self._column[indices], minlength=self.width)
        return counts

    def _none(self, groups: int) -> Counts:
        return np.zeros((groups, self.width), dtype=np.int64)


class ChurnByQuarter:
    """Counts lines added and removed by quarter and language of the path.

    Args:
        cohorts: quarter of each commit, -1 for unknown.
        language_of: function of a path.
    """

    def __init__(self, cohorts: Sequence[int], language_of: Callable[[str], str]) -> None:
        self._cohorts = cohorts
        self._language_of = language_of
        self._languages: dict[bytes, str] = {}
        self.counts: dict[tuple[int, str], list[int]] = {}
        """(quarter, language) → [lines added, lines removed]."""

    def state(self) -> bytes:
        """For a checkpoint."""
        return msgspec.msgpack.encode([(*key, *cell) for key, cell in self.counts.items()])

    def restore(self, state: bytes, paths: Sequence[bytes]) -> bool:
        """Take a saved state."""
        del paths
        saved = msgspec.msgpack.decode(state, type=list[tuple[int, str, int, int]])
        self.counts = {(quarter, language): [added, removed] for quarter, language, added, removed in saved}
        return True

    def __call__(self, commit: int, path: bytes, added: int, removed: int) -> None:
        language = self._languages.get(path)
        if language is None:
            language = self._languages[path] = self._language_of(path.decode("utf-8", "replace"))
        cell = self.counts.setdefault((self._cohorts[commit], language), [0, 0])
        cell[0] += added
        cell[1] += removed

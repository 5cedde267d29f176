"""The commits of a history in order, with their parents and dates, and what is odd about them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median_low

from preventable.code.history.gitcall import Repository

OLDEST_SECONDS = 31_536_000
"""1971-01-01: before the first version control system; an earlier commit date is a broken clock."""
FUTURE_SECONDS = 30 * 31_556_952
"""A date more than 30 years after the median commit date is a broken clock."""


class Commits:
    """The commits reachable from some revisions, parents before children.

    Attributes:
        author_seconds, commit_seconds: Unix time by index; ``None`` where it is unreadable or implausible.
    """

    def __init__(
        self,
        *,
        hex_length: int,
        ids: bytes,
        first_parent: array[int],
        other_parents: Mapping[int, tuple[int, ...]],
        author_seconds: Sequence[int | None],
        commit_seconds: Sequence[int | None],
    ) -> None:
        self.hex_length = hex_length
        self._ids = ids
        self._first = first_parent
        self._others = other_parents
        self._positions: dict[str, int] | None = None
        known = [s for s in commit_seconds if s is not None and s >= OLDEST_SECONDS]
        newest = (median_low(known) if known else 0) + FUTURE_SECONDS

        def plausible(seconds: int | None) -> bool:
            return seconds is not None and OLDEST_SECONDS <= seconds <= newest

        self.commit_seconds = [s if plausible(s) else None for s in commit_seconds]
        self.author_seconds: list[int | None] = []
        self.odd: list[int] = []
        """Commits with an implausible author or committer date."""
        for index, seconds in enumerate(author_seconds):
            good = plausible(seconds)
            if not good or self.commit_seconds[index] is None:
                self.odd.append(index)
            self.author_seconds.append(seconds if good else self.commit_seconds[index])

    def __len__(self) -> int:
        return len(self._first)

    def id(self, index: int) -> str:
        """The full hexadecimal id of a commit."""
        return self.id_bytes(index).decode("ascii")

    def id_bytes(self, index: int) -> bytes:
        """The full hexadecimal id of a commit, as git prints it."""
        return self._ids[index * self.hex_length : (index + 1) * self.hex_length]

    def parents(self, index: int) -> tuple[int, ...]:
        """Indices of the parents, first parent first; empty for a root."""
        first = self._first[index]
        return () if first < 0 else (first, *self._others.get(index, ()))

    def is_merge(self, index: int) -> bool:
        return index in self._others

    @property
    def merges(self) -> int:
        return len(self._others)

    @property
    def roots(self) -> list[int]:
        return [i for i, first in enumerate(self._first) if first < 0]

    def index(self, commit: str) -> int | None:
        """The index of a full id, or None when it is not in this history."""
        if self._positions is None:
            self._positions = {self.id(i): i for i in range(len(self))}
        return self._positions.get(commit)

    def child_counts(self) -> array[int]:
        """Number of children of each commit."""
        counts = array("I", bytes(4 * len(self)))
        for first in self._first:
            if first >= 0:
                counts[first] += 1
        for others in self._others.values():
            for parent in others:
                counts[parent] += 1
        return counts

    def first_parent_chain(self) -> list[int]:
        """The last commit and its first parents, oldest first."""
        chain = []
        at = len(self) - 1
        while at >= 0:
            chain.append(at)
            at = self._first[at]
        chain.reverse()
        return chain


def read_commits(repository: Repository, revision: str = "HEAD") -> Commits:
    """All commits reachable from a revision in topological order, oldest first.

    Raises:
        RepositoryError: the revision is unknown or the repository is empty.
    """
    with reading_commits(repository, revision) as commits:
        return commits()


@contextmanager
def reading_commits(repository: Repository, revision: str = "HEAD") -> Iterator[Callable[[], Commits]]:
    """:func:`read_commits` in two steps: git lists them while others work, what is given waits for that.

    Git takes its time and a core of its own; meanwhile modules may be loaded that are slow to load.
    """
    tip = repository.resolve(revision)
    listing = ("rev-list", "--topo-order", "--reverse", "--no-commit-header", "--format=%H %at %ct %P", tip, "--")
    with repository.beside(*listing) as listed:
        yield lambda: _parsed(listed(), len(tip))


def _parsed(text: bytes, hex_length: int) -> Commits:
    lines = text.split(b"\n")
    lines.pop()
    position: dict[bytes, int] = {}
    ids = bytearray()
    first: array[int] = array("i")
    others: dict[int, tuple[int, ...]] = {}
    authored: list[int | None] = []
    committed: list[int | None] = []
    for index, line in enumerate(lines):
        commit, author, committer, *parents = line.split(b" ")
        position[commit] = index
        ids += commit
        known = [position[p] for p in parents if p in position]
        first.append(known[0] if known else -1)
        if len(known) > 1:
            others[index] = tuple(known[1:])
        authored.append(int(author) if author.isdigit() else None)
        committed.append(int(committer) if committer.isdigit() else None)
    return Commits(
        hex_length=hex_length,
        ids=bytes(ids),
        first_parent=first,
        other_parents=others,
        author_seconds=authored,
        commit_seconds=committed,
    )

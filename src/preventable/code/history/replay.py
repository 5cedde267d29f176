"""Replay of a history: every commit's edits are applied once, in order, to arrays that hold for each line
the commit that wrote it. The result at any commit is what ``git blame`` of every file would say there.

Two ages are kept. *Last touched*: the commit ``git blame`` names. *Substantive*: a change of whitespace
alone, or a commit to be ignored, does not make a line new (``git blame -w --ignore-revs-file``).

Merges are treated as ``git blame`` treats them: a file that is as in one parent has that parent's lines; in
any other file a line that is unchanged against a parent has the commit it has there, the first such parent
counting; only a line that differs from all parents is the merge's own.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from preventable.code.history.commits import Commits
from preventable.code.history.diffparse import (
    FILE,
    FOLLOWED,
    SUBMODULE,
    SYMLINK,
    TURNED_TEXT,
    Change,
    Edits,
    Spaced,
    Weave,
    parse_edits,
)
from preventable.code.history.following import FOLLOWED_PAIRS
from preventable.code.history.gitcall import Repository
from preventable.code.history.scratch import Scratch
from preventable.code.history.shards import frames
from preventable.code.history.tree import UNKNOWN, BinaryFile, FileLines, Paths, Tree

AS_TEXT = ("diff-tree", "--stdin", "-p", "-U0", "--text", "--no-renames", "--full-index", "--no-textconv",
           "--no-ext-diff", "--no-color")  # fmt: skip
NOTHING = b""
"""In place of the blob of a file that is not there."""

FEWEST_CAPPED = int(2 * FOLLOWED_PAIRS**0.5)
"""Fewer changes than this have fewer pairs of lost and new files."""


class Observer(Protocol):
    """Looks at the replay as it passes chosen commits.

    ``before`` and ``after`` hold indices into the commit table. Trees are live: read what is needed during
    the call, and do not keep them (the arrays of a file may be kept; they never change).
    """

    @property
    def before(self) -> Collection[int]: ...

    @property
    def after(self) -> Collection[int]: ...

    def see_before(self, index: int, tree: Tree, changes: Sequence[Change]) -> None:
        """Called when commit ``index`` is about to be applied.

        ``tree`` is the state of its first parent. ``changes`` are its parsed changes (none for a merge), see
        :mod:`preventable.code.history.diffparse` for their shape.
        """

    def see_after(self, index: int, tree: Tree) -> None:
        """Called when commit ``index`` has been applied."""


EXACT_COMMITS = 20_000
"""Up to here a second comparison of every file costs seconds; see docs/lineage.md for what it changes."""

ChurnCounter = Callable[[int, bytes, int, int], None]
"""Called as ``(commit, path, added, removed)`` for every changed text file of every commit but merges."""


class Replay:
    """A replay under way.

    Args:
        repository: where git runs.
        commits: the history, from :func:`~preventable.code.history.commits.read_commits`.
        substantive: keep the substantive age too; without it both ages are the last touch.
        exact: compare every changed file once more without whitespace, as ``git blame -w`` does, not only
            those where a removed line came back; by default for histories up to EXACT_COMMITS.
        ignored: full ids of commits that the substantive age ignores.
        observers: who looks at which commits.
        churn: who counts lines added and removed.
        processes: how many shards read the history; by default one per core.
        text: a directory where the shards leave the words of the code that each commit added.
    """

    def __init__(
        self,
        repository: Repository,
        commits: Commits,
        *,
        substantive: bool = True,
        exact: bool | None = None,
        ignored: Collection[str] = (),
        observers: Sequence[Observer] = (),
        churn: ChurnCounter | None = None,
        processes: int | None = None,
        text: str | None = None,
    ) -> None:
        self.repository = repository
        self.commits = commits
        self.substantive = substantive
        self.exact = len(commits) <= EXACT_COMMITS if exact is None else exact
        self.ignored = ignored
        self.observers = observers
        self.paths = Paths()
        self.next = 0
        """Index of the first commit that is not applied yet."""
        self.unknown_files: list[tuple[int, bytes]] = []
        """Files whose diff did not fit the replayed state: their lines are unknown from that commit on."""
        self.capped: list[int] = []
        """Commits that lost and added so many files that only git's own renames are followed there."""
        self._churn = churn
        self._processes = processes
        self._text = text
        self._trees: dict[int, Tree] = {}
        self._open: Tree | None = None
        self._held: list[Change] = []
        self._gone: set[int] = set()
        """Paths that the open commit takes away; they go last, for new files may descend from them."""
        self._lost: set[int] = set()
        """Those of them whose lines are counted as removed, or live on under another name."""
        self._children = commits.child_counts()
        self._before = {i for o in observers for i in o.before}
        self._after = {i for o in observers for i in o.after}

    def run(self, progress: Callable[[int], None] | None = None) -> Tree:
        """Replay to the end.

        Args:
            progress: called with the number of commits that were just applied.
        Returns:
            The state at the last commit.
        """
        for _ in self.steps(progress):
            pass
        return self._trees[len(self.commits) - 1]

    def steps(self, progress: Callable[[int], None] | None = None) -> Iterator[int]:
        """Replay, pausing after every chunk of commits (where a checkpoint may be taken).

        Yields the index of the first commit not yet applied.
        """
        for end, done, entries in frames(
            self.repository,
            self.commits,
            start=self.next,
            whitespace=self.substantive,
            exact=self.exact,
            ignored=self.ignored,
            processes=self._processes,
            text=self._text,
        ):
            began = self.next
            last = len(entries) - 1
            for number, (index, changes, takes, weaves, weaves_w) in enumerate(entries):
                self._finish_before(index)
                if index in self._before:
                    self._held += changes
                    if changes and number == last and not done:
                        continue  # a commit of very many files comes in several frames
                    changes = self._release()  # noqa: PLW2901  (all parts of the commit in place of the last one)
                tree = self._opened()
                if takes or weaves:
                    self._merge(tree, index, takes, weaves, weaves_w)
                else:
                    self._apply(tree, index, changes)
            if done:
                self._finish_before(end)
            if progress:
                progress(self.next - began)
            if done:
                yield self.next

    def tree(self, index: int) -> Tree:
        """The state at a commit that is still held (the last one applied always is)."""
        return self._trees[index]

    def held(self) -> dict[int, Tree]:
        """The states that later commits still need, by commit; complete between two steps only."""
        return self._trees

    def resume(
        self,
        start: int,
        paths: Paths,
        trees: dict[int, Tree],
        unknown_files: list[tuple[int, bytes]],
        capped: list[int],
    ) -> None:
        """Go on from a saved state: what :attr:`next`, :attr:`paths`, :meth:`held` and so on were then."""
        self.capped = capped
        self.next, self.paths, self._trees, self.unknown_files = start, paths, trees, unknown_files
        for index in range(start):
            for parent in self.commits.parents(index):
                self._children[parent] -= 1

    def _release(self) -> list[Change]:
        """All parts of the next commit, shown to those who want to see it before it is applied."""
        held, self._held = self._held, []
        tree = self._opened()
        for observer in self.observers:
            if self.next in observer.before:
                observer.see_before(self.next, tree, held)
        return held

    def _opened(self) -> Tree:
        """The tree in which the next commit is being applied; starts as its first parent's."""
        if self._open is None:
            parents = self.commits.parents(self.next)
            self._open = self._hand_over(parents[0]) if parents else Tree(self.paths)
        return self._open

    def _hand_over(self, parent: int) -> Tree:
        self._children[parent] -= 1
        return self._trees.pop(parent) if not self._children[parent] else self._trees[parent].fork()

    def _finish_before(self, index: int) -> None:
        """Complete the commits before ``index``: most of them changed nothing more."""
        while self.next < index:
            at = self.next
            if at in self._before and (self._held or self._open is None):
                held = self._release()
                self._apply(self._opened(), at, held)
            tree = self._opened()
            if self._gone:
                for number in self._gone:
                    tree.drop(number)
                self._gone.clear()
                self._lost.clear()
            for other in self.commits.parents(at)[1:]:
                self._children[other] -= 1
                if not self._children[other]:
                    del self._trees[other]
            self._trees[at] = tree
            self._open = None
            self.next = at + 1
            if at in self._after:
                for observer in self.observers:
                    if at in observer.after:
                        observer.see_after(at, tree)

    def _apply(self, tree: Tree, index: int, changes: Sequence[Change]) -> None:
        number_of = self.paths.number
        churn = self._churn
        one = array("I", (index,))
        if len(changes) > FEWEST_CAPPED and index not in self.capped[-1:]:
            lost = sum(change[0] is None for change in changes)
            if lost * sum(change[1] is None for change in changes) > FOLLOWED_PAIRS:
                self.capped.append(index)
        for path, old, edits, spaced, blobs, kind in changes:
            before: FileLines | BinaryFile | None = None
            old_number = -1
            if old is not None:
                old_number = number_of(old)
                before = tree.get(old_number)
            if path is None or kind in (SYMLINK, SUBMODULE):
                if old is not None:
                    self._gone.add(old_number)
                    if churn and isinstance(before, FileLines) and old_number not in self._lost:
                        churn(index, old, 0, len(before.touched))
                        self._lost.add(old_number)
                continue
            number = old_number if path == old else number_of(path)
            after: FileLines | BinaryFile
            if blobs is not None:
                after = BinaryFile(before, index, blobs)
                if kind == TURNED_TEXT:
                    after = self._as_text(after)
            elif before is None and old is None:
                touched = one * edits[2] if edits else array("I")
                after = FileLines(touched, touched)
                if churn and edits:
                    churn(index, path, edits[2], 0)
            elif not edits:
                if before is None:
                    continue  # a link or a submodule that only moved: git does not print what it is
                after = before
            else:
                if isinstance(before, BinaryFile):
                    before = self._as_text(before)
                if before is None or edits[1] > len(before[0]):
                    after = self._unknown(index, path)
                else:
                    after = edited(before, one, edits, spaced)
                if churn and kind == FILE:
                    churn(index, path, sum(edits[2::3]), sum(edits[1::3]) - sum(edits[::3]))
            if kind == FOLLOWED:
                if churn and isinstance(after, FileLines):
                    churn(index, path, len(after.touched), 0)
            elif number != old_number and old is not None:
                self._gone.add(old_number)
                self._lost.add(old_number)
            self._gone.discard(number)
            tree.set(number, after)

    def _merge(
        self,
        tree: Tree,
        index: int,
        takes: Sequence[tuple[bytes, int]],
        weaves: Sequence[Weave],
        weaves_w: Sequence[Weave],
    ) -> None:
        number_of = self.paths.number
        trees = [tree, *(self._trees[p] for p in self.commits.parents(index)[1:])]
        spaced = {path: runs for path, _, runs in weaves_w}
        results: list[tuple[int, FileLines | BinaryFile | None]] = []
        for path, names, runs in weaves:
            states = [None if name is None else trees[i].get(number_of(name)) for i, name in enumerate(names)]
            known = next((s for s in states if s is not None), None)
            if known is None and any(name is not None for name in names):
                continue  # a submodule or a symbolic link
            if runs is None:
                results.append((number_of(path), BinaryFile(known, index, None)))
                continue
            sources = [self._as_text(s) if isinstance(s, BinaryFile) else s for s in states]
            touched = woven(runs, [s and s.touched for s in sources], index)
            substantive = touched
            if self.substantive:
                runs_w = spaced.get(path, [0, 0, -1] if sources[0] is not None else runs) or runs
                substantive = woven(runs_w, [s and s.substantive for s in sources], index)
                if substantive == touched:
                    substantive = touched
            results.append((number_of(path), FileLines(touched, substantive)))
        for path, parent in takes:
            results.append((number_of(path), trees[parent].get(number_of(path)) if parent >= 0 else None))
        for number, lines in results:
            if lines is None:
                tree.drop(number)
            else:
                tree.set(number, lines)

    def _unknown(self, index: int, path: bytes) -> FileLines:
        """A file whose past does not fit its diff: as many unknown lines as it has now."""
        self.unknown_files.append((index, path))
        content = self.repository.try_run(
            "cat-file", "blob", f"{self.commits.id(index)}:{path.decode('utf-8', 'surrogateescape')}"
        )
        lines = array("I", (UNKNOWN,)) * count_lines(content or b"")
        return FileLines(lines, lines)

    def _as_text(self, file: BinaryFile) -> FileLines:
        """The lines of a binary file after all: it has become text. Its versions are compared as text."""
        versions: list[BinaryFile] = []
        at: FileLines | BinaryFile | None = file
        while isinstance(at, BinaryFile):
            versions.append(at)
            at = at.before
        versions.reverse()
        lines = at
        known = at is not None
        asked: list[tuple[bytes, bytes]] = []
        for version in versions:
            if version.blobs is None:
                known = False
                continue
            old, new = version.blobs
            if not known and old.strip(b"0"):
                asked.append((NOTHING, old))
            asked.append((old if old.strip(b"0") else NOTHING, new))
            known = True
        edits_of = self._compared_as_text(asked)
        spaced_of = self._compared_as_text(asked, "-w") if self.substantive else edits_of
        for version in versions:
            one = array("I", (version.commit,))
            if version.blobs is None:
                self.unknown_files.append((version.commit, b"(binary merge)"))
                lines = None
                continue
            old, new = version.blobs
            if not old.strip(b"0"):
                lines, old = FileLines(array("I"), array("I")), NOTHING
            elif lines is None:
                touched = array("I", (UNKNOWN,)) * sum(edits_of[NOTHING, old][2::3])
                lines = FileLines(touched, touched)
            edits, spaced = edits_of[old, new], spaced_of[old, new]
            if edits:
                lines = edited(lines, one, edits, (spaced, None) if spaced != edits else None)
        return lines if lines is not None else FileLines(array("I"), array("I"))

    def _compared_as_text(
        self, asked: Sequence[tuple[bytes, bytes]], *options: str
    ) -> dict[tuple[bytes, bytes], Edits]:
        """The edits between pairs of blobs, binary or not."""
        blobs = sorted({blob for pair in asked for blob in pair})
        with Scratch(self.repository) as scratch:
            trees = {blob: scratch.tree(files=[(b"x", blob)] if blob else ()) for blob in blobs}
            pairs = {trees[old] + b" " + trees[new]: (old, new) for old, new in asked}
            found = scratch.compare(list(pairs), *AS_TEXT, *options)
        return {pairs[pair]: parse_edits(section) for pair, section in found}


def edited(before: FileLines, one: array[int], edits: Edits, spaced: Spaced | None) -> FileLines:
    """The lines of a file after one commit.

    Args:
        before: its lines before.
        one: an array of one item, the index of the commit.
        edits, spaced: see :mod:`preventable.code.history.diffparse`.
    """
    touched = _replaced(before.touched, one, edits)
    if spaced is None and before.substantive is before.touched:
        return FileLines(touched, touched)
    edits, kept = (edits, None) if spaced is None else spaced
    old = before.substantive
    if not kept:
        return FileLines(touched, _replaced(old, one, edits))
    substantive = old[:]
    pairs_of = dict(kept)
    steps = iter(edits)
    for number, (start, end, new) in enumerate(zip(steps, steps, steps, strict=True)):
        lines = one * new
        pairs = iter(pairs_of.get(number, ()))
        for at, source, length in zip(pairs, pairs, pairs, strict=True):
            lines[at : at + length] = old[start + source : start + source + length]
        substantive[start:end] = lines
    return FileLines(touched, substantive)


def _replaced(lines: array[int], one: array[int], edits: Edits) -> array[int]:
    lines = lines[:]
    steps = iter(edits)
    for start, end, new in zip(steps, steps, steps, strict=True):
        lines[start:end] = one * new
    return lines


def woven(runs: Sequence[int], sources: Sequence[array[int] | None], index: int) -> array[int]:
    """The lines of a file that a merge put together from its parents.

    Args:
        runs: flat ``parent, start, length, ...``; see :mod:`preventable.code.history.diffparse`.
        sources: the lines of each parent, None where it has no such file.
        index: the merge.
    """
    one = array("I", (index,))
    lines: array[int] = array("I")
    steps = iter(runs)
    for parent, start, length in zip(steps, steps, steps, strict=True):
        source = sources[parent] if parent >= 0 else None
        if source is not None:
            lines += source[start : start + length] if length >= 0 else source[start:]
        elif length > 0:
            lines += one * length
    return lines


def count_lines(content: bytes) -> int:
    """Lines as git counts them: a last line without a newline is one."""
    return content.count(b"\n") + (bool(content) and not content.endswith(b"\n"))

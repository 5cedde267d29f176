"""What speaks for each commit as the one that brought a fault: one column per kind of evidence.

Every column is 0 for a commit that it says nothing about. Shares of lines and words are weighted by rarity,
so that ``return result;`` or ``data`` counts little.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from preventable.code.history.addedtext import line_key
from preventable.code.history.diffparse import Change
from preventable.code.history.tree import Tree
from preventable.code.origin.corpus import Corpus, Floats, Integers
from preventable.code.origin.fixes import Fix, Line, words_of
from preventable.code.origin.messages import Messages, identifiers, parts, parts_of_all, prose_words
from preventable.code.origin.releases import Ancestry

COLUMNS = (
    "deleted_first", "deleted_wrote", "neighbour_first", "resembles", "resembles_first", "same_function",
    "fix_words", "named_words", "named_words_first", "title_in_code", "title_in_message", "lines_in_files",
    "refactoring", "feature", "novelty", "new_words",
)  # fmt: skip
"""Kinds of evidence:

- deleted_first, neighbour_first: share of the deleted lines (of the lines beside the change) whose text the
  commit was the first to add, anywhere in the tree: follows moves, copies and formatting;
- deleted_wrote: share of the deleted lines that the commit wrote, by the replayed attribution (whitespace
  ignored);
- resembles: cosine between the words of a change with its neighbours and the commit's most similar ten lines,
  averaged over the changes; resembles_first: share of the changes for which the commit is the first that
  comes close to the one most similar to the change itself;
- same_function: log(1 + pieces added inside the enclosing function);
- fix_words, named_words: share of the identifiers of the fix (of those the advisory names) that the commit
  added; named_words_first: that nobody had added before;
- title_in_code, title_in_message: share of the words of the advisory's title in its code, in its message;
- lines_in_files: log(1 + lines added to the fixed files, by whatever names they had);
- refactoring, feature, novelty, new_words: what kind of commit it is.
"""
CLOSE = 0.75
"""A commit comes close to the most similar one at this share of its cosine."""
COMMON_LINE = 400
"""A line that more commits added than this says nothing."""


class Attribution:
    """An observer of the replay: who wrote the lines that a fix deletes, just before it.

    Args:
        commits: the fixing commits.
        fixes: gives what each of them changed; called when the first is reached.
    """

    def __init__(self, commits: Collection[int], fixes: Callable[[], Mapping[int, Fix]]) -> None:
        self._fixes = fixes
        self.before: Collection[int] = frozenset(commits)
        self.after: Collection[int] = ()
        self.deleted: dict[int, list[list[int | None]]] = {}

    def see_before(self, index: int, tree: Tree, changes: Sequence[Change]) -> None:
        """Take what is needed of the state before a fix."""
        del changes
        fix = self._fixes()[index]
        self.deleted[index] = [_writers(tree, c.path, c.deleted) for c in fix.changes]

    def see_after(self, index: int, tree: Tree) -> None:
        """Nothing is taken after a commit."""

    def state(self) -> bytes:
        """For a checkpoint."""
        return msgspec.msgpack.encode(self.deleted)

    def restore(self, state: bytes, paths: Sequence[bytes]) -> bool:
        """Take a saved state."""
        del paths
        self.deleted = msgspec.msgpack.decode(state, type=dict[int, list[list[int | None]]])
        return True


def _writers(tree: Tree, path: bytes, lines: Sequence[Line]) -> list[int | None]:
    state = tree.lines(path)
    if state is None:
        return [None] * len(lines)
    wrote = state.substantive
    return [wrote[line.number] if line.number < len(wrote) else None for line in lines]


class Evidence:
    """Collects the evidence for fixes of one history."""

    def __init__(
        self,
        corpus: Corpus,
        messages: Messages,
        ancestry: Ancestry,
        attribution: Attribution,
    ) -> None:
        self._corpus = corpus
        self._messages = messages
        self._ancestry = ancestry
        self._attribution = attribution
        self._index_titles()
        self._index_files()
        count = corpus.commits
        self._fixed = np.zeros((count, len(COLUMNS)), np.float32, order="F")
        self._fixed[:, COLUMNS.index("refactoring")] = messages.refactoring
        self._fixed[:, COLUMNS.index("feature")] = messages.feature
        self._fixed[:, COLUMNS.index("novelty")] = corpus.novelty
        self._fixed[:, COLUMNS.index("new_words")] = np.log1p(corpus.new_words) / 3
        self.changes_code = np.zeros(count, bool)
        self.changes_code[corpus.files[:, 0]] = True

    def _index_titles(self) -> None:
        corpus, said = self._corpus, self._messages.by_word
        wanted = said.keys()
        code: dict[str, list[Integers]] = defaultdict(list)
        for column, part in parts_of_all(corpus.vocabulary):
            if part in wanted:
                code[part].append(corpus.word_commits(column))
        path_words = {n: parts(p.decode("utf-8", "replace")) & wanted for p, n in corpus.names.items()}
        paths: dict[str, list[int]] = defaultdict(list)
        for commit, path in corpus.files[:, :2].tolist():
            for word in path_words[path]:
                paths[word].append(commit)
        self._in_code = {w: np.unique(np.concatenate(code[w])) for w in wanted if code.get(w)}
        self._in_message = {w: np.unique(np.array(said[w] + paths.get(w, []), dtype=np.int64)) for w in wanted}
        self._title_weight: dict[str, float] = {}
        for word in wanted:
            everywhere = np.union1d(self._in_code.get(word, np.zeros(0, np.int64)), self._in_message[word])
            self._title_weight[word] = math.log((corpus.commits + 1) / max(len(everywhere), 1))

    def _index_files(self) -> None:
        """For each path, the rows of the file table that change it, in order."""
        files = self._corpus.files
        order = np.argsort(files[:, 1], kind="stable")
        self._file_rows = order
        self._file_starts = np.searchsorted(files[order, 1], np.arange(len(self._corpus.names) + 1))

    def _changes_of_path(self, path: bytes, before: int) -> tuple[Integers, Integers]:
        """Commits that changed a file, by whatever names it had, and the lines they added."""
        files = self._corpus.files
        found: list[npt.NDArray[np.int64]] = []
        number = self._corpus.names.get(path)
        seen = set()
        while number is not None and number not in seen:
            seen.add(number)
            rows = self._file_rows[self._file_starts[number] : self._file_starts[number + 1]]
            rows = rows[files[rows, 0] < before]
            found.append(rows)
            renames = rows[(files[rows, 2] > 0) & (files[rows, 2] != number + 1)]
            if not len(renames):
                break
            last = renames[-1]
            before = int(files[last, 0])
            number = int(files[last, 2]) - 1
        chosen = np.concatenate(found) if found else np.zeros(0, np.int64)
        return files[chosen, 0], files[chosen, 3]

    def of(self, fix: Fix, title: str, text: str) -> tuple[Integers, Floats]:
        """The evidence for one fix.

        Args:
            fix: what it changed.
            title, text: of the advisory.
        Returns:
            candidates: shape (k,), indices of commits behind the fix, ascending.
            evidence: shape (k, len(COLUMNS)).
        """
        table = self._fixed.copy(order="F")
        column = {name: table[:, number] for number, name in enumerate(COLUMNS)}
        behind = self._ancestry.behind(fix.commit)
        self._lines(fix, "deleted", behind, column)
        self._lines(fix, "neighbour", behind, column)
        self._resemblance(fix, behind, column)
        functions = {self._corpus.names.get(c.function) for c in fix.changes if c.function}
        wanted = sorted(n for n in functions if n is not None)
        for name in wanted:
            where, counts = np.unique(self._corpus.commits_in_function(int(name)), return_counts=True)
            column["same_function"][where] += counts
        np.log1p(column["same_function"], out=column["same_function"])
        changed = [line.text for c in fix.changes for line in c.deleted]
        changed += [line for c in fix.changes for line in c.added]
        self._words(words_of(changed), behind, column["fix_words"], None)
        names = {word.encode("utf-8") for word in identifiers(f"{title}\n{text}")}
        self._words(names, behind, column["named_words"], column["named_words_first"])
        self._title(title, column)
        lines = np.zeros(self._corpus.commits)
        for path in fix.paths:
            where, added = self._changes_of_path(path, fix.commit)
            np.add.at(lines, where, added + 1)
        column["lines_in_files"] += np.log1p(lines)
        candidates = np.flatnonzero(behind & self.changes_code)
        if not len(candidates):
            candidates = np.flatnonzero(behind)
        return candidates, table[candidates]

    def _lines(self, fix: Fix, kind: str, behind: npt.NDArray[np.bool_], column: Mapping[str, Floats]) -> None:
        first = column[f"{kind}_first"]
        wrote = column["deleted_wrote"]
        found = self._attribution.deleted.get(fix.commit) if kind == "deleted" else None
        total = 0.0
        for number, change in enumerate(fix.changes):
            for place, line in enumerate(change.deleted if kind == "deleted" else change.neighbours):
                key = line_key(line.text)
                writers = self._corpus.line_commits(key) if key is not None else np.zeros(0, np.int64)
                writers = writers[behind[writers]] if len(writers) <= COMMON_LINE else writers[:0]
                weight = 1 / math.log2(2 + len(writers)) if len(writers) else 0.3
                total += weight
                if len(writers):
                    first[writers[0]] += weight
                writer = found[number][place] if found else None
                if writer is not None and writer < len(wrote):
                    wrote[writer] += weight
        if total:
            first /= total
            if found:
                wrote /= total

    def _resemblance(self, fix: Fix, behind: npt.NDArray[np.bool_], column: Mapping[str, Floats]) -> None:
        corpus = self._corpus
        targets: list[list[int]] = []
        weights: list[float] = []
        for change in fix.changes:
            own = words_of([*(line.text for line in change.deleted), *change.added])
            around = own | words_of([line.text for line in change.neighbours])
            for words in (own, around):
                known = [corpus.vocabulary[w] for w in words if w in corpus.vocabulary]
                targets.append(sorted(w for w in known if corpus.word_first[w] < fix.commit))
            weights.append(math.sqrt(1 + len(change.deleted)))
        if not targets:
            return
        commits, cosines = corpus.resemblance(targets, behind)
        if not len(commits):
            return
        share = np.array(weights, dtype=np.float32) / sum(weights)
        starts = np.flatnonzero(np.diff(commits, prepend=-1))
        best = np.maximum.reduceat(cosines[1::2], starts, axis=1)  # a commit is as similar as its most similar piece
        column["resembles"][commits[starts]] = np.ascontiguousarray(best.T) @ share
        alone = cosines[::2]
        top = alone.max(axis=1)
        for number in np.flatnonzero(top > 0.3):
            nearest = commits[np.argmax(alone[number] >= CLOSE * top[number])]
            column["resembles_first"][nearest] += share[number]

    def _words(self, words: set[bytes], behind: npt.NDArray[np.bool_], share: Floats, first: Floats | None) -> None:
        corpus = self._corpus
        total = 0.0
        for word in sorted(words):
            number = corpus.vocabulary.get(word)
            if number is None:
                continue
            commits = corpus.word_commits(number)
            commits = commits[behind[commits]]
            if len(commits):
                weight = float(corpus.word_weight[number]) ** 2
                total += weight
                share[commits] += weight
                if first is not None:
                    first[commits[0]] += weight
        if total:
            share /= total
            if first is not None:
                first /= total

    def _title(self, title: str, column: Mapping[str, Floats]) -> None:
        total = 0.0
        for word in sorted(prose_words(title)):
            weight = self._title_weight.get(word, 0.0)
            total += weight
            if word in self._in_code:
                column["title_in_code"][self._in_code[word]] += weight
            if word in self._in_message:
                column["title_in_message"][self._in_message[word]] += weight
        if total:
            column["title_in_code"] /= total
            column["title_in_message"] /= total

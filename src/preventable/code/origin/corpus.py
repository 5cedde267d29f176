"""What every commit of a history added, as sparse tables: pieces of code by word, lines by text, files.

Put together from the files that the shards of a replay leave (see
:mod:`preventable.code.history.addedtext`). Rows are in the order of the commits.
"""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from preventable.code.history.addedtext import KEYWORD

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

COMMON_WORD = 2000
"""A word in more pieces than this does not make a piece worth comparing; it counts where others do."""


class Corpus:
    """The code that was added, commit by commit.

    Args:
        directory: where the shards left their files.
        commits: number of commits in the history.

    Attributes:
        vocabulary: word → column, in order of both.
        word_weight: shape (words,), log((commits + 1) / commits that added the word).
        word_first: shape (words,), index of the first commit that added the word.
        piece_commit: shape (pieces,), ascending.
        names: path of a file or name of a function → number.
        piece_norm: shape (pieces,), Euclidean length of a piece's weighted words.
        novelty: shape (commits,), share of a commit's distinct lines that no earlier commit had added.
        new_words: shape (commits,), words that no earlier commit had added.
    """

    def __init__(self, directory: str | Path, commits: int) -> None:
        self.commits = commits
        self.vocabulary: dict[bytes, int] = {}
        self.names: dict[bytes, int] = {}
        pieces, lengths, words, keys, key_commits, files = self._read(Path(directory))
        order = np.argsort(pieces[:, 0], kind="stable")
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.piece_commit = pieces[order, 0]
        by_function = np.argsort(pieces[order, 1], kind="stable")
        self._function_commits = self.piece_commit[by_function]
        self._function_starts = np.searchsorted(pieces[order, 1][by_function], np.arange(len(self.names) + 1))
        by_piece = sparse.csr_matrix(
            (np.ones(len(words), np.float32), words, starts), shape=(len(pieces), len(self.vocabulary))
        )[order]
        self._by_word = by_piece.tocsc()
        self._by_word.sort_indices()
        self._count_words(by_piece)
        self._index_lines(keys, key_commits)
        self.files = files[np.argsort(files[:, 0], kind="stable")]

    def _read(self, directory: Path) -> tuple[Integers, Integers, Integers, Integers, Integers, Integers]:
        chunks = sorted(directory.iterdir())
        self._number(chunks)
        tables: list[tuple[Integers, ...]] = []
        for file in chunks:
            names, words, *parts = marshal.loads(file.read_bytes())
            raw = [np.frombuffer(p, np.uint64 if i == 3 else np.uint32) for i, p in enumerate(parts)]
            pieces, starts, numbers, keys, key_commits, files = (a.astype(np.int64) for a in raw)
            pieces, files = pieces.reshape(-1, 3), files.reshape(-1, 4)
            name_map = np.fromiter(map(self.names.__getitem__, names), np.int64, len(names))
            word_map = np.fromiter(map(self.vocabulary.__getitem__, words), np.int64, len(words))
            pieces[:, 1:] = name_map[pieces[:, 1:]]
            files[:, 1] = name_map[files[:, 1]]
            renamed = files[:, 2] > 0
            files[renamed, 2] = name_map[files[renamed, 2] - 1] + 1
            telling = numbers != KEYWORD
            lengths = np.diff(np.concatenate([[0], np.cumsum(telling)])[starts])
            tables.append((pieces, lengths, word_map[numbers[telling]], keys, key_commits, files))
        if not tables:
            none = np.zeros(0, np.int64)
            return none.reshape(0, 3), none, none, none, none, none.reshape(0, 4)
        joined = [np.concatenate(parts) for parts in zip(*tables, strict=True)]
        return joined[0], joined[1], joined[2], joined[3], joined[4], joined[5]

    def _number(self, chunks: Sequence[Path]) -> None:
        """Number names and words by their order, so that no sum depends on how the history was cut for the shards."""
        all_names: set[bytes] = set()
        all_words: set[bytes] = set()
        for file in chunks:  # which are read again later: all of their words at once would be many times as much
            names, words, *_ = marshal.loads(file.read_bytes())
            all_names.update(names)
            all_words.update(words)
        self.names = {name: number for number, name in enumerate(sorted(all_names))}
        self.vocabulary = {word: number for number, word in enumerate(sorted(all_words))}

    def _count_words(self, by_piece: sparse.csr_matrix) -> None:
        width = len(self.vocabulary)
        rows = np.repeat(self.piece_commit, np.diff(by_piece.indptr))
        ones = np.ones(len(rows), np.float32)
        by_commit = sparse.coo_matrix((ones, (rows, by_piece.indices)), shape=(self.commits, width)).tocsc()
        by_commit.sum_duplicates()
        counts = np.diff(by_commit.indptr)
        self._word_commits: Integers = by_commit.indices.astype(np.int64)
        self._word_starts = by_commit.indptr
        self.word_weight: Floats = np.log((self.commits + 1) / np.maximum(counts, 1)).astype(np.float32)
        self.word_first: Integers = self._word_commits[self._word_starts[:-1]]
        self.new_words = np.bincount(self.word_first, minlength=self.commits)
        squared = sparse.csr_matrix(
            (self.word_weight[by_piece.indices] ** 2, by_piece.indices, by_piece.indptr), shape=by_piece.shape
        )
        self.piece_norm: Floats = np.sqrt(np.asarray(squared.sum(1)).ravel()).astype(np.float32) + 1e-6

    def _index_lines(self, keys: Integers, commits: Integers) -> None:
        order = np.lexsort((commits, keys))
        keys, commits = keys[order], commits[order]
        fresh = np.ones(len(keys), bool)
        fresh[1:] = (keys[1:] != keys[:-1]) | (commits[1:] != commits[:-1])
        keys, self._line_commits = keys[fresh], commits[fresh]
        self._line_keys, starts = np.unique(keys, return_index=True)
        self._line_starts = np.append(starts, len(keys))
        new = np.bincount(self._line_commits[starts], minlength=self.commits)
        total = np.bincount(self._line_commits, minlength=self.commits)
        self.novelty: Floats = (new / np.maximum(total, 1)).astype(np.float32)

    def line_commits(self, key: int) -> Integers:
        """The commits that added a line of this key, in order."""
        at = int(np.searchsorted(self._line_keys, key))
        if at == len(self._line_keys) or self._line_keys[at] != key:
            return np.zeros(0, np.int64)
        found: Integers = self._line_commits[self._line_starts[at] : self._line_starts[at + 1]]
        return found

    def word_commits(self, word: int) -> Integers:
        """The commits that added a word, in order."""
        found: Integers = self._word_commits[self._word_starts[word] : self._word_starts[word + 1]]
        return found

    def commits_in_function(self, name: int) -> Integers:
        """The commits of the pieces that were added inside functions of a name."""
        found: Integers = self._function_commits[self._function_starts[name] : self._function_starts[name + 1]]
        return found

    def resemblance(self, targets: list[list[int]], among: npt.NDArray[np.bool_]) -> tuple[Integers, Floats]:
        """How much pieces of code resemble sets of words.

        cos(t, p) = sum of w² over the words of both / (|t| |p|),  w = word weight

        Args:
            targets: sets of words.
            among: shape (commits,), those whose pieces are compared.
        Returns:
            the commits of the pieces that share a telling word, ascending, shape (k,), and the cosine of each piece,
            shape (targets, k), in [0, 1].
        """
        columns = np.array(sorted({w for target in targets for w in target}), dtype=np.int64)
        if not len(columns):
            return columns, np.zeros((len(targets), 0), np.float32)
        place = {int(word): i for i, word in enumerate(columns)}
        weights = np.zeros((len(columns), len(targets)), np.float32)
        for number, target in enumerate(targets):
            at = [place[w] for w in target]
            squared = self.word_weight[columns[at]] ** 2
            weights[at, number] = squared / (np.sqrt(squared.sum()) + 1e-6)
        chosen = self._by_word[:, columns]
        counts = np.diff(chosen.indptr)
        telling = counts <= max(COMMON_WORD, int(counts.min()))
        worth = np.zeros(len(self.piece_commit), bool)
        worth[chosen.indices[np.repeat(telling, counts)]] = True
        rows = np.flatnonzero(worth)
        rows = rows[among[self.piece_commit[rows]]]
        cosines = (chosen.tocsr()[rows] @ weights) / self.piece_norm[rows, None]
        return self.piece_commit[rows], np.ascontiguousarray(cosines.T)

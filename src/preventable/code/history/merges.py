"""What merges do to files: which they take from a parent as they are, and which they weave together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO

from preventable.code.history.diffparse import Weave, parse_weave, unquote
from preventable.code.history.gitcall import Repository
from preventable.code.history.sections import Lookahead
from preventable.errors import RepositoryError

COMBINED = ("-U1", "-c", "--combined-all-paths")
"""One line of context: without it git leaves out the line that lost lines stand before, and miscounts."""
RAW = ("diff-tree", "--stdin", "-r", "--raw", "--no-renames", "--no-abbrev", "--always")

WOVEN = ("diff-tree", "--stdin", "-r", "-c", "--raw", "--no-renames", "--no-abbrev")

Diffs = Iterable[tuple[int, bytes]]
"""Position of a commit and the diff of one of its files, in order."""


def compared(parents: Sequence[bytes]) -> Sequence[bytes]:
    """The parents a merge is compared with: with two, what is not as in the first is as in the second."""
    return parents if len(parents) > 2 else parents[:1]


def weaving(repository: Repository, merges: Sequence[bytes]) -> dict[bytes, bool]:
    """The merges that leave a file unlike that of every parent, from their trees alone.

    Most merges do not, and need no diff of contents.

    Returns:
        merge → whether such a file is absent from a parent, so that its ancestor there may have another name.
    """
    found: dict[bytes, bool] = {}
    commit = b""
    for line in repository.run(*WOVEN, stdin=b"\n".join(merges) + b"\n").splitlines():
        if not line.startswith(b":"):
            commit = line
            continue
        status = line.partition(b"\t")[0].rpartition(b" ")[2]
        if status.strip(b"D"):
            found[commit] = found.get(commit, False) or b"A" in status
    return found


class RawMerges:
    """Which paths a merge changed against its parents, from ``git diff-tree --raw``.

    Args:
        stream: the output for lines ``merge parent``.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._line = stream.readline()

    def next(self, commit: bytes) -> dict[bytes, bool]:
        """The paths that differ between the merge and its next parent; True: gone from the merge."""
        if self._line.rstrip(b"\n") != commit:
            raise RepositoryError(
                f"git said nothing about merge {commit.decode()}", hint="`git fsck` tells what is damaged"
            )
        paths: dict[bytes, bool] = {}
        while (line := self._stream.readline()).startswith(b":"):
            head, _, name = line[:-1].partition(b"\t")
            paths[unquote(name)] = head.endswith(b"D")
        self._line = line
        return paths


class MergeReader:
    """What merges do to files, in order.

    Args:
        raw: which paths differ from the parents.
        combined: the combined diffs of the merges.
        spaced: the same with whitespace ignored, or None.
    """

    def __init__(self, raw: RawMerges, combined: Diffs, spaced: Diffs | None) -> None:
        self._raw = raw
        self._combined = Lookahead(combined)
        self._spaced = None if spaced is None else Lookahead(spaced)
        self._at = 0

    def read(self, commit: bytes, parents: Sequence[bytes]) -> tuple[list[tuple[bytes, int]], list[Weave], list[Weave]]:
        """Takes, weaves and weaves with whitespace ignored of the next merge."""
        weaves = self._weaves(self._combined, len(parents))
        weaves_w = [] if self._spaced is None else self._weaves(self._spaced, len(parents))
        self._at += 1
        woven = {weave[0] for weave in weaves}
        differs = [self._raw.next(commit) for _ in compared(parents)]
        takes: list[tuple[bytes, int]] = []
        for path, gone in differs[0].items():
            if gone:
                takes.append((path, -1))
            elif path not in woven:
                takes.append((path, next((i for i in range(1, len(differs)) if path not in differs[i]), 1)))
        return takes, weaves, weaves_w

    def _weaves(self, sections: Lookahead, parents: int) -> list[Weave]:
        found = (parse_weave(section, parents) for section in sections.of(self._at))
        return [weave for weave in found if weave is not None]

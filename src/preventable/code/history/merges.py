"""What merges do to files: which they take from a parent as they are, and which they weave together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import IO, NamedTuple

from preventable.code.history.diffparse import Weave, parse_weave, unquote
from preventable.code.history.gitcall import Repository
from preventable.code.history.sections import Lookahead
from preventable.errors import RepositoryError

COMBINED = ("-U1", "-c", "--combined-all-paths")
"""One line of context: without it git leaves out the line that lost lines stand before, and miscounts."""
RAW = ("diff-tree", "--stdin", "-r", "--raw", "--no-renames", "--no-abbrev", "--always")

WOVEN = ("diff-tree", "--stdin", "-r", "-c", "--raw", "--no-renames", "--no-abbrev")
MOVED = ("diff-tree", "--stdin", "-r", "-M", "-l1000", "--diff-filter=R", "--raw", "--no-abbrev", "--always")

Diffs = Iterable[tuple[int, bytes]]
"""Position of a commit and the diff of one of its files, in order."""


def compared(parents: Sequence[bytes]) -> Sequence[bytes]:
    """The parents a merge is compared with: with two, what is not as in the first is as in the second."""
    return parents if len(parents) > 2 else parents[:1]


class Unlike(NamedTuple):
    """How a file of a merge differs from that of every parent, as git names it: by mode or content."""

    status: bytes
    """A letter for each parent; ``A``: the path is not there, so that its ancestor there may have another name."""
    same: int
    """The first parent that has the same content there under another mode; -1: none."""


Woven = Mapping[bytes, Mapping[bytes, Unlike]]
"""Merge → path → how it differs."""


def weaving(repository: Repository, merges: Sequence[bytes]) -> Woven:
    """The merges that leave a file unlike that of every parent, from their trees alone.

    Most merges do not, and need no diff of contents.
    """
    found: dict[bytes, dict[bytes, Unlike]] = {}
    commit = b""
    for line in repository.run(*WOVEN, stdin=b"\n".join(merges) + b"\n").splitlines():
        if not line.startswith(b":"):
            commit = line
            continue
        head, _, name = line.partition(b"\t")
        *fields, status = head.split(b" ")
        if status.strip(b"D"):
            *before, after = fields[len(fields) // 2 :]
            same = before.index(after) if after in before else -1
            found.setdefault(commit, {})[unquote(name)] = Unlike(status, same)
    return found


def whole(
    repository: Repository, woven: Woven, parents: Mapping[bytes, Sequence[bytes]]
) -> dict[bytes, dict[bytes, Weave]]:
    """The files of merges whose content is that of a parent's file of another mode or, if there is none, another name.

    As for ``git blame``, all their lines are as they are there.

    Args:
        woven: from :func:`weaving`.
        parents: of the merges.
    """
    found: dict[bytes, dict[bytes, Weave]] = {}

    def take(merge: bytes, path: bytes, number: int, name: bytes) -> None:
        names = tuple(name if n == number else None for n in range(len(parents[merge])))
        found.setdefault(merge, {}).setdefault(path, (path, names, [number, 0, -1]))

    asked: list[tuple[bytes, int]] = []
    for merge, paths in woven.items():
        for path, unlike in paths.items():
            if unlike.same >= 0:
                take(merge, path, unlike.same, path)
        absent = [unlike.status for unlike in paths.values() if unlike.same < 0]
        asked += [(merge, n) for n in range(len(parents[merge])) if any(s[n : n + 1] == b"A" for s in absent)]
    if not asked:
        return found
    at = -1
    lines = b"".join(b"%b %b\n" % (merge, parents[merge][number]) for merge, number in asked)
    for line in repository.run(*MOVED, stdin=lines).splitlines():
        if not line.startswith(b":"):
            at += 1
            continue
        merge, number = asked[at]
        head, old, new = line.split(b"\t")
        _, _, before, after, _ = head.split(b" ")
        path = unquote(new)
        if before == after and path in woven[merge] and woven[merge][path].status[number : number + 1] == b"A":
            take(merge, path, number, unquote(old))
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
        """The paths that differ between the merge and its next parent; True: no file any more in the merge."""
        if self._line.rstrip(b"\n") != commit:
            raise RepositoryError(
                f"git said nothing about merge {commit.decode()}", hint="`git fsck` tells what is damaged"
            )
        paths: dict[bytes, bool] = {}
        while (line := self._stream.readline()).startswith(b":"):
            head, _, name = line[:-1].partition(b"\t")
            paths[unquote(name)] = head.endswith(b"D") or head.split(b" ", 2)[1][:2] in (b"12", b"16")
        self._line = line
        return paths


class MergeReader:
    """What merges do to files, in order.

    Args:
        raw: which paths differ from the parents.
        combined: the combined diffs of the merges.
        spaced: the same with whitespace ignored, or None.
        whole: files whose content is a parent's, by merge and path.
    """

    def __init__(
        self, raw: RawMerges, combined: Diffs, spaced: Diffs | None, whole: Mapping[bytes, Mapping[bytes, Weave]]
    ) -> None:
        self._raw = raw
        self._whole = whole
        self._combined = Lookahead(combined)
        self._spaced = None if spaced is None else Lookahead(spaced)
        self._at = 0

    def read(self, commit: bytes, parents: Sequence[bytes]) -> tuple[list[tuple[bytes, int]], list[Weave], list[Weave]]:
        """Takes, weaves and weaves with whitespace ignored of the next merge."""
        whole = self._whole.get(commit, {})
        weaves = [*(w for w in self._weaves(self._combined, len(parents)) if w[0] not in whole), *whole.values()]
        weaves_w = [] if self._spaced is None else self._weaves(self._spaced, len(parents))
        weaves_w = [w for w in weaves_w if w[0] not in whole]
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

"""Files that one commit made from a file that it took away, followed as ``git blame`` follows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from preventable.code.history.diffparse import FILE, FOLLOWED, Change, parse_change
from preventable.code.history.respacing import Respacer
from preventable.code.history.scratch import Scratch

FOLLOW = ("diff-tree", "--stdin", "-r", "-p", "-U0", "-M", "-l1000", "--diff-filter=R", "--full-index",
          "--no-textconv", "--no-ext-diff", "--no-color")  # fmt: skip
FOLLOWED_PAIRS = 20_000
"""Lost times new files of one commit beyond which only git's own renames are followed."""
_BLOBS = re.compile(rb"\nindex ([0-9a-f]+)\.\.([0-9a-f]+)")
_SOURCE = re.compile(rb'\nrename from "?(\d+)/')


@dataclass
class _Waiting:
    commit: bytes
    changes: list[Change]
    at: int
    blob: bytes
    path: bytes
    lost: list[tuple[bytes, bytes]]
    """Blob (or ``commit^:path``) and path of every file that the commit took away."""


class Follower:
    """Files that one commit made from a file that it took away, as ``git blame`` follows them.

    A rename gives a lost file to one successor alone; ``git blame`` looks for the ancestor of each new file on
    its own, so that a file that was split is followed into all its parts. For the new files of a commit that
    also lost files, the comparison is made again, each new file alone against all lost ones.

    Args:
        scratch: where trees may be written.
        respacer: looks at the files that were given an ancestor.
    """

    def __init__(self, scratch: Scratch, respacer: Respacer) -> None:
        self.skipped: list[bytes] = []
        """Commits of too many lost and new files."""
        self._scratch = scratch
        self._respacer = respacer
        self._lost: list[tuple[bytes, bytes]] = []
        self._new: list[tuple[int, bytes, bytes]] = []
        self._renamed = False
        self._added = False
        self._link: bytes | None = None
        """The link that the commit took away last."""
        self._waiting: list[_Waiting] = []

    def look(self, commit: bytes, section: bytes, change: Change, at: int) -> None:
        """Note a file that is lost or new; ``change`` is about to become number ``at`` of its commit's."""
        path, old, edits, _, blobs, kind = change
        if path == old:
            return
        if kind != FILE:
            # A file that became a link, or the other way round, is neither lost nor new to git. Its two halves come
            # one after the other.
            if path is not None and self._lost and self._lost[-1][1] == path:
                self._lost.pop()
            self._link = old if path is None else None
            return
        if path is not None and path == self._link:
            return
        found = _BLOBS.search(section)
        if old is not None:
            # Git does not print the blob of a file that only moved.
            self._lost.append((found[1] if found else b"%b^:%b" % (commit, old), old))
            if path is not None:
                self._renamed = True
                if found:
                    self._new.append((at, found[2], path))
        elif path is not None and found and edits and blobs is None:
            self._added = True
            self._new.append((at, found[2], path))

    def commit_done(self, commit: bytes, changes: list[Change]) -> None:
        """All files of a commit have been seen (or as many as are looked at together)."""
        lost, new = sorted(self._lost, key=lambda item: item[1]), self._new
        # Where git found no rename, no new file is like any lost one; a rename without other lost or new files has
        # nothing to be compared with.
        if self._renamed and (self._added or (new and len(lost) > 1)):
            if len(lost) * len(new) <= FOLLOWED_PAIRS:
                self._waiting += [_Waiting(commit, changes, at, blob, path, lost) for at, blob, path in new]
            else:
                self.skipped.append(commit)
        self._lost, self._new = [], []
        self._renamed = self._added = False
        self._link = None

    def resolve(self, *, whitespace: bool) -> None:
        """Give the noted new files their ancestors; they are then looked at for whitespace too."""
        waiting, self._waiting = self._waiting, []
        self._look_up(waiting)
        waiting = [w for w in waiting if w.lost]
        if not waiting:
            return
        scratch = self._scratch
        asked: dict[bytes, list[_Waiting]] = {}
        trees: dict[tuple[tuple[bytes, bytes], ...], bytes] = {}
        for wait in waiting:
            key = tuple(wait.lost)  # the same for all files of a commit
            old = trees.get(key) or trees.setdefault(key, self._numbered(key))
            new = scratch.tree(files=[(_base(wait.path), wait.blob)])
            asked.setdefault(old + b" " + scratch.tree(trees=[(b"x", new)]), []).append(wait)
        for pair, section in scratch.compare(list(asked), *FOLLOW):
            source = _SOURCE.search(section)
            if source:
                for wait in asked[pair]:
                    self._give(wait, wait.lost[int(source[1])][1], section, whitespace)

    def _numbered(self, files: Sequence[tuple[bytes, bytes]]) -> bytes:
        """A tree of files (blob and path), each under its own name in a directory of its number."""
        tree = self._scratch.tree
        return tree(trees=[(b"%09d" % n, tree(files=[(_base(path), blob)])) for n, (blob, path) in enumerate(files)])

    def _look_up(self, waiting: list[_Waiting]) -> None:
        """Find the blobs of files that only moved; one that cannot be asked for is left out."""
        names = sorted({blob for wait in waiting for blob, _ in wait.lost if b"^:" in blob and b"\n" not in blob})
        blobs: dict[bytes, bytes] = {}
        if names:
            out = self._scratch.run("cat-file", "--batch-check=%(objectname)", stdin=b"\n".join(names) + b"\n")
            blobs = {n: b for n, b in zip(names, out.splitlines(), strict=True) if b" " not in b}
        for wait in waiting:
            found = ((blobs.get(b) if b"^:" in b else b, path) for b, path in wait.lost)
            wait.lost = [(b, path) for b, path in found if b]

    def _give(self, wait: _Waiting, source: bytes, section: bytes, whitespace: bool) -> None:
        changes, at = wait.changes, wait.at
        path, old, _, _, _, _ = changes[at]
        if old == source:
            return
        if old is not None:
            changes.append((None, old, [0, 0, 0], None, None, FILE))
        parsed = parse_change(section)
        change: Change = (path, source, (parsed[2] if parsed else None) or [], None, None, FOLLOWED)
        if whitespace:
            self._respacer.forget(changes, at)
            change = self._respacer.look(wait.commit, section, change, changes, at)
        changes[at] = change


def _base(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]

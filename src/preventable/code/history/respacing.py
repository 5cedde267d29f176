"""Diffs of chosen files with whitespace ignored: what the substantive age goes by."""

from __future__ import annotations

import re

from preventable.code.history.diffparse import Change, may_differ_in_space, pair_ignored, parse_edits, respaced
from preventable.code.history.scratch import Scratch

SPACED = ("diff-tree", "-r", "-p", "-U0", "-w", "--no-renames", "--full-index", "--no-textconv",
          "--no-ext-diff", "--no-color")  # fmt: skip
_BLOBS = re.compile(rb"\nindex ([0-9a-f]+)\.\.([0-9a-f]+)")
_NUMBER = re.compile(rb"git a/(\d{9}) b/")


class Respacer:
    """Diffs of chosen files with whitespace ignored.

    The files are put side by side into two trees, so that one call of git diffs them all.

    Args:
        scratch: where trees may be written.
        ignored: commits to be ignored: all their files are chosen, and their lines paired.
        exact: choose all files, for git may place an edit differently where lines next to it differ in
            whitespace alone; otherwise those where a removed line came back with other whitespace and the plain
            diff leaves git a choice.
    """

    def __init__(self, scratch: Scratch, ignored: frozenset[bytes], *, exact: bool) -> None:
        self._exact = exact
        self._ignored = ignored
        self._waiting: list[tuple[list[Change], int, bytes, bytes, bool]] = []
        self._scratch = scratch

    def look(self, commit: bytes, section: bytes, change: Change, changes: list[Change], at: int) -> Change:
        """Note the file whose change is, or is about to be, number ``at`` of ``changes``.

        Returns:
            The change, with ``spaced`` if that is certain already.
        """
        ignored = commit in self._ignored
        if not self._exact and not ignored:
            if not may_differ_in_space(section):
                return change
            spaced = respaced(section)
            if spaced is not None:
                path, old, edits, _, blobs, kind = change
                return change if spaced == edits else (path, old, edits, (spaced, None), blobs, kind)
        found = _BLOBS.search(section)
        if found:
            self._waiting.append((changes, at, found[1], found[2], ignored))
        return change

    def forget(self, changes: list[Change], at: int) -> None:
        """Number ``at`` of ``changes`` has become another change."""
        self._waiting = [w for w in self._waiting if w[0] is not changes or w[1] != at]

    def resolve(self) -> None:
        """Fill in ``spaced`` of all files noted since the last call."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        # Versions of one file side by side: git builds each from the one before.
        waiting.sort(key=lambda item: item[0][item[1]][0] or b"")
        names = [b"%d" % (10**8 + number) for number in range(len(waiting))]
        trees = [
            self._scratch.tree(files=zip(names, blobs, strict=True))
            for blobs in ([item[2] for item in waiting], [item[3] for item in waiting])
        ]
        diff = self._scratch.run(*SPACED, *(tree.decode() for tree in trees))
        sections = {}
        for section in diff.removesuffix(b"\n").split(b"\ndiff --"):
            found = _NUMBER.search(section)
            if found:
                sections[int(found[1]) - 10**8] = section
        for number, (changes, at, _, _, ignored) in enumerate(waiting):
            section = sections.get(number, b"")
            path, old, edits, _, blobs, kind = changes[at]
            kept = pair_ignored(section) if ignored else None
            spaced = parse_edits(section)
            if spaced != edits or kept:
                changes[at] = (path, old, edits, (spaced, kept), blobs, kind)

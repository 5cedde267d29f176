"""Binary files that turn into text: git says only that they differ, so the new content is looked at."""

from __future__ import annotations

from preventable.code.history.diffparse import TURNED_TEXT, Change
from preventable.code.history.scratch import Scratch

NUMSTAT = ("diff-tree", "-r", "--numstat", "--no-renames", "--no-textconv", "--no-ext-diff")


class Binaries:
    """Finds the changes after which a file is text.

    Args:
        scratch: where trees may be written.
    """

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._waiting: list[tuple[list[Change], int]] = []

    def look(self, change: Change, changes: list[Change]) -> None:
        """Note a change that is about to be appended to ``changes``, if git calls the file binary."""
        path, old, _, _, blobs, _ = change
        if blobs is not None and path is not None and old is not None:
            self._waiting.append((changes, len(changes)))

    def resolve(self) -> None:
        """Mark those noted changes that leave a text file behind."""
        waiting, self._waiting = self._waiting, []
        blobs = [changed[at][4] for changed, at in waiting]
        files = [(b"%d" % (10**8 + number), pair[1]) for number, pair in enumerate(blobs) if pair]
        if not files:
            return
        trees = [self._scratch.tree(files=[(b"x", files[0][1])]), self._scratch.tree(files=files)]
        out = self._scratch.run(*NUMSTAT, *(tree.decode() for tree in trees))
        for line in out.splitlines():
            added, _, name = line.split(b"\t")
            if added != b"-" and name != b"x":
                changed, at = waiting[int(name) - 10**8]
                changed[at] = (*changed[at][:5], TURNED_TEXT)

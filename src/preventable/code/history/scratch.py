"""A place for trees made to be compared: git diffs any number of chosen files in one call."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from preventable.code.history.gitcall import Repository
from preventable.errors import RepositoryError

_PAIR = re.compile(rb"\n(?=[0-9a-f]{40,64} [0-9a-f]{40,64}\n)")


class Scratch(Repository):
    """A repository seen through a temporary object directory that borrows its objects: it is never written itself.

    Trees are written by one process of git that stays; calls read them like any other.

    Args:
        repository: where the files' contents are.
    """

    def __init__(self, repository: Repository) -> None:
        sparing = repository.sparing()
        objects = repository.run("rev-parse", "--path-format=absolute", "--git-path", "objects")
        self.path, self.git_dir, self._settings = sparing.path, sparing.git_dir, sparing._settings
        self._directory = tempfile.TemporaryDirectory()
        self._more = {
            "GIT_OBJECT_DIRECTORY": self._directory.name,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(objects.decode("utf-8", "surrogateescape").removesuffix("\n")),
        }
        self._writer: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            assert self._writer.stdin is not None
            with suppress(BrokenPipeError):
                self._writer.stdin.close()
            self._writer.wait()
            assert self._writer.stdout is not None
            self._writer.stdout.close()
        self._directory.cleanup()

    def make_trees(self, listings: Sequence[bytes]) -> list[bytes]:
        """Write tree objects.

        Args:
            listings: each the entries of a tree, as ``mktree -z`` takes them.
        Returns:
            Their ids.
        """
        if self._writer is None:
            # It need not look up what it is told, so it does not get to see the repository's objects.
            alone = self.sparing()
            alone._more = {"GIT_OBJECT_DIRECTORY": self._directory.name}
            self._writer = alone.start("mktree", "-z", "--missing", "--batch", stdin=subprocess.PIPE)
        write, read = self._writer.stdin, self._writer.stdout
        assert write is not None
        assert read is not None
        trees = []
        for listing in listings:
            try:
                write.write(listing + b"\0")
                write.flush()
            except BrokenPipeError:
                break
            trees.append(read.readline().rstrip(b"\n"))
        if len(trees) < len(listings) or not all(trees):
            raise RepositoryError("git mktree failed", hint="Is the disk of the temporary directory full?")
        return trees

    def compare(self, pairs: Sequence[bytes], *command: str) -> list[tuple[bytes, bytes]]:
        """Diffs of pairs of trees.

        Args:
            pairs: ``old new``, each pair once.
            command: a ``diff-tree --stdin`` with patches.
        Returns:
            The pairs, in order, and the diffs of their files, each after ``diff --``.
        """
        out = self.run(*command, stdin=b"\n".join(pairs) + b"\n")
        found = []
        for part in _PAIR.split(b"\n" + out)[1:]:
            head, _, body = part.partition(b"\n")
            found.append((head, body.removeprefix(b"diff --").rstrip(b"\n")))
        return found


def _quoted(path: str) -> str:
    """A path in a list of paths: a colon in it does not divide it.

    Example:
        >>> _quoted("/a:b")
        '"/a:b"'
    """
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'

"""A place for trees made to be compared: git diffs any number of chosen files in one call."""

from __future__ import annotations

import hashlib
import re
import struct
import tempfile
import zlib
from binascii import crc32, unhexlify
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Self

from preventable.code.history.gitcall import Repository
from preventable.errors import RepositoryError
from preventable.termination import termination_waits

_PAIR = re.compile(rb"\n(?=[0-9a-f]{40,64} [0-9a-f]{40,64}\n)")
_TREE = 2
"""The type of a tree in a pack."""

Entry = tuple[bytes, bytes]
"""Name and id (hexadecimal) of a file, or of a tree, in a tree."""


class Scratch(Repository):
    """A repository seen through a temporary object directory that borrows its objects: it is never written itself.

    Trees that were made are there for the next call of git, and for that alone: they are written as one pack, for a
    file each would take longer than what git then does with them.

    Args:
        repository: where the files' contents are.
    """

    def __init__(self, repository: Repository) -> None:
        sparing = repository.sparing()
        told = repository.run(
            "rev-parse", "--show-object-format", "--path-format=absolute", "--git-path", "objects"
        )  # fmt: skip
        algorithm, _, objects = told.decode("utf-8", "surrogateescape").removesuffix("\n").partition("\n")
        self._hash = algorithm
        self.path, self.git_dir, self._settings = sparing.path, sparing.git_dir, sparing._settings
        with termination_waits():
            self._directory = tempfile.TemporaryDirectory()
        self._more = {
            "GIT_OBJECT_DIRECTORY": self._directory.name,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(objects),
        }
        self._trees: dict[bytes, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def tree(self, *, files: Iterable[Entry] = (), trees: Iterable[Entry] = ()) -> bytes:
        """Make a tree for the next call of git.

        Args:
            files: what is in it, in the order of the names.
            trees: as well; not both.
        Returns:
            Its id.
        """
        content = b"".join(
            b"%b %b\0%b" % (mode, name, unhexlify(blob))
            for mode, entries in ((b"100644", files), (b"40000", trees))
            for name, blob in entries
        )
        digest = self._digest(b"tree %d\0" % len(content) + content)
        self._trees[digest] = content
        return digest.hex().encode("ascii")

    def run(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """Standard output of a git call that sees the trees made since the last one.

        Raises:
            RepositoryError: git failed, or the trees cannot be written.
        """
        try:
            written = self._write_trees() if self._trees else ()
        except OSError as error:
            raise RepositoryError(
                f"a temporary file cannot be written: {error.strerror or error}",
                hint="Is the disk full? TMPDIR names another",
            ) from error
        try:
            return super().run(*arguments, stdin=stdin)
        finally:
            for file in written:
                with suppress(FileNotFoundError):
                    file.unlink()

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

    def _digest(self, data: bytes) -> bytes:
        return hashlib.new(self._hash, data, usedforsecurity=False).digest()

    def _write_trees(self) -> tuple[Path, ...]:
        """Write all trees as a pack and its index, in the formats that ``git help gitformat-pack`` describes."""
        trees = sorted(self._trees.items())
        self._trees = {}
        packed = [_packed(content) for _, content in trees]
        pack = struct.pack(">4sII", b"PACK", 2, len(trees)) + b"".join(packed)
        pack += self._digest(pack)
        upto = [0] * 256
        for digest, _ in trees:
            upto[digest[0]] += 1
        starts = accumulate((len(entry) for entry in packed[:-1]), initial=12)
        index = b"".join(
            (
                struct.pack(">4sI", b"\xfftOc", 2),
                struct.pack(">256I", *accumulate(upto)),
                *(digest for digest, _ in trees),
                struct.pack(f">{len(trees)}I", *map(crc32, packed)),
                struct.pack(f">{len(trees)}I", *starts),
                pack[-len(trees[0][0]) :],
            )
        )
        directory = Path(self._directory.name) / "pack"
        directory.mkdir(exist_ok=True)
        files = (directory / "pack-0.pack", directory / "pack-0.idx")
        files[0].write_bytes(pack)
        files[1].write_bytes(index + self._digest(index))
        return files


def _packed(content: bytes) -> bytes:
    """A tree as it stands in a pack: its type, its length by groups of bits, and itself, deflated."""
    size = len(content)
    head = [_TREE << 4 | (size & 15)]
    size >>= 4
    while size:
        head[-1] |= 128
        head.append(size & 127)
        size >>= 7
    return bytes(head) + zlib.compress(content, 1)


def _quoted(path: str) -> str:
    """A path in a list of paths: a colon in it does not divide it.

    Example:
        >>> _quoted("/a:b")
        '"/a:b"'
    """
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'

"""The output of ``git diff-tree --stdin`` as a stream: one commit after the other, one file at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from preventable.errors import RepositoryError

BLOCK = 1 << 18
_HEX = re.compile(rb"[0-9a-f]+")


class Sections:
    """The diffs of a list of commits, one file at a time.

    Args:
        stream: output of ``git diff-tree --stdin --always`` with patches.
        ids: the commits it was given, in order.
    """

    def __init__(self, stream: IO[bytes], ids: Sequence[bytes]) -> None:
        self._parts = self._split(stream)
        self._ids = ids
        self._width = len(ids[0]) if ids else 40

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Pairs of the position of a commit in ``ids`` and the diff of one of its files."""
        ids, width = self._ids, self._width
        at = -1
        for number, part in enumerate(self._parts):
            here = at
            end = len(part)
            # The ids of the next commits stand at the end of the last file's diff.
            if number == 0:
                at = self._forward(at, part[end - width :])
                continue
            last = part[end - width :]
            if part[end - width - 1 : end - width] == b"\n" and _HEX.fullmatch(last):
                at = self._forward(at, last)
                part = part[: end - (at - here) * (width + 1)]  # noqa: PLW2901
            yield here, part
        if ids and at != len(ids) - 1:
            raise RepositoryError(
                f"git stopped before commit {ids[at + 1].decode()}", hint="`git fsck` tells what is damaged"
            )

    def _forward(self, at: int, commit: bytes) -> int:
        ids = self._ids
        at += 1
        while at < len(ids) and ids[at] != commit:
            at += 1
        return at

    @staticmethod
    def _split(stream: IO[bytes]) -> Iterator[bytes]:
        mark = b"\ndiff --"
        pieces: list[bytes] = []
        while True:
            block = stream.read(BLOCK)
            if not block:
                break
            if pieces:
                # The mark may lie across two blocks; look there without joining everything again.
                tail = pieces.pop()
                block = tail + block
            if mark not in block:
                if len(block) > 64:
                    pieces += (block[:-64], block[-64:])
                else:
                    pieces.append(block)
                continue
            first, *rest = block.split(mark)
            pieces.append(first)
            yield b"".join(pieces)
            yield from rest[:-1]
            pieces = [rest[-1]] if len(rest[-1]) <= 64 else [rest[-1][:-64], rest[-1][-64:]]
        last = b"".join(pieces)
        yield last.removesuffix(b"\n")


class Lookahead:
    """Sections grouped by commit without holding more than one."""

    def __init__(self, sections: Iterable[tuple[int, bytes]]) -> None:
        self._sections = iter(sections)
        self._next = next(self._sections, None)

    def of(self, position: int) -> Iterator[bytes]:
        """The sections of the commit at a position; positions must ascend."""
        while self._next is not None and self._next[0] == position:
            section = self._next[1]
            yield section
            self._next = next(self._sections, None)

"""Many short texts kept as one: a model's names are read back at once and split only if they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload


class Texts(Sequence[str]):
    """A sequence of texts without newlines, kept as one text until an item is wanted.

    Example:
        >>> Texts.of(["libc6 (>= 2.41)", "rustc:native"])[1]
        'rustc:native'
    """

    def __init__(self, joined: str, count: int) -> None:
        self.joined = joined
        self._count = count

    @classmethod
    def of(cls, items: Sequence[str]) -> Texts:
        """The texts given; none may hold a newline."""
        return items if isinstance(items, Texts) else cls("\n".join(items), len(items))

    @cached_property
    def items(self) -> list[str]:
        """All of them."""
        return self.joined.split("\n") if self._count else []

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return iter(self.items)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self.items[index]

    def beginning(self, prefix: str) -> list[tuple[int, str]]:
        """Those that begin with ``prefix`` and their places, found without splitting.

        Example:
            >>> Texts.of(["a", "b1", "ab", "b2"]).beginning("b")
            [(1, 'b1'), (3, 'b2')]
        """
        if "items" in self.__dict__:
            return [(i, text) for i, text in enumerate(self.items) if text.startswith(prefix)]
        out = []
        number, counted, joined = 0, 0, self.joined
        at = 0 if joined.startswith(prefix) and self._count else joined.find("\n" + prefix) + 1 or -1
        while at >= 0:
            number += joined.count("\n", counted, at)
            counted = at
            end = joined.find("\n", at)
            out.append((number, joined[at : end if end >= 0 else len(joined)]))
            at = joined.find("\n" + prefix, at) + 1 or -1
        return out

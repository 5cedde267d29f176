"""The words of the source code that each commit added, read from the diffs of a replay as they pass.

A shard collects them from the very diffs it parses anyway and writes a file for every chunk; the parts
are put together by :mod:`preventable.code.origin.corpus`. Only the standard library: it runs in every shard.

Added lines of one hunk are cut into pieces of :data:`PIECE_LINES`, so that a commit that adds a whole file
is many small pieces and does not resemble everything.
"""

from __future__ import annotations

import marshal
import re
from array import array
from pathlib import Path
from zlib import crc32

PIECE_LINES = 10
"""Added lines per piece."""
SHORTEST_LINE = 4
"""A line with fewer characters (whitespace apart), such as ``}``, says nothing about where it came from."""

IDENTIFIER = re.compile(rb"[A-Za-z_\x80-\xff][\w\x80-\xff]{2,}")
_SUFFIXES = (
    "c h cc cpp cxx hh hpp hxx inc inl m mm s asm y l rs go zig d swift java kt kts scala cs "
    "js jsx mjs ts tsx py rb php pl pm lua sh tcl ml hs erl ex dart vb pas f f90"
)
CODE_SUFFIXES = tuple(f".{suffix}".encode() for suffix in _SUFFIXES.split())
"""Endings of the paths, in lower case, that are read as source code."""
_ASIDE = re.compile(
    rb"(?:^|/)(?:tests?|testing|testdata|unittests?|docs?|documentation|examples?|samples?)/|"
    rb"(?:^|/)(?:test_[^/]*|[^/]*_test|[^/]*\.test|[^/]*\.spec)\.[a-z]+$",
    re.IGNORECASE,
)
_COMMON = (
    b"if else elif while for foreach switch case default break return goto continue static const int char "
    b"void unsigned signed long short float double struct enum union typedef sizeof size_t ssize_t null nil "
    b"NULL bool true false True False None include define undef endif ifdef ifndef elif defined the and not "
    b"inline extern this that with let mut pub use mod impl self Self match fn def class import from var "
    b"function new public private protected final throw throws try catch except raise lambda"
)
KEYWORDS = frozenset(_COMMON.split())
"""Words that every file has."""
KEYWORD = 0xFFFFFFFF
"""In place of their number."""


def is_code(path: bytes) -> bool:
    """Whether a path is source code that ships: not a test, an example or documentation.

    Example:
        >>> is_code(b"lib/url.c"), is_code(b"tests/unit/url.c"), is_code(b"docs/url.md")
        (True, False, False)
    """
    return path.lower().endswith(CODE_SUFFIXES) and not _ASIDE.search(path)


_BLANKS = b" \t\r\x0b\x0c"


def line_key(line: bytes) -> int | None:
    """A number for the text of a line whatever its whitespace; None when the line says too little."""
    bare = b"+" + line.translate(None, _BLANKS)  # as it stands in a diff
    if len(bare) <= SHORTEST_LINE:
        return None
    return crc32(bare) << 16 | (len(bare) & 0xFFFF)


_FUNCTION = re.compile(rb"([A-Za-z_][\w:~]*)\s*\(")
_NAME = re.compile(rb"[A-Za-z_]\w*")


def function_name(context: bytes) -> bytes:
    """The name in what git prints after ``@@``: that of a function, else the last word, else empty.

    Example:
        >>> function_name(b"static int parse(char *text)"), function_name(b"struct state {")
        (b'parse', b'state')
    """
    match = _FUNCTION.search(context)
    if match:
        return match[1]
    names = _NAME.findall(context)
    return names[-1] if names else b""


class _Vocabulary(dict[bytes, int]):
    """Words as numbers in order of first appearance; those that every file has are KEYWORD."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(KEYWORDS, KEYWORD))

    def __missing__(self, word: bytes) -> int:
        number = self[word] = len(self) - len(KEYWORDS)
        return number


class _Functions(dict[bytes, int]):
    """What git prints after ``@@``, and the number of the name in it."""

    def __init__(self, names: dict[bytes, int]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, context: bytes) -> int:
        number = self[context] = self._names.setdefault(function_name(context), len(self._names))
        return number


class AddedText:
    """What one chunk of commits added.

    ``pieces``: commit, function, path of each; ``words[starts[i]:starts[i + 1]]`` are the distinct words of piece i,
    KEYWORD for each that every file has. ``lines``: key and commit of each added line. ``files``: commit, path, old
    path plus one (0: the file is new, the path itself: not renamed), lines added, for every file of code that a
    commit changed.
    """

    def __init__(self) -> None:
        self._names: dict[bytes, int] = {}
        self._functions = _Functions(self._names)
        self._vocabulary = _Vocabulary()
        self.pieces: array[int] = array("I")
        self.starts: array[int] = array("I", (0,))
        self.words: array[int] = array("I")
        self.line_keys: array[int] = array("Q")
        self.line_commits: array[int] = array("I")
        self.files: array[int] = array("I")

    def _name(self, name: bytes) -> int:
        return self._names.setdefault(name, len(self._names))

    def add(self, commit: int, path: bytes | None, old: bytes | None, section: bytes) -> None:
        """Read the diff of one file.

        Args:
            commit: its index.
            path, old: the file's path now and before, None where it did not exist.
            section: the diff, with hunks that begin ``@@ -``.
        """
        if path is None or not is_code(path):
            return
        path_number = self._name(path)
        number_of = self._vocabulary.__getitem__
        findall = IDENTIFIER.findall
        words, starts, pieces = self.words, self.starts, self.pieces
        blocks: list[bytes] = []
        total = 0
        for hunk in section.split(b"\n@@ -")[1:]:
            head, _, body = hunk.partition(b"\n")
            # Without context, what was added stands after what was removed.
            block = body if body[:1] == b"+" else body[body.find(b"\n+") + 1 :]
            if block[:1] != b"+":
                continue
            block, _, _ = block.partition(b"\n\\")  # git's remark on the end of the file
            blocks.append(block)
            count = block.count(b"\n") + 1
            total += count
            function = self._functions[head.partition(b" @@")[2]]
            if count <= PIECE_LINES:
                parts = [block]
            else:
                added = block.split(b"\n")
                parts = [b"\n".join(added[start : start + PIECE_LINES]) for start in range(0, count, PIECE_LINES)]
            for part in parts:
                pieces.extend((commit, function, path_number))
                words.extend(map(number_of, dict.fromkeys(findall(part))))  # each once, in order
                starts.append(len(words))
        if blocks:
            bare = b"\n".join(blocks).translate(None, _BLANKS).split(b"\n")
            keys = [crc32(line) << 16 | (len(line) & 0xFFFF) for line in bare if len(line) > SHORTEST_LINE]
            self.line_keys.extend(keys)
            self.line_commits.extend(array("I", (commit,)) * len(keys))
        self.files.extend((commit, path_number, 0 if old is None else self._name(old) + 1, total))

    def save(self, path: str) -> None:
        """Write all of it to a file."""
        words = [word for word, number in self._vocabulary.items() if number != KEYWORD]
        parts = (self.pieces, self.starts, self.words, self.line_keys, self.line_commits, self.files)
        with Path(path).open("wb") as file:
            marshal.dump((list(self._names), words, *[part.tobytes() for part in parts]), file)

"""What a fixing commit changed, as evidence: deleted and added lines of code, neighbours, functions.

Comments, blank lines, moves inside the fix and changes of whitespace only do not count.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence

import msgspec

from preventable.code.history.addedtext import IDENTIFIER, KEYWORDS, function_name, is_code, line_key
from preventable.code.history.commits import Commits
from preventable.code.history.diffparse import parse_change
from preventable.code.history.gitcall import Repository
from preventable.code.history.sections import Sections
from preventable.code.history.shard import DIFF

CONTEXT_LINES = 6
NEIGHBOURS = 3
"""Lines of code on either side of a change that vote as neighbours."""
MOST_CHANGES = 60
"""Changes of one fix that are looked at; a fix of more is mostly something else."""


class Line(msgspec.Struct, frozen=True):
    """One line of the file before the fix."""

    number: int
    """From 0."""
    text: bytes


class FixChange(msgspec.Struct, frozen=True):
    """One place that a fix changed."""

    path: bytes
    """The file's path before the fix."""
    function: bytes
    """The enclosing function as git names it, or empty."""
    deleted: tuple[Line, ...]
    added: tuple[bytes, ...]
    neighbours: tuple[Line, ...]


class Fix(msgspec.Struct, frozen=True):
    """One fixing commit."""

    commit: int
    """Index in the commit table."""
    changes: tuple[FixChange, ...]
    paths: tuple[bytes, ...]
    """Paths of code before the fix, changed in whatever way."""
    other_files: int
    """Files that it changed beside those: tests, documentation, build files."""


def words_of(lines: Sequence[bytes]) -> set[bytes]:
    """The identifiers of lines of code, without the words that every file has."""
    return set(IDENTIFIER.findall(b"\n".join(lines))) - KEYWORDS


def read_fixes(repository: Repository, commits: Commits, fixes: Sequence[int]) -> dict[int, Fix]:
    """What each fix changed against its first parent, in one call of git.

    Args:
        fixes: indices of the fixing commits.
    """
    ordered = sorted(set(fixes))
    if not ordered:
        return {}
    ids = [commits.id_bytes(i) for i in ordered]
    sections: dict[int, list[bytes]] = {i: [] for i in ordered}
    with tempfile.TemporaryFile() as asked:
        for index, commit in zip(ordered, ids, strict=True):
            parents = commits.parents(index)
            asked.write(commit + b" " + commits.id_bytes(parents[0]) + b"\n" if parents else commit + b"\n")
        asked.seek(0)
        arguments = [f"-U{CONTEXT_LINES}" if a == "-U0" else a for a in DIFF]
        process = repository.start(*arguments, stdin=asked)
        assert process.stdout is not None
        with process.stdout as stream:
            for position, section in Sections(stream, ids):
                if position >= 0:
                    sections[ordered[position]].append(section)
        process.wait()
    return {index: _fix(index, parts) for index, parts in sections.items()}


def _fix(index: int, sections: Sequence[bytes]) -> Fix:
    changes: list[FixChange] = []
    paths: list[bytes] = []
    others = 0
    for section in sections:
        change = parse_change(section)
        path = change and (change[1] or change[0])
        if path is None or change is None or not is_code(path):
            others += 1
            continue
        if change[1] is not None:
            paths.append(path)
        changes += _changes(path, section)
    return Fix(index, tuple(_without_moves(changes)[:MOST_CHANGES]), tuple(dict.fromkeys(paths)), others)


def _without_moves(changes: Sequence[FixChange]) -> list[FixChange]:
    """Drop what was only moved or respaced: text deleted in one place and added in another."""
    deleted = Counter(line_key(line.text) for change in changes for line in change.deleted)
    moved = deleted & Counter(line_key(text) for change in changes for text in change.added)
    old, new = Counter(moved), Counter(moved)

    def stays(text: bytes, left: Counter[int | None]) -> bool:
        key = line_key(text)
        if key is None or not left[key]:
            return True
        left[key] -= 1
        return False

    kept = []
    for change in changes:
        gone = tuple(line for line in change.deleted if stays(line.text, old))
        added = tuple(text for text in change.added if stays(text, new))
        if gone or added:
            kept.append(msgspec.structs.replace(change, deleted=gone, added=added))
    return kept


def _changes(path: bytes, section: bytes) -> list[FixChange]:
    found = []
    hashes = path.lower().endswith((b".py", b".sh", b".rb", b".pl", b".pm", b".tcl", b".ex"))
    for hunk in section.split(b"\n@@ -")[1:]:
        head, _, body = hunk.partition(b"\n")
        start = int(head.split(b",", 1)[0].split(b" ", 1)[0])
        context = head.partition(b" @@")[2].strip()
        lines = [line for line in body.split(b"\n") if line[:1] in (b" ", b"-", b"+")]
        code = _code(lines, hashes)
        number = start - 1 if start else 0
        old: list[tuple[int, bytes, bool]] = []  # number, text, is code
        groups: list[tuple[int, int, list[bytes], bytes]] = []  # from, to in old; added; function
        fresh = True
        for line, votes in zip(lines, code, strict=True):
            sign, text = line[:1], line[1:]
            if sign != b"+":
                if sign == b" " and text[:1].isalpha() and b"(" in text and not text.rstrip().endswith(b";"):
                    context = text
                if sign == b" ":
                    old.append((number, text, votes))
                    number += 1
                    fresh = True
                    continue
            if fresh:
                groups.append((len(old), len(old), [], function_name(context)))
                fresh = False
            first, last, added, function = groups[-1]
            if sign == b"-":
                old.append((number, text, votes))
                number += 1
                groups[-1] = (first, last + 1, added, function)
            elif votes:
                added.append(text)
        for first, last, added, function in groups:
            deleted = tuple(Line(n, text) for n, text, votes in old[first:last] if votes)
            before = [Line(n, text) for n, text, votes in old[:first] if votes][-NEIGHBOURS:]
            after = [Line(n, text) for n, text, votes in old[last:] if votes][:NEIGHBOURS]
            if deleted or added:
                found.append(FixChange(path, function, deleted, tuple(added), (*before, *after)))
    return found


def _code(lines: Sequence[bytes], hashes: bool) -> list[bool]:
    """Which lines of a hunk are code: not blank, not a comment, not lone punctuation."""
    flags = []
    inside = False
    for line in lines:
        text = line[1:].strip()
        comment = inside or text.startswith((b"/*", b"//", b"* ", b"*/")) or text == b"*"
        comment = comment or (hashes and text.startswith(b"#"))
        opened, closed = text.rfind(b"/*"), text.rfind(b"*/")
        if opened > closed:
            inside = True
        elif closed >= 0:
            inside = False
        if comment and text.startswith(b"/*") and closed >= 0 and text[closed + 2 :].strip():
            comment = False
        flags.append(not comment and any(c.isalnum() for c in text.decode("latin-1")) and len(text) > 2)
    return flags

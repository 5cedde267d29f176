"""Git's zero-context diffs as compact edit scripts.

Everything here works on bytes and does as little as possible per line: this is the inner loop of the
replay. A line of a file's content is always prefixed in a diff, so a newline followed by ``diff --`` or
``@@ -`` can only be git's own.

The shapes (plain tuples and lists, because they travel between processes by ``marshal``):

- *edits*: flat list ``start, end, new, start, end, new, ...`` from the last hunk of a file to the first:
  lines ``[start, end)`` of the old version are replaced by ``new`` lines. Last first, so that they can be
  applied in place.
- *spaced*: what the substantive age goes by where it differs: ``(edits, kept)``, the edits of the diff that
  ignores whitespace, and for a commit to be ignored the old line of every new line: ``kept`` is a list of
  ``(edit number, pairs)`` with flat pairs ``new offset, old offset, length, ...`` relative to the edit.
- *change*: ``(path, old_path, edits, spaced, blobs, kind)``. ``path`` is None for a deletion, ``old_path``
  None for a new file; ``blobs`` is ``(old, new)`` for a file that git calls binary, else None; ``kind`` is
  what the path is, see :data:`FILE`.
- *weave* (a file of a merge that differs from all parents): ``(path, parent_paths, runs)`` with flat runs
  ``parent, start, length, ...`` in the order of the result; parent -1: lines the merge itself wrote;
  length -1: to the end of that parent's file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

Edits = list[int]
Kept = list[tuple[int, list[int]]]
Spaced = tuple[Edits, Kept | None]
Change = tuple[bytes | None, bytes | None, Edits | None, Spaced | None, tuple[bytes, bytes] | None, int]
Weave = tuple[bytes, tuple[bytes | None, ...], list[int] | None]

FILE, SYMLINK, SUBMODULE, FOLLOWED, TURNED_TEXT = 0, 1, 2, 3, 4
"""What a path is: only files have lines. FOLLOWED: a new file that descends from one that the commit lost.
TURNED_TEXT: a file that git called binary before and no longer does."""

WHITESPACE = b" \t\r"
"""What git ignores with ``-w``, line ends apart."""

CROSSING_WEIGHT = 2
"""Unchanged lines per shared line up to which git may align two hunks with each other. Chosen on curl: 1 would leave
38% of the files to git and place 0.4% of the new lines differently, 2 leaves 44% (0.15%), 4 leaves 49% (0.05%)."""
CROSSING_PAIRS = 200
"""Pairs of hunks that share lines beyond which git is asked without a closer look."""

SIMILAR_PAIRS = 10_000
"""Old times new lines of one edit of an ignored commit beyond which lines are paired from the top."""

_HUNK = re.compile(rb"\n@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_BARE_HUNK = re.compile(rb"(\d+)(?:,(\d+))?\+\d+(?:,(\d+))?@@")
_ESCAPE = re.compile(rb"\\([abtnvfr\"\\]|[0-7]{3})")
_ESCAPED = {
    b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r",
    b'"': b'"', b"\\": b"\\",
}  # fmt: skip


def unquote(name: bytes) -> bytes:
    r"""A path as git prints it, unquoted.

    Example:
        >>> unquote(rb'"a\tb"')
        b'a\tb'
        >>> unquote(b"plain name")
        b'plain name'
    """
    if not name.startswith(b'"'):
        return name
    return _ESCAPE.sub(lambda m: _ESCAPED.get(m[1]) or bytes([int(m[1], 8) & 255]), name[1:-1])


def _name(text: bytes, prefix: bytes) -> bytes:
    """The path of a ``--- a/x`` or ``+++ b/x`` line; git ends names with blanks in a tab."""
    if text.endswith(b"\t"):
        text = text[:-1]
    text = unquote(text)
    return text[len(prefix) :] if text.startswith(prefix) else text


def _same_name(text: bytes) -> bytes:
    """The path of ``a/x b/x`` where both are the same."""
    half = text[: len(text) // 2]
    return _name(half, b"a/")


def _kind(mode: bytes) -> int:
    if mode.startswith(b"16"):
        return SUBMODULE
    return SYMLINK if mode.startswith(b"12") else FILE


def parse_change(section: bytes) -> Change | None:
    """One file of a plain commit; ``spaced`` is None.

    Args:
        section: the diff of one file, from after ``diff --`` on: ``git a/x b/x\\nindex ...``.
    Returns:
        None for a change of mode only.
    """
    end = section.find(b"\n@@ -")
    head = section if end < 0 else section[:end]
    lines = head.split(b"\n")
    path: bytes | None = None
    old: bytes | None = None
    blobs: tuple[bytes, bytes] | None = None
    mode = b"1006"
    if len(lines) == 4 and lines[1].startswith(b"index "):  # by far the most frequent
        old = path = _name(lines[3][4:], b"b/")
        mode = lines[1][-6:]
    else:
        added = deleted = binary = False
        names: tuple[bytes, bytes] | None = None
        for line in lines[1:]:
            if line.startswith(b"index "):
                first, _, rest = line[6:].partition(b"..")
                second, _, same_mode = rest.partition(b" ")
                names = (first, second)
                mode = same_mode or mode
            elif line.startswith(b"new file mode "):
                added, mode = True, line[14:]
            elif line.startswith(b"deleted file mode "):
                deleted, mode = True, line[18:]
            elif line.startswith(b"new mode "):
                mode = line[9:]
            elif line.startswith(b"rename from "):
                old = unquote(line[12:])
            elif line.startswith(b"rename to "):
                path = unquote(line[10:])
            elif line.startswith(b"Binary files "):
                binary = True
        if path is None:
            same = _same_name(lines[0][4:])
            old = None if added else same
            path = None if deleted else same
        if binary:
            blobs = names
        elif path == old and end < 0:
            return None
    kind = _kind(mode)
    if end < 0 or path is None:
        removed = 0
        if path is None and end >= 0:
            removed = sum(int(n) if n else 1 for _, n, _ in _HUNK.findall(section, end))
        return (path, old, [0, removed, 0] if removed else [], None, blobs, kind)
    return (path, old, parse_edits(section, end), None, blobs, kind)


def parse_edits(section: bytes, end: int = 0) -> Edits:
    """The edits of the hunks of one file, last hunk first."""
    edits: Edits = []
    for a, n, m in reversed(_HUNK.findall(section, end)):
        count = int(n) if n else 1
        start = int(a) - 1 if count else int(a)
        edits += (start, start + count, int(m) if m else 1)
    return edits


def may_differ_in_space(section: bytes) -> bool:
    """Whether a line that was removed came back with other whitespace, anywhere in the file.

    Only then does the substantive age need a diff that ignores whitespace.

    Example:
        >>> may_differ_in_space(b"git a/x b/x\\n@@ -1 +1 @@\\n-if (x)\\n+if(x)")
        True
        >>> may_differ_in_space(b"git a/x b/x\\n@@ -1 +1 @@\\n-if (x)\\n+if (y)")
        False
    """
    start = section.find(b"\n@@ -")
    if start < 0 or section.find(b"\n-", start) < 0 or section.find(b"\n+", start) < 0:
        return False
    lines = section[start:].translate(None, WHITESPACE).split(b"\n")
    known = set(lines)
    return any(line[:1] == b"-" and b"+" + line[1:] in known for line in lines)


def respaced(section: bytes) -> Edits | None:
    """The edits of one file with whitespace ignored, where the plain diff alone tells them.

    Hunks lose the lines at their ends that came back with other whitespace. That is what git makes of the file
    with ``-w`` unless it could align lines across hunks, or has a choice within one; then None, for git must be
    asked. It could align across two hunks if the lines they share are many beside the unchanged ones between.

    Example:
        >>> respaced(b"git a/x b/x\\n@@ -1 +1 @@\\n-if (x)\\n+if(x)\\n@@ -4 +4 @@\\n-y\\n+z")
        [3, 4, 1]
        >>> respaced(b"git a/x b/x\\n@@ -1 +1,3 @@\\n-if (x)\\n+a\\n+if(x)\\n+b") is None
        True
    """
    edits: Edits = []
    hunks: list[tuple[int, list[bytes], list[bytes]]] = []
    for hunk in reversed(section.translate(None, WHITESPACE).split(b"\n@@-")[1:]):
        head, *body = hunk.split(b"\n")
        match = _BARE_HUNK.match(head)
        assert match
        count = int(match[2]) if match[2] else 1
        start = int(match[1]) - 1 if count else int(match[1])
        old = [line[1:] for line in body[:count]]
        new = [line[1:] for line in body if line[:1] == b"+"]
        if old == new:
            continue
        if old and new and not set(old).isdisjoint(new):
            first = 0
            shorter = min(len(old), len(new))
            while first < shorter and old[first] == new[first]:
                first += 1
            last = 0
            while last < shorter - first and old[-1 - last] == new[-1 - last]:
                last += 1
            old, new, start = old[first : len(old) - last], new[first : len(new) - last], start + first
            if not old or not new or not set(old).isdisjoint(new):
                return None
        edits += (start, start + len(old), len(new))
        hunks.append((start, old, new))
    return None if _may_align(hunks) else edits


def _may_align(hunks: Sequence[tuple[int, list[bytes], list[bytes]]]) -> bool:
    """Whether lines could be aligned across hunks (last first: start, removed, added)."""
    where: dict[bytes, set[int]] = {}
    for number, (_, old, _) in enumerate(hunks):
        for line in old:
            where.setdefault(line, set()).add(number)
    shared: dict[tuple[int, int], int] = {}
    for number, (_, _, new) in enumerate(hunks):
        for line in set(new):
            for other in where.get(line, ()):
                pair = (other, number) if other < number else (number, other)
                shared[pair] = shared.get(pair, 0) + 1
    if len(shared) > CROSSING_PAIRS:
        return True
    for later, earlier in shared:
        between = hunks[later][0] - hunks[earlier][0] - sum(len(old) for _, old, _ in hunks[later + 1 : earlier + 1])
        crossing = sum(n for (a, b), n in shared.items() if a >= later and b <= earlier)
        if crossing * CROSSING_WEIGHT >= between:
            return True
    return False


def pair_ignored(section: bytes) -> Kept:
    """For every edit of a commit that is to be ignored, which old line each new line stands for.

    Lines that an edit merely moved or rewrote keep the history of the line in the same place: equal ones
    first, then similar ones. A line that is like none of those removed stays the commit's own.
    """
    kept: Kept = []
    found = list(_HUNK.finditer(section))
    stop = len(section)
    for number, match in enumerate(reversed(found)):
        if match[2] != b"0" and match[3] != b"0":
            first = section.index(b"\n", match.end())
            middle = section.index(b"\n+", first, stop)
            old = _content_lines(section[first:middle], b"\n-")
            new = _content_lines(section[middle:stop], b"\n+")
            kept.append((number, _pair(old, new)))
        stop = match.start()
    return kept


def _content_lines(text: bytes, lead: bytes) -> list[bytes]:
    lines = text.translate(None, WHITESPACE).replace(lead, b"\n").split(b"\n")
    if lines[-1].startswith(b"\\Nonewline") and text.rfind(b"\n\\ No newline") >= 0:
        lines.pop()
    return lines[1:]


def _pair(old: list[bytes], new: list[bytes]) -> list[int]:
    where = {line: number for number, line in enumerate(old)}
    pairs: list[int] = []
    at_new = at_old = 0
    anchors = [(j, i) for j, line in enumerate(new) if len(line) > 1 and (i := where.get(line, -1)) >= 0]
    for j, i in [*anchors, (len(new), len(old))]:
        if i < at_old:
            continue
        for a, b in _similar(old[at_old:i], new[at_new:j]):
            pairs += (at_new + b, at_old + a, 1)
        if j < len(new):
            pairs += (j, i, 1)
        at_new, at_old = j + 1, i + 1
    return pairs


def _similar(old: list[bytes], new: list[bytes]) -> list[tuple[int, int]]:
    """Pairs of lines in order: one to one where there are as many, else so that most pairs of bytes agree."""
    if len(old) == len(new) or len(old) * len(new) > SIMILAR_PAIRS:
        return [(n, n) for n in range(min(len(old), len(new)))]
    a = [set(pairwise(line)) for line in old]
    b = [set(pairwise(line)) for line in new]
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], len(a[i] & b[j]) + best[i + 1][j + 1])
    pairs = []
    i = j = 0
    while i < len(a) and j < len(b):
        common = len(a[i] & b[j])
        if common and best[i][j] == common + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


_COMBINED_HUNK = re.compile(rb"\n(@@@+) ((?:-\d+,\d+ )+)\+(\d+),(\d+) @@@+")


def parse_weave(section: bytes, parents: int) -> Weave | None:
    """One file of a merge that differs from every parent: where each of its lines comes from.

    Args:
        section: ``combined x\\nindex ...`` of ``git diff-tree -c --combined-all-paths``.
        parents: number of parents.
    Returns:
        None when the merge deleted the file; runs None when git calls the file binary.
    """
    found = list(_COMBINED_HUNK.finditer(section))
    head = (section[: found[0].start()] if found else section).split(b"\n")
    names: list[bytes | None] = []
    path: bytes | None = None
    binary = False
    for line in head[1:]:
        if line.startswith(b"--- "):
            names.append(None if line == b"--- /dev/null" else _name(line[4:], b"a/"))
        elif line.startswith(b"+++ "):
            path = None if line == b"+++ /dev/null" else _name(line[4:], b"b/")
        elif line.startswith(b"deleted file "):
            return None
        elif line.startswith(b"Binary files "):
            binary = True
    if not names:  # binary or mode only: no names but the one of the first line
        path = unquote(head[0].partition(b" ")[2])
        names = [path] * parents
    if path is None:
        return None
    if binary:
        return (path, tuple(names), None)
    runs: list[int] = []
    done = 0  # lines of the result so far
    at = [0] * parents
    for number, match in enumerate(found):
        ranges = match[2].split()
        starts = []
        for text in ranges:
            # Unlike a plain diff, a combined one names the next line even for a range of no lines.
            starts.append(max(int(text[1:].split(b",")[0]) - 1, 0))
        start = max(int(match[3]) - 1, 0)
        if start > done:
            runs += (0, at[0], start - done)
            done = start
        at = starts
        first = section.index(b"\n", match.end())
        stop = found[number + 1].start() if number + 1 < len(found) else len(section)
        for line in section[first + 1 : stop].split(b"\n"):
            columns = line[:parents]
            if columns.startswith(b"\\"):
                continue
            if b"-" in columns:
                for i in range(parents):
                    if columns[i] == 45:
                        at[i] += 1
                continue
            source = columns.find(b" ")
            if runs and runs[-3] == source and (source < 0 or runs[-2] + runs[-1] == at[source]):
                runs[-1] += 1
            else:
                runs += (source, at[source] if source >= 0 else 0, 1)
            for i in range(parents):
                if columns[i] == 32:
                    at[i] += 1
            done += 1
    runs += (0, at[0], -1)
    return (path, tuple(names), runs)

"""Path globs of a case file and of ``.gitattributes``, compiled once for many paths.

The dialect is that of ``.gitignore`` (``*`` stays inside a directory, ``**`` does not, a directory means all
below it); in a case file every glob is anchored at the root, so that ``src`` never means ``lib/src``. In
``.gitattributes`` a directory means nothing, as in git.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence

import pathspec

from preventable.errors import CaseError

_GITIGNORE = pathspec.lookup_pattern("gitignore")


class PathGlobs:
    """The first of several globs that matches a path.

    Args:
        globs: in order of precedence.
        anchored: read every glob from the root (case files); False for ``.gitattributes``.
        where: the field they came from, for messages.
    Example:
        >>> globs = PathGlobs(["src/*.c", "src", "**/testdata"])
        >>> [globs.first(path) for path in ("src/a.c", "src/x/b.c", "a/testdata/c", "lib/src/d")]
        [0, 1, 2, None]
    """

    def __init__(self, globs: Sequence[str], *, anchored: bool = True, where: str = "") -> None:
        self.globs = tuple(globs)
        parts = [f"(?:{_regex(glob, anchored, where)})()" for glob in self.globs]
        self._match = re.compile("|".join(parts)).match if parts else None

    def first(self, path: str) -> int | None:
        """Index of the first glob that matches, or None."""
        found = self._match(path) if self._match else None
        return None if found is None or found.lastindex is None else found.lastindex - 1

    def matches(self, path: str) -> bool:
        """Does any glob match?"""
        return self._match is not None and self._match(path) is not None


def unmatched(globs: Iterable[str], paths: Collection[str]) -> list[tuple[str, str | None]]:
    """The globs that match none of the paths, each with the existing path most like it, if any.

    Example:
        >>> unmatched(["src/prase/**", "src/**"], ["src/parse/a.c"])
        [('src/prase/**', 'src/parse')]
    """
    wanted = list(dict.fromkeys(globs))
    left = {glob: PathGlobs([glob]) for glob in wanted}
    for path in paths:
        if not left:
            break
        for glob in [g for g, compiled in left.items() if compiled.matches(path)]:
            del left[glob]
    return [(glob, _nearest_path(glob, paths)) for glob in wanted if glob in left]


def _regex(glob: str, anchored: bool, where: str) -> str:
    text = glob.strip()
    if not text or text.startswith(("#", "!")) or ("\\" in text and anchored):
        raise CaseError(
            f"{glob!r} is not a path glob",
            field=where or None,
            hint="Write it like src/**/*.c, with / between parts",
        )
    if anchored and not text.startswith(("/", "**/")):
        text = "/" + text.removeprefix("./")
    pattern = _GITIGNORE(text)
    regex = getattr(pattern, "regex", None)
    if regex is None:
        raise CaseError(f"{glob!r} is not a path glob", field=where or None, hint="Write it like src/**/*.c")
    # Its named group would clash with that of the next glob.
    found = str(regex.pattern).replace("(?P<ps_d>", "(?:")
    return found if anchored else found.removesuffix("(?:/|$)") + ("$" if found.endswith("(?:/|$)") else "")


def _nearest_path(glob: str, paths: Collection[str]) -> str | None:
    """Follow the glob down the tree as far as names exist, then take the most similar name there."""
    parts = [p for p in glob.strip("/").split("/") if p]
    here = ""
    for part in parts:
        names = {path[len(here) :].split("/", 1)[0] for path in paths if path.startswith(here)}
        if part in names:
            here += part + "/"
            continue
        near = difflib.get_close_matches(part, sorted(names), n=1, cutoff=0.5)
        if near:
            return here + near[0]
        break
    return here.rstrip("/") or None

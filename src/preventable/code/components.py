"""The component of a path: by case file, by a Linux ``MAINTAINERS`` file, by Cargo package or by directory.

The globs of ``[components]`` come first, in the order written. What they leave is mapped by
``components_from``:

* ``directories`` (default): the top directory; two levels below ``drivers``; ``.`` for files at the root;
* ``maintainers``: the entry of ``MAINTAINERS`` whose pattern is the most specific (deepest literal
  directory, a file before a glob before a directory, the earlier entry at a tie), as ``F:`` and ``X:`` say;
* ``cargo``: the package of the nearest ``Cargo.toml`` above, read without building anything; a virtual
  manifest has no package and is passed by; files of no package go by directory;
* ``other``: everything else is ``other``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from preventable.code.path_globs import PathGlobs

ComponentsFrom = Literal["directories", "maintainers", "cargo", "other"]
TWO_LEVELS = frozenset(("drivers",))

ComponentMap = Callable[[str], str]
"""Path relative to the root, with ``/``, to the name of its component."""


def map_components(
    globs: Mapping[str, str | Sequence[str]],
    rest: ComponentsFrom = "directories",
    *,
    maintainers: str | None = None,
    cargo_manifests: Mapping[str, bytes] | None = None,
) -> ComponentMap:
    """The map of a case.

    Args:
        globs: component = globs, in order of precedence.
        rest: how paths that no glob names are mapped.
        maintainers: text of ``MAINTAINERS``, for ``maintainers``.
        cargo_manifests: path = bytes of every ``Cargo.toml``, for ``cargo``.
    Example:
        >>> component = map_components({"parser": "src/parse"})
        >>> component("src/parse/x.c"), component("drivers/net/phy/a.c"), component("README")
        ('parser', 'drivers/net', '.')
    """
    names: list[str] = []
    flat: list[str] = []
    for name, value in globs.items():
        for glob in [value] if isinstance(value, str) else value:
            names.append(name)
            flat.append(glob)
    compiled = PathGlobs(flat, where="components") if flat else None
    by_rule: ComponentMap = _by_directory
    if rest == "maintainers":
        by_rule = Maintainers.parse(maintainers or "").component
    elif rest == "cargo":
        by_rule = _by_cargo(cargo_manifests or {})
    elif rest == "other":
        by_rule = _other
    if compiled is None:
        return by_rule

    def component(path: str) -> str:
        index = compiled.first(path)
        return by_rule(path) if index is None else names[index]

    return component


def _by_directory(path: str) -> str:
    parts = path.split("/", 2)
    if len(parts) == 1:
        return "."
    if parts[0] in TWO_LEVELS and len(parts) == 3:
        return f"{parts[0]}/{parts[1]}"
    return parts[0]


def _other(_path: str) -> str:
    return "other"


def broken_manifests(manifests: Mapping[str, bytes]) -> list[str]:
    """The ``Cargo.toml`` files that are not TOML: their packages are unknown.

    Example:
        >>> broken_manifests({"a/Cargo.toml": b"[package", "b/Cargo.toml": b"[package]"})
        ['a/Cargo.toml']
    """
    return [path for path in sorted(manifests) if _manifest(manifests[path]) is None]


def _manifest(data: bytes) -> dict[str, object] | None:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def _by_cargo(manifests: Mapping[str, bytes]) -> ComponentMap:
    packages: dict[str, str] = {}
    for path in sorted(manifests):
        document = _manifest(manifests[path]) or {}
        package = document.get("package")
        name = package.get("name") if isinstance(package, dict) else None
        directory = path.rpartition("/")[0]
        if isinstance(name, str) and name:
            # Two packages of one name (a fork beside its origin) must not be added up.
            packages[directory] = f"{name} ({directory})" if name in packages.values() else name
    cache: dict[str, str | None] = {}

    def package_of(directory: str) -> str | None:
        if directory not in cache:
            own = packages.get(directory)
            above = package_of(directory.rpartition("/")[0]) if own is None and directory else None
            cache[directory] = own or above
        return cache[directory]

    def component(path: str) -> str:
        return package_of(path.rpartition("/")[0]) or _by_directory(path)

    return component


class _Pattern(msgspec.Struct, frozen=True):
    """One ``F:`` line: its entry, and its regex unless it is a whole directory."""

    entry: int
    regex: re.Pattern[str] | None


class Maintainers:
    """The entries of a Linux ``MAINTAINERS`` file as a map from path to entry.

    Patterns are kept by their deepest literal directory, so that a path meets only those of the directories
    above it; 100,000 paths take about a second.

    Example:
        >>> text = "NET\\nF:\\tnet/\\nX:\\tnet/x/\\n\\nPHY\\nF:\\tnet/phy/\\n\\nTHE REST\\nF:\\t*\\nF:\\t*/\\n"
        >>> m = Maintainers.parse(text)
        >>> m.component("net/a.c"), m.component("net/phy/b.c"), m.component("net/x/c.c")
        ('NET', 'PHY', 'THE REST')
    """

    def __init__(self, entries: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> None:
        self._names = [name for name, _, _ in entries]
        self._excluded = [[_maintainers_regex(x) for x in excluded] for _, _, excluded in entries]
        ranked: dict[str, list[tuple[int, _Pattern]]] = {}
        for index, (_, files, _) in enumerate(entries):
            for pattern in files:
                literal = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
                wild = literal != pattern
                if not wild and pattern.endswith("/"):
                    directory, rank, regex = pattern.rstrip("/"), 2, None
                elif wild:
                    directory, rank, regex = literal.rpartition("/")[0], 1, _maintainers_regex(pattern)
                else:
                    # A file, or a directory written without its slash.
                    directory, rank, regex = pattern.rpartition("/")[0], 0, _maintainers_regex(pattern)
                if pattern in ("*", "*/"):
                    rank = 3
                ranked.setdefault(directory, []).append((rank, _Pattern(index, regex)))
        self._by_directory = {d: [p for _, p in sorted(v, key=lambda x: x[0])] for d, v in ranked.items()}
        self._cache: dict[str, tuple[_Pattern, ...]] = {}

    @classmethod
    def parse(cls, text: str) -> Maintainers:
        """Read the entries: a line of text followed by lines ``X:<tab>value``."""
        entries: list[tuple[str, list[str], list[str]]] = []
        title = ""
        for line in text.splitlines():
            if len(line) > 2 and line[1] == ":" and line[0].isalpha() and line[0].isupper():
                value = line[2:].strip()
                if line[0] in "FX" and title and value:
                    if not entries or entries[-1][0] != title:
                        entries.append((title, [], []))
                    patterns = entries[-1][1] if line[0] == "F" else entries[-1][2]
                    patterns.append(value)
            elif line and not line[0].isspace():
                title = line.strip()
        return cls(entries)

    def component(self, path: str) -> str:
        """The entry of a path; ``unmaintained`` if none has it."""
        for pattern in self._candidates(path.rpartition("/")[0]):
            if pattern.regex is not None and not pattern.regex.match(path):
                continue
            if any(x.match(path) for x in self._excluded[pattern.entry]):
                continue
            return self._names[pattern.entry]
        return "unmaintained"

    def _candidates(self, directory: str) -> tuple[_Pattern, ...]:
        found = self._cache.get(directory)
        if found is None:
            own = tuple(self._by_directory.get(directory, ()))
            above = self._candidates(directory.rpartition("/")[0]) if directory else ()
            found = self._cache[directory] = own + above
        return found


def _maintainers_regex(pattern: str) -> re.Pattern[str]:
    """A trailing slash takes all below; otherwise pattern and path are equally deep, unless ``**``."""
    text = re.escape(pattern).replace(r"\*\*/", "(?:[^/]+/)*").replace(r"\*\*", ".*")
    text = text.replace(r"\*", "[^/]*").replace(r"\?", "[^/]").replace(r"\[", "[").replace(r"\]", "]")
    if pattern.endswith("/"):
        return re.compile(text)
    return re.compile(text + "(?:/.*)?$" if "*" not in pattern else text + "[^/]*$")

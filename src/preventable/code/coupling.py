"""How components hang together: includes between them (C, C++), exported symbols, Rust's use of bindings.

An include is resolved without running a preprocessor, the first of these that finds a header of the tree:

1. written with quotes: the file of that name relative to the including file;
2. relative to a directory named ``include``, ``include/uapi`` or ``inc``: the one nearest to the including file (most
   leading path parts in common, then the least deep);
3. relative to a directory above the including file, the nearest first, the root last;
4. anywhere: a header of the tree whose path ends so. Names of the C library (``<stdio.h>``) are not looked for here.

Several headers that are equally good are one answer if they are of one component, else the include is *ambiguous*.
In the Linux tree ``<asm/...>`` in ``arch/X`` is the header of that architecture or, as its build arranges, the one of
``include/asm-generic``; elsewhere it is any architecture's.

What no rule resolves is *external* (system headers, generated ones). Conditional inclusion is not evaluated:
an include in a branch that is never compiled counts. Every line counts, also a repeated one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec

_INCLUDE = re.compile(rb"#[ \t]*include(?:_next)?[ \t]*(\"[^\"\n]+\"|<[^>\n]+>)")
_EXPORT = re.compile(rb"^[ \t]*EXPORT_SYMBOL\w*\s*\(\s*(\w+)\s*[,)]", re.MULTILINE)
_VISIBLE = re.compile(rb"visibility\s*\(\s*\"default\"\s*\)|__declspec\s*\(\s*dllexport\s*\)")
_BINDING = re.compile(rb"\bbindings::(?:\{([^}]*)\}|(\w+))")
_RUST_COMMENT = re.compile(rb"//[^\n]*")
_WORD = re.compile(rb"\w+")
_ROOT = re.compile(r"/(?:include(?:/uapi)?|inc)/$")
_ARCH = re.compile(r"arch/[^/]+/")
_HOSTED = re.compile(
    r"sys/.*|(?:aio|alloca|arpa/inet|assert|byteswap|complex|cpio|ctype|dirent|dlfcn|elf|endian|err|errno|error|execinfo"
    r"|fcntl|features|fenv|float|fmtmsg|fnmatch|ftw|getopt|glob|grp|iconv|ifaddrs|inttypes|iso646|langinfo|libgen|limits"
    r"|link|locale|malloc|math|memory|mntent|monetary|mqueue|ndbm|net/if|netdb|netinet/\w+|nl_types|obstack|paths|poll"
    r"|pthread|pwd|regex|resolv|sched|search|semaphore|setjmp|signal|spawn|std(?:align|arg|atomic|bool|def|int|io|lib"
    r"|noreturn)|strings?|syscall|syslog|tar|termios|tgmath|threads|time|uchar|ucontext|ulimit|unistd|utime|utmpx|wait"
    r"|wchar|wctype|wordexp)\.h"
)
"""Headers of the C library: ISO C, POSIX and common extensions."""


class Links(msgspec.Struct, frozen=True, array_like=True):
    """What one file says about others."""

    includes: tuple[str, ...] = ()
    """As written, with their quotes or angle brackets."""
    exports: tuple[str, ...] = ()
    visible: int = 0
    bindings: tuple[str, ...] = ()
    """Names used from a module called ``bindings``, one per use."""


class CouplingRow(msgspec.Struct, frozen=True):
    """One component. Include counts are lines; ``components_*`` count distinct other components."""

    component: str
    includes_within: int
    includes_out: int
    includes_in: int
    includes_external: int
    includes_ambiguous: int
    components_out: int
    components_in: int
    exported_symbols: int
    visible_symbols: int
    rust_binding_uses: int
    rust_bindings: int
    """Distinct names."""


def c_links(source: bytes) -> Links:
    """Includes and exports of a C or C++ file.

    Example:
        >>> c_links(b'#include <a.h>\\n  # include "b.h"\\nEXPORT_SYMBOL_GPL(f);\\n').includes
        ('<a.h>', '"b.h"')
    """
    includes = []
    for found in _INCLUDE.finditer(source):
        start = found.start()
        line = source.rfind(b"\n", max(0, start - 64), start) + 1
        if start == 0 or not source[line or 0 : start].strip():
            includes.append(found.group(1).decode("utf-8", "replace"))
    exports: tuple[str, ...] = ()
    if b"EXPORT_SYMBOL" in source:
        exports = tuple(name.decode() for name in _EXPORT.findall(source))
    visible = len(_VISIBLE.findall(source)) if b"visibility" in source or b"dllexport" in source else 0
    return Links(tuple(includes), exports, visible)


def rust_links(source: bytes) -> Links:
    """Names of bindings that a Rust file uses, comments apart.

    Example:
        >>> rust_links(b"use kernel::bindings::{self, mutex};\\nbindings::lock(x) // bindings::no").bindings
        ('mutex', 'lock')
    """
    if b"bindings::" not in source:
        return Links()
    names: list[str] = []
    for group, single in _BINDING.findall(_RUST_COMMENT.sub(b"", source)):
        words = _WORD.findall(group) if group else [single]
        names += [word.decode() for word in words if word != b"self"]
    return Links(bindings=tuple(names))


class HeaderIndex:
    """Finds the header that an include names.

    Args:
        paths: all paths of the tree.
        component: their component.
    """

    def __init__(self, paths: Iterable[str], component: Callable[[str], str]) -> None:
        self._paths = set(paths)
        self._component = component
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self._paths):
            if path.endswith((".h", ".hh", ".hpp", ".hxx", ".inc", ".c", ".def", ".H")):
                self._by_name[path.rpartition("/")[2]].append(path)
        self._cache: dict[tuple[str, str], tuple[str | None, bool]] = {}

    def resolve(self, include: str, path: str) -> tuple[str | None, bool]:
        """The header's path, if it is in the tree, and whether the answer is ambiguous between components."""
        directory = path.rpartition("/")[0]
        key = (include, directory)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._resolve(include, directory)
        return found

    def _resolve(self, include: str, directory: str) -> tuple[str | None, bool]:
        name = include[1:-1]
        if include[0] == '"':
            beside = _normalise(f"{directory}/{name}" if directory else name)
            if beside in self._paths:
                return beside, False
        tail = _normalise(name)
        ends = [c for c in self._by_name.get(tail.rpartition("/")[2], ()) if c == tail or c.endswith("/" + tail)]
        own = _ARCH.match(directory + "/")
        if own and tail.startswith("asm/"):
            places = (own.group() + "include/", own.group() + "include/uapi/", "include/asm-generic/")
            for place in places:
                header = place + (tail.removeprefix("asm/") if place.endswith("generic/") else tail)
                if header in self._paths:
                    return header, False
            return None, False  # generated
        roots = [c for c in ends if _ROOT.search("/" + c[: -len(tail)])]
        if roots:
            distance = {c: (-_common(c, directory), c[: -len(tail)].count("/")) for c in roots}
            best = min(distance.values())
            any_arch = [c for c in roots if _ARCH.match(c)] if tail.startswith("asm/") and best[0] == 0 else []
            return self._one(any_arch or [c for c in roots if distance[c] == best])
        above = directory
        while True:
            header = f"{above}/{tail}" if above else tail
            if header in self._paths:
                return header, False
            if not above:
                break
            above = above.rpartition("/")[0]
        if include[0] == "<" and _HOSTED.fullmatch(tail):
            return None, False
        return self._one(ends)

    def _one(self, candidates: list[str]) -> tuple[str | None, bool]:
        components = {self._component(c) for c in candidates}
        return (candidates[0], False) if len(components) == 1 else (None, len(components) > 1)


def couple(
    links: Iterable[tuple[str, Links]], paths: Iterable[str], component: Callable[[str], str]
) -> list[CouplingRow]:
    """Rows per component, sorted, from the links of all files.

    Args:
        links: path and links of each file.
        paths: all paths of the tree, for resolving includes.
        component: path to component.
    """
    index = HeaderIndex(paths, component)
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    out: dict[str, set[str]] = defaultdict(set)
    into: dict[str, set[str]] = defaultdict(set)
    bindings: dict[str, set[str]] = defaultdict(set)
    for path, link in links:
        own = component(path)
        row = counts[own]
        row["exported_symbols"] += len(link.exports)
        row["visible_symbols"] += link.visible
        row["rust_binding_uses"] += len(link.bindings)
        bindings[own].update(link.bindings)
        for include in link.includes:
            header, ambiguous = index.resolve(include, path)
            if header is None:
                row["includes_ambiguous" if ambiguous else "includes_external"] += 1
                continue
            other = component(header)
            if other == own:
                row["includes_within"] += 1
            else:
                row["includes_out"] += 1
                counts[other]["includes_in"] += 1
                out[own].add(other)
                into[other].add(own)
    names = [n for n in CouplingRow.__struct_fields__ if n not in ("component", "components_out", "components_in")]
    return [
        CouplingRow(
            component=name,
            components_out=len(out[name]),
            components_in=len(into[name]),
            **{n: len(bindings[name]) if n == "rust_bindings" else counts[name][n] for n in names},
        )
        for name in sorted(counts)
    ]


def _normalise(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _common(path: str, directory: str) -> int:
    count = 0
    for a, b in zip(path.split("/"), directory.split("/"), strict=False):
        if a != b:
            break
        count += 1
    return count

"""The answer for an architecture that has no index of packages: what the index of sources alone tells.

It depends on that index, the architecture and the question only: not on what else is answered beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from typing import Any

import msgspec

from preventable.readers.debian import SourcePackage, builds_for
from preventable.readers.debian_architecture import nearest
from preventable.readers.debian_archive import Snapshot
from preventable.readers.debian_relations import RelationPool
from preventable.studies.ports.model import Policy
from preventable.studies.ports.named import mentions, named_needs, newest
from preventable.studies.ports.prepare import Workshop
from preventable.studies.ports.terms import Answer, Question, maintainer_term

_ROWS_MOST = 200
_FIELD = re.compile(rb"^(Package|Binary|Package-List):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_ARCH_ALL = re.compile(rb"^[ \t]+(\S+)[ \t].*\barch=all\b", re.MULTILINE)
_COUNTS = ("sources_unbuildable", "binaries_uninstallable", "essential", "required", "important")
_MORE = ("round", "binaries_lost", "sources_arch_all_only")


class Built:
    """Which source builds which binary packages, as the ``Binary`` fields of an index tell.

    Example:
        >>> built = Built()
        >>> built.read(b"Package: rustc\\nBinary: rustc,\\n rust-doc\\nPackage-List:\\n rust-doc deb doc x arch=all\\n")
        >>> sorted(built.of_source["rustc"]), built.arch_all
        (['rust-doc', 'rustc'], {'rust-doc'})
    """

    def __init__(self) -> None:
        self.of_source: dict[str, set[str]] = {}
        self.source_of: dict[str, set[str]] = {}
        self.arch_all: set[str] = set()

    def read(self, data: bytes) -> None:
        """Take in one index; a stanza without the field builds a package of its own name."""
        for stanza in re.split(rb"\n[ \t]*\n", data):
            fields = {m[1]: m[2] for m in _FIELD.finditer(stanza)}
            name = fields.get(b"Package", b"").strip().decode("utf-8", "replace")
            if not name:
                continue
            own = fields.get(b"Binary", b"").decode("utf-8", "replace").replace(",", " ").split() or [name]
            self.of_source.setdefault(name, set()).update(own)
            for binary in own:
                self.source_of.setdefault(binary, set()).add(name)
            listed = _ARCH_ALL.findall(fields.get(b"Package-List", b""))
            self.arch_all.update(b.decode("utf-8", "replace") for b in listed)

    def tool(self, name: str) -> tuple[set[str], set[str]] | None:
        """The sources of a toolchain and the names of the binary packages that go with it."""
        plain = _plain(name)
        if name.startswith("bin:"):
            return (self.source_of[plain], {plain}) if plain in self.source_of else None
        sources = self.sources(name)
        return (sources, {b for s in sources for b in self.of_source[s]}) if sources else None

    def sources(self, name: str) -> set[str]:
        """The source that builds a binary package of that name; else the source so called."""
        plain = _plain(name)
        if not name.startswith("src:") and plain in self.source_of:
            return self.source_of[plain]
        return {plain} if plain in self.of_source and not name.startswith("bin:") else set()

    def source(self, name: str) -> str | None:
        """The one source that a PACKAGE means: the source so called, or the source of that binary package."""
        plain = _plain(name)
        if plain in self.of_source and not name.startswith("bin:"):
            return plain
        return min(self.sources(name), default=None)

    def near(self, name: str) -> list[str]:
        return nearest(_plain(name), sorted({*self.of_source, *self.source_of}))


class _Told(msgspec.Struct, frozen=True):
    """What one snapshot's index of sources tells, read once for all its architectures."""

    suite: str
    sources: Sequence[SourcePackage]
    pool: RelationPool
    policy: Policy
    built: Built
    mentioned: Set[str]
    """Every name in a relation of the index."""

    def tool_names(self, tools: Iterable[str]) -> set[str]:
        """A tool that no source builds may still be provided: then its own name counts."""
        found = ((t, self.built.tool(t)) for t in tools)
        return {b for t, own in found for b in (own[1] if own else {_plain(t)})}

    def needs(self, arch: str, tools: Iterable[str]) -> list[tuple[str, str]]:
        names = self.tool_names(tools)
        return named_needs(self.sources, self.pool, arch, self.policy, names) if names else []


def answer_from_sources(snapshot: Snapshot, policy: Policy, question: Question, shop: Workshop) -> list[Answer]:
    """One answer for each architecture that lacks an index of packages, with what it cannot tell."""
    built = Built()
    sources = shop.source_packages()
    for file in snapshot.sources:
        built.read(file.plain())
    told = _Told(snapshot.suite, sources, shop.pool, policy, built, set(shop.pool.names))
    out = []
    for arch, reason in sorted(snapshot.missing.items()):
        answer = Answer(snapshot.suite, arch)
        column = "sources_direct" if question.today else "sources_unbuildable"
        counted = (
            f"{column} counts the sources that name the tool in a build dependency that holds there, not a "
            "difference to a baseline"
            if question.today or question.remove
            else f"{column} counts {', '.join(question.packages)} alone, where the tool is said to be missing"
        )
        answer.limits.append(
            f"{snapshot.suite}:{arch}: {reason}; only the index of sources was used: {counted}. What can be "
            "installed, and every further step, is unknown"
        )
        _note_names(told, question, answer)
        for tool in dict.fromkeys((*question.remove, *question.requires)):
            own = built.tool(tool)
            if own:
                answer.tools.append(_tool(answer, tool, *own))
        if question.today:
            _today(told, question, answer)
        else:
            _rows(told, question, answer)
        out.append(answer)
    return out


def _note_names(told: _Told, question: Question, answer: Answer) -> None:
    """Note every name as known or unknown, as is done for the other architectures."""
    built = told.built
    for name in (*question.packages, *question.only, *question.why, *question.keep):
        (answer.known if built.source(name) else answer.unknown).append(name)
    for name in (*question.remove, *question.requires):
        # A tool may be missing from a suite whose sources ask for it all the same.
        (answer.known if built.tool(name) or _plain(name) in told.mentioned else answer.unknown).append(name)
    answer.near.extend(near for name in dict.fromkeys(answer.unknown) for near in built.near(name))
    for person in question.maintainers:
        some = any(person.lower() in s.maintainers.lower() for s in told.sources)
        (answer.known if some else answer.unknown).append(maintainer_term(person))


def _rows(told: _Told, question: Question, answer: Answer) -> None:
    arch = answer.architecture
    why = {name: f"build-depends on {clause}" for name, clause in told.needs(arch, question.remove)}
    number_known = bool(question.remove)
    if question.requires and question.dependency == "build":
        removed = told.tool_names(question.remove)
        lacks = arch in question.without or any(told.tool_names([t]) <= removed for t in question.requires)
        number_known = lacks
        if lacks:
            here = {
                s.name
                for s in newest(told.sources)
                if builds_for(s.architecture, arch, arch_only=told.policy.arch_only)
            }
            gaining = (told.built.source(p) for p in question.packages)
            because = f"would build-depend on {', '.join(question.requires)}, which {arch} lacks"
            why.update((s, because) for s in gaining if s in here)
        else:
            answer.limits.append(
                f"{told.suite}:{arch}: whether it has {', '.join(question.requires)} is unknown "
                f"(--without-toolchain {arch} supposes that it has not)"
            )
    elif question.requires:
        number_known = False
    kept = {told.built.source(name) for name in question.keep}
    scope = _scope(told, question)
    why = {s: reason for s, reason in why.items() if s not in kept and (scope is None or s in scope)}
    for level in ("one", "two", "full"):
        row: dict[str, Any] = {"suite": told.suite, "arch": arch, "level": level}
        row.update(dict.fromkeys((*_COUNTS, *_MORE)))
        if level == "one" and number_known:
            row["sources_unbuildable"] = len(why)
        answer.rows.append(row)
    wanted = {told.built.source(name) for name in question.why}
    reasons = [
        {
            "suite": told.suite,
            "arch": arch,
            "package": f"src:{name}",
            "kind": "source",
            "level": "one",
            "round": 1,
            "status": "lost",
            "chain": [{"package": f"src:{name}", "why": reason}],
        }
        for name, reason in why.items()
        if number_known and (name in wanted or not wanted)
    ][:_ROWS_MOST]
    if question.reasons or question.why:
        answer.reasons = reasons
    if question.reasons:
        for row in answer.rows:
            row["reasons"] = reasons if row["level"] == "one" else []


def _scope(told: _Told, question: Question) -> set[str] | None:
    """The sources that the rows are about; ``None`` for all."""
    wanted = [*question.only, *(() if question.requires else question.packages)]
    if not wanted and not question.maintainers:
        return None
    scope = {s for name in wanted if (s := told.built.source(name))}
    for person in question.maintainers:
        scope.update(s.name for s in told.sources if person.lower() in s.maintainers.lower())
    return scope


def _today(told: _Told, question: Question, answer: Answer) -> None:
    arch, built = answer.architecture, told.built
    here = {s.name for s in told.sources if builds_for(s.architecture, arch)}
    for tool in dict.fromkeys((*question.requires, *question.remove)):
        needs = told.needs(arch, [tool])
        names = told.tool_names([tool])
        built_with = {b for name, _ in needs for b in built.of_source.get(name, ())} - built.arch_all - names
        answer.today.append(
            {
                "suite": told.suite,
                "arch": arch,
                "tool": tool,
                "has_tool": None,
                "versions": [],
                "sources": len(here),
                "sources_direct": len(needs),
                "sources_need": None,
                "sources_two": None,
                "sources_full": None,
                "binaries_need_at_run_time": None,
            }
        )
        for package in question.packages:
            source = built.source(package)
            if source is None:
                continue
            other = mentions(told.sources, told.pool, arch, told.policy, source, built_with)
            both = mentions(told.sources, told.pool, arch, told.policy, source, names | built_with)
            answer.needs.append(
                {
                    "suite": told.suite,
                    "arch": arch,
                    "package": package,
                    "version": None,
                    "tool": tool,
                    "build_direct": any(name == source for name, _ in needs),
                    "build_needs": None,
                    "run_needs": None,
                    "run_needs_package_built_with_it": None,
                    "build_needs_package_built_with_it": bool(other["needs"]),
                    "lost_in_the_end": None,
                    "paths": [],
                    "named_in_sources": both,
                }
            )


def _tool(answer: Answer, tool: str, sources: Set[str], binaries: Set[str]) -> dict[str, Any]:
    return {
        "suite": answer.suite,
        "arch": answer.architecture,
        "tool": tool,
        "sources": sorted(sources),
        "binaries": None,
        "binary_names": sorted(binaries),
        "versions": [],
        "installable": None,
        "other_providers": [],
    }


def _plain(name: str) -> str:
    return name.removeprefix("src:").removeprefix("bin:")

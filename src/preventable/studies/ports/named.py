"""What the index of sources alone tells about an architecture that has no index of packages."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from preventable.readers.debian import SourcePackage, builds_for
from preventable.readers.debian_relations import RelationPool
from preventable.readers.debian_version import version_key
from preventable.studies.ports.model import Policy


def named_needs(
    sources: Sequence[SourcePackage],
    pool: RelationPool,
    architecture: str,
    policy: Policy,
    tool_names: Set[str],
) -> list[tuple[str, str]]:
    """Sources with a build dependency all of whose alternatives for the architecture name the tool.

    Args:
        tool_names: names of the tool's binary packages.
    Returns:
        (source, clause) for each, in the order of the index; virtual helpers and second steps stay unseen.

    Example:
        >>> from preventable.readers.debian import read_index
        >>> pool = RelationPool()
        >>> text = b"Package: a\\nBinary: a\\nVersion: 1\\nArchitecture: any\\n"
        >>> text += b"Build-Depends: rustc [!alpha]\\n"
        >>> sources = read_index(text, "Sources", pool).sources
        >>> named_needs(sources, pool, "hppa", Policy(), {"rustc"})
        [('a', 'rustc [!alpha]')]
        >>> named_needs(sources, pool, "alpha", Policy(), {"rustc"})
        []
    """
    name_of = list(pool.names)
    atom_name = [name_of[atom[0]] for atom in pool.atoms]
    active = frozenset(policy.profiles)
    holds = [r.holds(architecture, active) for r in pool.restrictions]
    verdict: dict[int, bool] = {}
    out: list[tuple[str, str]] = []
    for s in newest(sources):
        if not builds_for(s.architecture, architecture, arch_only=policy.arch_only):
            continue
        fields = [s.depends, s.depends_arch] + ([] if policy.arch_only else [s.depends_indep])
        for clause in (c for f in fields for c in pool.fields[f]):
            if clause not in verdict:
                left = [a for a, r in pool.clauses[clause] if holds[r]]
                if policy.first_alternative:
                    left = left[:1]
                verdict[clause] = bool(left) and all(atom_name[a] in tool_names for a in left)
            if verdict[clause]:
                out.append((s.name, pool.clause_source[clause]))
                break
    return out


def newest(sources: Sequence[SourcePackage]) -> list[SourcePackage]:
    """The newest version of each source; what is Extra-Source-Only yields to what is not."""
    best: dict[str, SourcePackage] = {}
    for s in sources:
        old = best.get(s.name)
        if old is None or _age(s) > _age(old):
            best[s.name] = s
    return list(best.values())


def _age(s: SourcePackage) -> tuple[bool, bytes]:
    return not s.extra_only, version_key(s.version)


def mentions(
    sources: Sequence[SourcePackage],
    pool: RelationPool,
    architecture: str,
    policy: Policy,
    package: str,
    names: Set[str],
) -> dict[str, Any]:
    """The build dependencies of one source that hold on an architecture and name one of ``names``."""
    name_of = list(pool.names)
    atom_name = [name_of[atom[0]] for atom in pool.atoms]
    restrictions = list(pool.restrictions)
    active = frozenset(policy.profiles)
    named: list[str] = []
    vanished: list[str] = []
    for s in newest([s for s in sources if s.name == package]):
        for clause in (c for f in (s.depends, s.depends_arch, s.depends_indep) for c in pool.fields[f]):
            hit = [(a, r) for a, r in pool.clauses[clause] if atom_name[a] in names]
            if not hit:
                continue
            left = [atom_name[a] for a, r in pool.clauses[clause] if restrictions[r].holds(architecture, active)]
            if left and all(n in names for n in left):
                named.append(pool.clause_source[clause])
            else:
                vanished.append(pool.clause_source[clause])
    return {"needs": named, "not_needed": vanished}

"""The archive of one architecture as arrays: who needs what, who offers it, who excludes whom.

Nodes are binary packages ``0 … n_bin-1`` and source packages ``n_bin … n_bin+n_src-1``. A node requires
clauses; a clause is met by any of its candidates (binary packages). A source requires, beside its own
build dependencies, ``build-essential``, and everything requires the packages marked Essential.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from preventable.readers.debian import BinaryPackage, SourcePackage, builds_for
from preventable.readers.debian_relations import RelationPool
from preventable.studies.ports.texts import Texts

Ints = np.ndarray[Any, np.dtype[np.integer[Any]]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


class Policy(msgspec.Struct, frozen=True):
    """How build dependencies are read."""

    profiles: tuple[str, ...] = ()
    """Active build profiles (``nocheck``, ``nodoc``, ``pkg.rustc.dlstage0`` …), sorted."""
    first_alternative: bool = False
    """Only the first alternative that is left after restrictions counts, as sbuild resolves them."""
    arch_only: bool = False
    """Build only what depends on the architecture: no Build-Depends-Indep, no sources of arch:all only."""


class Rows(msgspec.Struct, frozen=True):
    """A ragged table: row i holds ``values[starts[i]:starts[i+1]]``."""

    starts: Ints
    values: Ints

    def __getitem__(self, row: int) -> Ints:
        return self.values[self.starts[row] : self.starts[row + 1]]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def gather(self, rows: Ints) -> Ints:
        """All values of the rows given, one after the other."""
        begin = self.starts[rows]
        size = self.starts[rows + 1] - begin
        total = int(size.sum())
        if not total:
            return self.values[:0]
        offset = np.repeat(begin - (np.cumsum(size) - size), size)
        return self.values[offset + np.arange(total, dtype=np.int32)]

    def none(self) -> Rows:
        """No rows at all."""
        return Rows(np.zeros(1, np.int32), np.zeros(0, np.int32))

    def transposed(self, width: int) -> Rows:
        """Row j of the answer holds the rows in which j occurs."""
        order = np.argsort(self.values, kind="stable")
        rows = np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.starts))
        return Rows(_starts(np.bincount(self.values, minlength=width)), rows[order])


def _starts(size: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Ints:
    out = np.zeros(len(size) + 1, np.int32)
    np.cumsum(size, out=out[1:])
    return out


def rows_of(lists: Iterable[Sequence[int]]) -> Rows:
    """Ragged lists as ``Rows``."""
    lists = list(lists)
    size = np.fromiter((len(x) for x in lists), np.int64, len(lists))
    values = np.fromiter((v for x in lists for v in x), np.int32, int(size.sum()))
    return Rows(_starts(size), values)


class ArchiveModel(msgspec.Struct, frozen=True):
    """One suite on one architecture under one policy. All arrays; see the module for the meaning of ids."""

    suite: str
    architecture: str
    policy: Policy
    bin_name: list[str]
    bin_version: Sequence[str]
    bin_source: Ints
    """Source node (of the newest version of that name), or -1 when the index of sources has none."""
    bin_source_name: list[str]
    bin_all: Flags
    bin_stale: Flags
    """Built from another version of its source than the newest."""
    bin_essential: Flags
    bin_priority: list[str]
    src_name: list[str]
    src_version: Sequence[str]
    src_people: Sequence[str]
    """Maintainer and uploaders, as written."""
    src_newest: Flags
    src_any: Flags
    """Builds something for the architecture itself, not only arch:all."""
    requires: Rows
    """Node to clauses."""
    candidates: Rows
    """Clause to binary packages, in the order of the alternatives."""
    conflicts: Rows
    """Node to binary packages that it cannot be installed together with (for binaries: symmetric)."""
    clause_text: Texts
    build_essential: int
    """Clause that every source requires, or -1 when the archive has no such package."""

    @property
    def n_bin(self) -> int:
        return len(self.bin_name)

    @property
    def n_src(self) -> int:
        return len(self.src_name)

    def label(self, node: int) -> str:
        """``src:NAME`` for a source, the name for a binary."""
        return self.bin_name[node] if node < self.n_bin else f"src:{self.src_name[node - self.n_bin]}"


class PoolArrays:
    """A relation pool as arrays: the part of the model that does not depend on the architecture.

    The pool only grows; ``grow`` takes in what was added since, so that each further architecture costs
    only what is new in it.
    """

    def __init__(self, pool: RelationPool) -> None:
        self.pool = pool
        none = np.zeros(0, np.int32)
        self.field_clauses = Rows(np.zeros(1, np.int32), none)
        self.clause_alternatives = Rows(np.zeros(1, np.int32), none)
        self.alternative_atom: Ints = none
        self.alternative_restriction: Ints = none
        self.atom_name: Ints = none
        self.atom_op: Ints = none
        self._atom_version: Ints = none
        self.atom_qualifier: Ints = none
        self.grow()

    def grow(self) -> PoolArrays:
        """Take in what the pool has gained."""
        pool = self.pool
        self.field_clauses = joined(self.field_clauses, rows_of(pool.fields[len(self.field_clauses) :]))
        fresh = pool.clauses[len(self.clause_alternatives) :]
        size = np.fromiter((len(c) for c in fresh), np.int64, len(fresh))
        begin = len(self.alternative_atom)
        more = Rows(_starts(size), np.arange(begin, begin + int(size.sum()), dtype=np.int32))
        self.clause_alternatives = joined(self.clause_alternatives, more)
        flat = np.array([a for c in fresh for a in c], dtype=np.int32).reshape(-1, 2)
        self.alternative_atom = np.concatenate((self.alternative_atom, flat[:, 0]))
        self.alternative_restriction = np.concatenate((self.alternative_restriction, flat[:, 1]))
        atoms = np.array(list(islice(pool.atoms, len(self.atom_name), None)), dtype=np.int32).reshape(-1, 4)
        self.atom_name = np.concatenate((self.atom_name, atoms[:, 0]))
        self.atom_op = np.concatenate((self.atom_op, atoms[:, 1]))
        self._atom_version = np.concatenate((self._atom_version, atoms[:, 2]))
        self.atom_qualifier = np.concatenate((self.atom_qualifier, atoms[:, 3]))
        self.version_rank: Ints = np.array([*pool.version_ranks(), -1], dtype=np.int32)
        self.atom_rank: Ints = self.version_rank[self._atom_version]
        return self

    def holding(self, architecture: str, profiles: tuple[str, ...]) -> Flags:
        """Which alternatives' restrictions hold for a target."""
        active = frozenset(profiles)
        ok = np.array([r.holds(architecture, active) for r in self.pool.restrictions], dtype=np.bool_)
        result: Flags = ok[self.alternative_restriction]
        return result


def intern_versions(pool: RelationPool, binaries: Sequence[BinaryPackage], sources: Sequence[SourcePackage]) -> None:
    """Put the packages' own names and versions into the pool; before ``PoolArrays`` is made."""
    versions, names = pool.versions, pool.names
    for version in [p.version for some in (binaries, sources) for p in some if p.version not in versions]:
        pool.version(version)
    for name in [b.name for b in binaries if b.name not in names]:
        pool.name(name)
    pool.field(b"build-essential")


def build_model(
    suite: str,
    architecture: str,
    sources: Sequence[SourcePackage],
    binaries: Sequence[BinaryPackage],
    arrays: PoolArrays,
    policy: Policy,
) -> ArchiveModel:
    """Evaluate an archive for one architecture.

    Args:
        suite: label of the snapshot.
        architecture: the host architecture, which is also the build architecture.
        sources: every stanza of the index of sources.
        binaries: every stanza of the architecture's index of packages.
        arrays: the pool into which both were read.
        policy: how build dependencies are read.
    Returns:
        ArchiveModel: sources that build nothing here are left out.
    """
    pool = arrays.pool
    fields = {s.architecture: s for s in sources}
    any_here = {f: builds_for(s, architecture, arch_only=True) for f, s in fields.items()}
    here = any_here if policy.arch_only else {f: builds_for(s, architecture) for f, s in fields.items()}
    sources = [s for s in sources if here[s.architecture]]
    n_bin = len(binaries)
    newest, newest_flags = _newest(sources, arrays)

    entries = _Entries(binaries, arrays, architecture)
    indep = () if policy.arch_only else ("depends_indep",)
    b_fields = _fields(binaries, "depends", "pre_depends")
    s_fields = _fields(sources, "depends", "depends_arch", *indep)
    indep = () if policy.arch_only else ("conflicts_indep",)
    b_conflict = _fields(binaries, "conflicts", "breaks")
    s_conflict = _fields(sources, "conflicts", "conflicts_arch", *indep)

    b_req = _of_fields(b_fields, arrays)
    s_req = _of_fields(s_fields, arrays)
    essential_clause = pool.fields[pool.field(b"build-essential")][0]
    # In the order of this architecture's own indices: what else the pool holds must not decide ties.
    b_used = _as_they_come(b_req.values, len(pool.clauses))
    s_used = _as_they_come(np.append(s_req.values, np.int32(essential_clause)), len(pool.clauses))
    holds = arrays.holding(architecture, policy.profiles)
    b_cand, b_kept = entries.candidates(b_used, np.ones_like(holds), first=False)
    s_cand, s_kept = entries.candidates(s_used, holds, first=policy.first_alternative)
    candidates = Rows(
        np.concatenate((b_cand.starts, s_cand.starts[1:] + b_cand.starts[-1])),
        np.concatenate((b_cand.values, s_cand.values)),
    )
    b_local = np.full(len(pool.clauses), -1, np.int32)
    b_local[b_used] = np.where(b_kept, np.arange(len(b_used)), -1)
    s_local = np.full(len(pool.clauses), -1, np.int32)
    s_local[s_used] = np.where(s_kept, np.arange(len(s_used)) + len(b_used), -1)
    requires = joined(_mapped(b_req, b_local), _mapped(s_req, s_local))

    conflicts = _conflicts(b_conflict, s_conflict, entries, arrays, holds, n_bin)
    build_essential = int(s_local[essential_clause])
    if not len(candidates[build_essential]):
        build_essential = -1
    bin_source = np.array([newest.get(b.source, -1) for b in binaries], dtype=np.int32)
    stale = np.array(
        [n >= 0 and sources[n].version != b.source_version for b, n in zip(binaries, bin_source.tolist(), strict=True)],
        dtype=np.bool_,
    )
    bin_source = np.where(bin_source >= 0, bin_source + n_bin, -1).astype(np.int32)
    used = np.concatenate((b_used, s_used)).tolist()
    return ArchiveModel(
        suite=suite,
        architecture=architecture,
        policy=policy,
        bin_name=[b.name for b in binaries],
        bin_version=[b.version for b in binaries],
        bin_source=bin_source,
        bin_source_name=[b.source for b in binaries],
        bin_all=np.array([b.arch_all for b in binaries], dtype=np.bool_),
        bin_stale=stale,
        bin_essential=np.array([b.essential for b in binaries], dtype=np.bool_),
        bin_priority=[b.priority for b in binaries],
        src_name=[s.name for s in sources],
        src_version=[s.version for s in sources],
        src_people=[s.maintainers for s in sources],
        src_newest=newest_flags,
        src_any=np.array([any_here[s.architecture] for s in sources], dtype=np.bool_),
        requires=requires,
        candidates=candidates,
        conflicts=conflicts,
        clause_text=Texts.of([pool.clause_source[c] for c in used]),
        build_essential=build_essential,
    )


def _fields(
    packages: Sequence[BinaryPackage] | Sequence[SourcePackage], *names: str
) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """Two or more relation fields of each package, as ids."""
    ids = chain.from_iterable(map(attrgetter(*names), packages))
    flat = np.fromiter(ids, np.int32, len(packages) * len(names))
    return flat.reshape(len(packages), len(names))


def _newest(sources: Sequence[SourcePackage], arrays: PoolArrays) -> tuple[dict[str, int], Flags]:
    """The newest version of each source; Extra-Source-Only ones yield to live ones."""
    rank = arrays.version_rank
    versions = arrays.pool.versions
    best: dict[str, tuple[bool, int, int]] = {}
    for i, s in enumerate(sources):
        key = (not s.extra_only, int(rank[versions[s.version]]), i)
        if s.name not in best or key > best[s.name]:
            best[s.name] = key
    flags = np.zeros(len(sources), dtype=np.bool_)
    newest = {name: key[2] for name, key in best.items()}
    flags[list(newest.values())] = True
    return newest, flags


class _Entries:
    """What every binary package offers: itself and its Provides, sorted by name."""

    def __init__(self, binaries: Sequence[BinaryPackage], arrays: PoolArrays, architecture: str) -> None:
        pool = arrays.pool
        n_bin = len(binaries)
        own_name = np.array([pool.names[b.name] for b in binaries], dtype=np.int32)
        own_rank = arrays.version_rank[np.array([pool.versions[b.version] for b in binaries], dtype=np.int32)]
        provided = _of_fields(_fields(binaries, "provides", "provides")[:, :1], arrays)
        # A Provides clause is one alternative; only "=" versions mean anything.
        first = arrays.clause_alternatives.starts[provided.values]
        atom = arrays.alternative_atom[first]
        name = np.concatenate((own_name, arrays.atom_name[atom]))
        rank = np.concatenate((own_rank, np.where(arrays.atom_op[atom] == 3, arrays.atom_rank[atom], np.int32(-1))))
        owner = np.concatenate(
            (
                np.arange(n_bin, dtype=np.int32),
                np.repeat(np.arange(n_bin, dtype=np.int32), np.diff(provided.starts)),
            )
        )
        virtual = np.arange(len(name)) >= n_bin
        # Real packages first, and of those the newest first.
        order = np.lexsort((-rank, virtual, name))
        self.name, self.rank, self.owner = name[order], rank[order], owner[order]
        self.allowed = np.array([b.multi_arch == "allowed" for b in binaries], dtype=np.bool_)
        self.own_name, self.own_rank = own_name, own_rank
        self.arrays = arrays
        # Qualifier 0: none or :native; 1: :any; others name an architecture.
        self.qualifier_ok = np.array(
            [True, True, *(q == architecture for q, i in pool.qualifiers.items() if i > 1)], dtype=np.bool_
        )

    def candidates(self, clauses: Ints, holds: Flags, *, first: bool) -> tuple[Rows, Flags]:
        """Candidates of each clause, and whether any of its alternatives is left."""
        arrays = self.arrays
        alternatives = arrays.clause_alternatives.gather(clauses)
        size = np.diff(arrays.clause_alternatives.starts)[clauses]
        row = np.repeat(np.arange(len(clauses), dtype=np.int32), size)
        keep = holds[alternatives]
        alternatives, row = alternatives[keep], row[keep]
        kept = np.bincount(row, minlength=len(clauses)) > 0
        atom = arrays.alternative_atom[alternatives]
        if first and len(row):
            begins = np.flatnonzero(np.diff(row, prepend=-1))
            leader = np.zeros(len(clauses), np.int32)
            leader[row[begins]] = arrays.atom_name[atom[begins]]
            same = arrays.atom_name[atom] == leader[row]
            atom, row = atom[same], row[same]
        low = np.searchsorted(self.name, arrays.atom_name[atom], side="left")
        size = np.searchsorted(self.name, arrays.atom_name[atom], side="right") - low
        total = int(size.sum())
        entry = np.repeat(low - (np.cumsum(size) - size), size) + np.arange(total)
        row = np.repeat(row, size)
        op = np.repeat(arrays.atom_op[atom], size)
        want = np.repeat(arrays.atom_rank[atom], size)
        qualifier = np.repeat(arrays.atom_qualifier[atom], size)
        have, owner = self.rank[entry], self.owner[entry]
        fits = (
            (op == 0)
            | ((op == 1) & (have < want))
            | ((op == 2) & (have <= want))
            | ((op == 3) & (have == want))
            | ((op == 4) & (have >= want))
            | ((op == 5) & (have > want))
        ) & ((op == 0) | (have >= 0))
        fits &= self.qualifier_ok[qualifier] & ((qualifier != 1) | self.allowed[owner])
        row, owner = row[fits], owner[fits]
        # Each package once per clause, where it comes first.
        key = row.astype(np.int64) * (len(self.allowed) + 1) + owner
        _, where = np.unique(key, return_index=True)
        where.sort()
        row, owner = row[where], owner[where]
        return Rows(_starts(np.bincount(row, minlength=len(clauses))), owner.astype(np.int32)), kept


def ascending(values: Ints) -> Ints:
    """The distinct values, ascending; NumPy's own function imports its masked arrays, which takes longer."""
    ordered = np.sort(values)
    fresh = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=fresh[1:])
    return ordered[fresh]


def _as_they_come(values: Ints, width: int) -> Ints:
    """The distinct values below ``width`` in the order of their first occurrence."""
    place = np.full(width, -1, np.int32)
    place[values[::-1]] = np.arange(len(values) - 1, -1, -1, dtype=np.int32)
    found = np.flatnonzero(place >= 0).astype(np.int32)
    ordered: Ints = found[np.argsort(place[found])]
    return ordered


def distinct(values: Ints, width: int) -> Ints:
    """The distinct values below ``width``, ascending; many times faster than a sort or a hash here."""
    return np.flatnonzero(np.bincount(values, minlength=width)).astype(np.int32)


def _of_fields(fields: np.ndarray[tuple[int, int], np.dtype[np.int32]], arrays: PoolArrays) -> Rows:
    """The clauses of several fields of each node, in order."""
    size = np.diff(arrays.field_clauses.starts)[fields].sum(axis=1)
    return Rows(_starts(size), arrays.field_clauses.gather(fields.ravel()))


def _mapped(rows: Rows, local: Ints) -> Rows:
    values = local[rows.values]
    keep = values >= 0
    owner = np.repeat(np.arange(len(rows)), np.diff(rows.starts))[keep]
    return Rows(_starts(np.bincount(owner, minlength=len(rows))), values[keep])


def joined(a: Rows, b: Rows) -> Rows:
    """The rows of one table after those of another."""
    return Rows(np.concatenate((a.starts, b.starts[1:] + a.starts[-1])), np.concatenate((a.values, b.values)))


def _conflicts(
    b_fields: np.ndarray[tuple[int, int], np.dtype[np.int32]],
    s_fields: np.ndarray[tuple[int, int], np.dtype[np.int32]],
    entries: _Entries,
    arrays: PoolArrays,
    holds: Flags,
    n_bin: int,
) -> Rows:
    """Pairs that exclude each other: Conflicts, Breaks, Build-Conflicts, and two versions of one name."""
    lefts, rights = [], []
    for fields, base, kept in ((b_fields, 0, np.ones_like(holds)), (s_fields, n_bin, holds)):
        clauses = _of_fields(fields, arrays)
        used, inverse = np.unique(clauses.values, return_inverse=True)
        found, _ = entries.candidates(used.astype(np.int32), kept, first=False)
        node = np.repeat(np.arange(len(fields), dtype=np.int32) + base, np.diff(clauses.starts))
        size = np.diff(found.starts)[inverse]
        lefts.append(np.repeat(node, size))
        rights.append(found.gather(inverse.astype(np.int32)))
    order = np.argsort(entries.own_name, kind="stable")
    run = entries.own_name[order]
    for step in range(1, n_bin):
        twins = np.flatnonzero(run[step:] == run[:-step])
        if not len(twins):
            break
        lefts.append(order[twins].astype(np.int32))
        rights.append(order[twins + step].astype(np.int32))
    left, right = np.concatenate(lefts), np.concatenate(rights)
    keep = left != right
    left, right = left[keep], right[keep]
    own = left < n_bin
    left, right = np.concatenate((left, right[own])), np.concatenate((right, left[own]))
    width = n_bin + len(s_fields)
    key = np.unique(left.astype(np.int64) * (n_bin + 1) + right)
    left, right = (key // (n_bin + 1)).astype(np.int32), (key % (n_bin + 1)).astype(np.int32)
    return Rows(_starts(np.bincount(left, minlength=width)), right)

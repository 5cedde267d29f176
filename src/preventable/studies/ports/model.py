"""The archive of one architecture as arrays: who needs what, who offers it, who excludes whom.

Nodes are binary packages ``0 … n_bin-1`` and source packages ``n_bin … n_bin+n_src-1``. A node requires
clauses; a clause is met by any of its candidates (binary packages). A source requires, beside its own
build dependencies, ``build-essential``, and everything requires the packages marked Essential.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec
import numpy as np

from preventable.readers.debian import BinaryPackage, builds_for
from preventable.readers.debian_relations import RelationPool
from preventable.studies.ports.rows import Flags, Ints, Rows, ascending, joined, rows_of, stable_order, starts_of
from preventable.studies.ports.tables import BinaryTable, Grid, SourceTable
from preventable.studies.ports.texts import Texts

BUILD_ESSENTIAL = b"build-essential"
"""The relation that every source has without saying so."""


class Policy(msgspec.Struct, frozen=True):
    """How build dependencies are read."""

    profiles: tuple[str, ...] = ()
    """Active build profiles (``nocheck``, ``nodoc``, ``pkg.rustc.dlstage0`` …), sorted."""
    first_alternative: bool = False
    """Only the first alternative that is left after restrictions counts, as sbuild resolves them."""
    arch_only: bool = False
    """Build only what depends on the architecture: no Build-Depends-Indep, no sources of arch:all only."""


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
        pool.field(BUILD_ESSENTIAL)
        self.field_clauses = joined(self.field_clauses, rows_of(pool.fields[len(self.field_clauses) :]))
        fresh = pool.clauses[len(self.clause_alternatives) :]
        size = np.fromiter((len(c) for c in fresh), np.int64, len(fresh))
        begin = len(self.alternative_atom)
        more = Rows(starts_of(size), np.arange(begin, begin + int(size.sum()), dtype=np.int32))
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


def build_model(
    suite: str,
    architecture: str,
    binaries: Sequence[BinaryPackage],
    tables: tuple[SourceTable, BinaryTable],
    arrays: PoolArrays,
    policy: Policy,
) -> ArchiveModel:
    """Evaluate an archive for one architecture.

    Args:
        suite: label of the snapshot.
        architecture: the host architecture, which is also the build architecture.
        binaries: every stanza of the architecture's index of packages.
        tables: every stanza of the index of sources, and the records of packages seen so far.
        arrays: the pool into which both were read.
        policy: how build dependencies are read.
    Returns:
        ArchiveModel: sources that build nothing here are left out.
    """
    pool = arrays.pool
    table, packages = tables
    rows = packages.rows(binaries)
    arrays.grow()
    any_here = table.where(lambda field: builds_for(field, architecture, arch_only=True))
    here = any_here if policy.arch_only else table.where(lambda field: builds_for(field, architecture))
    s_rows = np.flatnonzero(here).astype(np.int32)
    sources = [table.packages[i] for i in s_rows.tolist()]
    n_bin = len(binaries)
    newest = table.newest(s_rows, arrays.version_rank)
    newest_flags = np.zeros(len(sources), dtype=np.bool_)
    newest_flags[newest[newest >= 0]] = True

    entries = _Entries(packages, rows, arrays, architecture)
    indep = () if policy.arch_only else ("depends_indep",)
    b_fields = packages.fields(rows, "depends", "pre_depends")
    s_fields = table.fields(s_rows, "depends", "depends_arch", *indep)
    indep = () if policy.arch_only else ("conflicts_indep",)
    b_conflict = packages.fields(rows, "conflicts", "breaks")
    s_conflict = table.fields(s_rows, "conflicts", "conflicts_arch", *indep)

    b_req = _of_fields(b_fields, arrays)
    s_req = _of_fields(s_fields, arrays)
    essential_clause = pool.fields[pool.field(BUILD_ESSENTIAL)][0]
    # In the order of this architecture's own indices: what else the pool holds must not decide ties.
    b_used = _as_they_come(b_req.values, len(pool.clauses))
    s_used = _as_they_come(np.append(s_req.values, np.int32(essential_clause)), len(pool.clauses))
    holds = arrays.holding(architecture, policy.profiles)
    b_cand, b_kept = entries.candidates(b_used, np.ones_like(holds), first=False)
    s_cand, s_kept = entries.candidates(s_used, holds, first=policy.first_alternative)
    candidates = joined(b_cand, s_cand)
    b_local = np.full(len(pool.clauses), -1, np.int32)
    b_local[b_used] = np.where(b_kept, np.arange(len(b_used)), -1)
    s_local = np.full(len(pool.clauses), -1, np.int32)
    s_local[s_used] = np.where(s_kept, np.arange(len(s_used)) + len(b_used), -1)
    requires = joined(_mapped(b_req, b_local), _mapped(s_req, s_local))

    conflicts = _conflicts(b_conflict, s_conflict, entries, arrays, holds, n_bin)
    build_essential = int(s_local[essential_clause])
    if not len(candidates[build_essential]):
        build_essential = -1
    of = packages.source[rows]
    bin_source = np.where(of >= 0, newest[of], -1).astype(np.int32) if len(newest) else of
    own_version = table.version[s_rows][bin_source] if len(s_rows) else bin_source
    stale = (bin_source >= 0) & (own_version != packages.source_version[rows])
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
        bin_all=packages.arch_all[rows],
        bin_stale=stale,
        bin_essential=packages.essential[rows],
        bin_priority=[b.priority for b in binaries],
        src_name=[s.name for s in sources],
        src_version=[s.version for s in sources],
        src_people=[s.maintainers for s in sources],
        src_newest=newest_flags,
        src_any=any_here[s_rows],
        requires=requires,
        candidates=candidates,
        conflicts=conflicts,
        clause_text=Texts.of([pool.clause_source[c] for c in used]),
        build_essential=build_essential,
    )


class _Entries:
    """What every binary package offers: itself and its Provides, sorted by name."""

    def __init__(self, packages: BinaryTable, rows: Ints, arrays: PoolArrays, architecture: str) -> None:
        pool = arrays.pool
        n_bin = len(rows)
        own_name = packages.name[rows]
        own_rank = arrays.version_rank[packages.version[rows]]
        provided = _of_fields(packages.fields(rows, "provides"), arrays)
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
        most = int(rank.max(initial=0)) + 1
        order = stable_order((name.astype(np.int64) * 2 + virtual) * (most + 1) + (most - rank - 1))
        self.name, self.rank, self.owner = name[order], rank[order], owner[order]
        self.allowed = packages.allowed[rows]
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
        size = arrays.clause_alternatives.sizes(clauses)
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
        order = stable_order(key)
        where = np.sort(order[np.diff(key[order], prepend=-1) != 0])
        row, owner = row[where], owner[where]
        return Rows(starts_of(np.bincount(row, minlength=len(clauses))), owner.astype(np.int32)), kept


def _as_they_come(values: Ints, width: int) -> Ints:
    """The distinct values below ``width`` in the order of their first occurrence."""
    place = np.full(width, -1, np.int32)
    place[values[::-1]] = np.arange(len(values) - 1, -1, -1, dtype=np.int32)
    found = np.flatnonzero(place >= 0).astype(np.int32)
    ordered: Ints = found[np.argsort(place[found])]
    return ordered


def _of_fields(fields: Grid, arrays: PoolArrays) -> Rows:
    """The clauses of several fields of each node, in order."""
    size = arrays.field_clauses.sizes(fields).sum(axis=1)
    return Rows(starts_of(size), arrays.field_clauses.gather(fields.ravel()))


def _mapped(rows: Rows, local: Ints) -> Rows:
    values = local[rows.values]
    keep = values >= 0
    owner = np.repeat(np.arange(len(rows)), np.diff(rows.starts))[keep]
    return Rows(starts_of(np.bincount(owner, minlength=len(rows))), values[keep])


def _conflicts(
    b_fields: Grid,
    s_fields: Grid,
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
        size = found.sizes(inverse)
        lefts.append(np.repeat(node, size))
        rights.append(found.gather(inverse.astype(np.int32)))
    order = stable_order(entries.own_name)
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
    key = ascending(left.astype(np.int64) * (n_bin + 1) + right)
    left, right = (key // (n_bin + 1)).astype(np.int32), (key % (n_bin + 1)).astype(np.int32)
    return Rows(starts_of(np.bincount(left, minlength=width)), right)

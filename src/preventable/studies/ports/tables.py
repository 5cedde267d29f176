"""Records as arrays, one row each: the part of a model that all architectures share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

import numpy as np

from preventable.readers.debian import BinaryPackage, SourcePackage
from preventable.readers.debian_relations import RelationPool
from preventable.studies.ports.rows import Flags, Ints, numbers

Grid = np.ndarray[tuple[int, int], np.dtype[np.int32]]


class SourceTable:
    """Every stanza of the indices of sources, in their order."""

    def __init__(self, pool: RelationPool, sources: Sequence[SourcePackage]) -> None:
        self.packages = sources
        self.code: dict[str, int] = {}
        """A number for each name."""
        self.name = numbers(self.code.setdefault(s.name, len(self.code)) for s in sources)
        self.version = numbers(pool.version(s.version) for s in sources)
        self.extra_only: Flags = np.array([s.extra_only for s in sources], dtype=np.bool_)
        fields = {s.architecture: i for i, s in enumerate(sources)}
        self.architectures = list(fields)
        place = {field: i for i, field in enumerate(fields)}
        self._architecture = numbers(place[s.architecture] for s in sources)
        self.relations = {
            name: _column(sources, name)
            for name in ("depends", "depends_arch", "depends_indep", "conflicts", "conflicts_arch", "conflicts_indep")
        }

    def where(self, holds: Callable[[str], bool]) -> Flags:
        """The sources whose Architecture field fulfils a condition."""
        ok = np.array([holds(field) for field in self.architectures], dtype=np.bool_)
        result: Flags = ok[self._architecture]
        return result

    def fields(self, rows: Ints, *names: str) -> Grid:
        """Relation fields of some sources, as ids of the pool."""
        return np.stack([self.relations[name][rows] for name in names], axis=1)

    def newest(self, rows: Ints, version_rank: Ints) -> Ints:
        """For each name (by its number) the place in ``rows`` of its newest version, or -1.

        Extra-Source-Only versions yield to live ones; of equals the last counts.
        """
        order = np.lexsort((version_rank[self.version[rows]], ~self.extra_only[rows]))
        out = np.full(len(self.code), -1, np.int32)
        # Later ones overwrite earlier ones of the same name.
        out[self.name[rows[order]]] = order
        return out


class BinaryTable:
    """Every distinct stanza of the indices of packages; grows with each architecture."""

    def __init__(self, pool: RelationPool, sources: SourceTable) -> None:
        self._pool = pool
        self._sources = sources
        self._row: dict[int, int] = {}
        self._kept: list[BinaryPackage] = []
        none = np.zeros(0, np.int32)
        self.name: Ints = none
        self.version: Ints = none
        self.source: Ints = none
        """Number of the source's name, or -1."""
        self.source_version: Ints = none
        self.arch_all: Flags = none.astype(np.bool_)
        self.essential: Flags = none.astype(np.bool_)
        self.allowed: Flags = none.astype(np.bool_)
        """Multi-Arch: allowed."""
        self.relations = dict.fromkeys(("provides", "depends", "pre_depends", "conflicts", "breaks"), none)

    def rows(self, binaries: Sequence[BinaryPackage]) -> Ints:
        """The rows of these records; those not seen before are added. The records are kept."""
        row = self._row
        fresh = [b for b in binaries if id(b) not in row]
        row.update(zip(map(id, fresh), range(len(self._kept), len(self._kept) + len(fresh)), strict=True))
        self._kept.extend(fresh)
        pool, code = self._pool, self._sources.code
        versions = pool.versions

        def add(name: str, values: Ints | Flags) -> None:
            setattr(self, name, np.concatenate((getattr(self, name), values)))

        # Sources' versions are in the pool already; a version that is not there is none of theirs.
        add("source_version", numbers(versions.get(b.source_version, -1) for b in fresh))
        add("source", numbers(code.get(b.source, -1) for b in fresh))
        add("version", numbers(pool.version(b.version) for b in fresh))
        add("name", numbers(pool.name(b.name) for b in fresh))
        add("arch_all", np.array([b.arch_all for b in fresh], dtype=np.bool_))
        add("essential", np.array([b.essential for b in fresh], dtype=np.bool_))
        add("allowed", np.array([b.multi_arch == "allowed" for b in fresh], dtype=np.bool_))
        for name, known in self.relations.items():
            self.relations[name] = np.concatenate((known, _column(fresh, name)))
        return numbers(map(row.__getitem__, map(id, binaries)))

    def fields(self, rows: Ints, *names: str) -> Grid:
        """Relation fields of some packages, as ids of the pool."""
        return np.stack([self.relations[name][rows] for name in names], axis=1)


def _column(packages: Sequence[BinaryPackage] | Sequence[SourcePackage], name: str) -> Ints:
    return np.fromiter(map(attrgetter(name), packages), np.int32, len(packages))

"""What can no longer be installed or built when packages are gone, by declared needs alone.

A node dies when one of its clauses has no living candidate left; a dead binary package counts as gone
for the clauses of others. The dead are the least set closed under that rule, so cycles of packages that
need each other stay alive, as they do when installed. Conflicts are another module's matter: whoever is
dead here cannot be installed whatever else holds.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from preventable.studies.ports.model import ArchiveModel
from preventable.studies.ports.rows import Flags, Ints, Rows, ascending

BY_REMOVAL, BY_CONFLICT, BY_ESSENTIAL = -1, -2, -3
"""``cause`` of a node that was announced dead, of one whose remaining choices exclude each other, and of one
that fell with the Essential packages, which every system and every build needs."""


_MANY = 4_000
"""From how many on a pass over everything is cheaper than a sort."""


def _each_once(values: Ints, width: int) -> Ints:
    """The distinct values below ``width``, ascending."""
    if len(values) < _MANY // 8:
        return ascending(values)
    mark = np.zeros(width, np.bool_)
    mark[values] = True
    return np.flatnonzero(mark).astype(values.dtype)


class Propagation:
    """The living and the dead of one model; deaths are announced and spread.

    ``cause`` remembers, for each node that dies by a clause, the clause, and ``when`` the round in which
    it died, so that a chain of reasons can be told afterwards: every candidate of the clause that killed
    a node died in an earlier round.
    """

    def __init__(self, model: ArchiveModel, need_of: Rows, offer_of: Rows) -> None:
        nodes = model.n_bin + model.n_src
        self.model = model
        self.need_of = need_of
        """Clause to nodes that require it."""
        self.offer_of = offer_of
        """Binary package to clauses of which it is a candidate."""
        own = np.where(model.bin_all, -1, model.bin_source)
        order = np.argsort(own, kind="stable").astype(np.int32)
        starts = np.searchsorted(own[order], np.arange(model.n_bin, nodes + 1)).astype(np.int32)
        self.built_of = Rows(starts, order)
        """Source (counted from 0) to the architecture-dependent binary packages that it builds."""
        self.dead: Flags = np.zeros(nodes, dtype=np.bool_)
        self.gone: Flags = np.zeros(model.n_bin, dtype=np.bool_)
        """Binary packages that are no longer in the archive at all."""
        self.immune: Flags | None = None
        """Nodes that are kept alive whatever happens: what would be saved if they stayed."""
        self.left: Ints = np.diff(model.candidates.starts).astype(np.int32)
        self.cause: Ints = np.full(nodes, BY_REMOVAL, np.int32)
        self.when: Ints = np.zeros(nodes, np.int32)
        versions: dict[str, list[int]] = {}
        for i in np.flatnonzero(model.bin_essential).tolist():
            versions.setdefault(model.bin_name[i], []).append(i)
        self._essential_versions = list(versions.values())
        self.essential_lost = -1
        """The Essential package that took along what fell ``BY_ESSENTIAL``, or -1."""
        self.demands_essential = True
        """Whether what is Essential is needed by all, as it is; without that only declared needs are followed."""
        self.round = 0

    def start(self) -> Self:
        """Spread what is broken from the start: clauses that nothing in the archive can meet."""
        self._spread(np.flatnonzero(self.left == 0).astype(np.int32))
        self._essential()
        return self

    def copy(self) -> Propagation:
        """A second state over the same model, to be changed on its own."""
        other = Propagation.__new__(Propagation)
        other.__dict__.update(self.__dict__)
        for name in ("dead", "gone", "left", "cause", "when"):
            setattr(other, name, getattr(self, name).copy())
        return other

    def remove(self, binaries: Ints) -> None:
        """Binary packages leave the archive; spread the consequences."""
        self.gone[binaries] = True
        self.kill(binaries)

    def kill(self, nodes: Ints, cause: int = BY_REMOVAL) -> None:
        """Announce that nodes cannot be installed or built; spread the consequences."""
        nodes = nodes[~self.dead[nodes]]
        if self.immune is not None:
            nodes = nodes[~self.immune[nodes]]
        self.round += 1
        self.dead[nodes] = True
        self.cause[nodes] = cause
        self.when[nodes] = self.round
        self._spread(self._used_up(nodes))
        self._essential()

    def _essential(self) -> None:
        """An Essential package that cannot be installed, or has left, takes everything with it."""
        if not self.demands_essential:
            return
        dead, when = self.dead, self.when
        # Of each name the version that was lost last decided; of several names the one that was lost first.
        lost = [max(own, key=when.__getitem__) for own in self._essential_versions if all(dead[i] for i in own)]
        if not lost:
            return
        rest = ~self.dead if self.immune is None else ~self.dead & ~self.immune
        if rest.any():
            if self.essential_lost < 0:
                self.essential_lost = min(lost, key=when.__getitem__)
            self.round += 1
            self.dead[rest] = True
            self.cause[rest] = BY_ESSENTIAL
            self.when[rest] = self.round

    def _used_up(self, nodes: Ints) -> Ints:
        clauses = self.offer_of.gather(nodes[nodes < self.model.n_bin])
        if not len(clauses):
            return clauses
        if len(clauses) > _MANY:
            # One pass over all clauses costs less than sorting the touched ones.
            every = np.bincount(clauses, minlength=len(self.left)).astype(np.int32)
            self.left -= every
            return np.flatnonzero((every > 0) & (self.left == 0)).astype(np.int32)
        np.subtract.at(self.left, clauses, 1)
        return ascending(clauses[self.left[clauses] == 0])

    def _spread(self, clauses: Ints) -> None:
        need_of, dead = self.need_of, self.dead
        while len(clauses):
            nodes = need_of.gather(clauses)
            by = np.repeat(clauses, need_of.sizes(clauses))
            fresh = ~dead[nodes]
            if self.immune is not None:
                fresh &= ~self.immune[nodes]
            nodes, by = nodes[fresh], by[fresh]
            # Assigned backwards, so that the first of several causes stays.
            self.cause[nodes[::-1]] = by[::-1]
            nodes = _each_once(nodes, len(dead))
            self.round += 1
            dead[nodes] = True
            self.when[nodes] = self.round
            clauses = self._used_up(nodes)

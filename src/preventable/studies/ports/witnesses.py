"""Witnesses by default choices: who can be installed (built) without a search.

Take for each clause its first living candidate; if the closure of those choices holds no two packages that
exclude each other, it is a witness. Whoever has none is a suspect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from preventable.studies.ports.fixpoint import Propagation
from preventable.studies.ports.model import ArchiveModel
from preventable.studies.ports.rows import Flags, Ints, ascending, distinct


class Survey(msgspec.Struct, frozen=True):
    """The default choices of a state, and what each binary package reaches by them."""

    choice: Ints
    """Clause to its chosen candidate, or -1."""
    reach: list[int]
    """Binary package to the conflict-relevant packages in its closure, one bit each."""
    suspects: Ints


class Witnesses:
    """Finds who has no witness, that is whose default choices hold two packages that exclude each other.

    Only packages that exclude some other one matter; each is one bit of a Python integer.
    """

    def __init__(self, model: ArchiveModel) -> None:
        self.model = model
        pairs = model.conflicts
        relevant = ascending(
            np.concatenate((pairs.values, np.flatnonzero(np.diff(pairs.starts[: model.n_bin + 1]) > 0)))
        )
        self.relevant: list[int] = relevant.tolist()
        self.bit = {p: i for i, p in enumerate(self.relevant)}
        self._excludes: dict[int, int] = {}
        own = np.flatnonzero(np.diff(pairs.starts[model.n_bin :]) > 0) + model.n_bin
        self._source_excludes = {s: sum(1 << self.bit[q] for q in set(pairs[s].tolist())) for s in own.tolist()}

    def survey(self, state: Propagation) -> Survey:
        """Look at every living node."""
        choice = first_living(self.model, state.dead)
        everyone = np.ones(len(state.dead), dtype=np.bool_)
        reach = self._reach(state, choice, everyone, [0] * self.model.n_bin)
        return Survey(choice, reach, self._suspects(state, choice, everyone, reach))

    def resurvey(self, state: Propagation, before: Survey) -> Ints:
        """Suspects among the living nodes whose choices are not those of an earlier survey."""
        model = self.model
        choice = first_living(model, state.dead)
        switched = np.flatnonzero((choice != before.choice) & (choice >= 0)).astype(np.int32)
        changed = np.zeros(len(state.dead), dtype=np.bool_)
        front = ascending(state.need_of.gather(switched))
        vital: list[Ints] = [np.flatnonzero(model.bin_essential)]
        if model.build_essential >= 0:
            vital.append(choice[[model.build_essential]])
            if model.build_essential in switched:
                changed[model.n_bin :] = True
        while len(front):
            front = front[~changed[front] & ~state.dead[front]]
            changed[front] = True
            inner = front[front < model.n_bin]
            clauses = state.offer_of.gather(inner)
            owner = np.repeat(inner, state.offer_of.sizes(inner))
            front = ascending(state.need_of.gather(clauses[choice[clauses] == owner]))
        if changed[np.concatenate(vital)].any():
            changed[:] = True
        if not changed.any():
            return np.zeros(0, np.int32)
        reach = self._reach(state, choice, changed, before.reach)
        return self._suspects(state, choice, changed, reach)

    def _suspects(self, state: Propagation, choice: Ints, among: Flags, reach: list[int]) -> Ints:
        model = self.model
        n_bin = model.n_bin
        if not self.relevant:
            return np.zeros(0, np.int32)
        base = 0
        names: dict[str, int] = {}
        for p in np.flatnonzero(model.bin_essential & ~state.dead[:n_bin]).tolist():
            names.setdefault(model.bin_name[p], p)
        for p in names.values():
            base |= reach[p]
        build = base
        if model.build_essential >= 0 and choice[model.build_essential] >= 0:
            build |= reach[int(choice[model.build_essential])]
        bad = self._judge(base)
        look = np.flatnonzero(~state.dead & among)
        # By identity first: thousands of packages share one number.
        verdict: dict[int, bool] = {}
        out = []
        for p in look[look < n_bin].tolist():
            bits = reach[p]
            known = verdict.get(id(bits))
            if known is None:
                known = verdict[id(bits)] = bad(bits)
            if known:
                out.append(p)
        sources = look[look >= n_bin]
        bad = self._judge(build)
        if bad(build):
            return np.array(out + sources.tolist(), dtype=np.int32)
        # Sources: only those that reach something relevant at all, or exclude something themselves.
        child = choice[model.requires.gather(sources)]
        parent = np.repeat(sources, model.requires.sizes(sources))
        used = distinct(child[child >= 0], n_bin)
        # What every build has anyway decides nothing more.
        beyond, rest = ~build, [0] * n_bin
        fresh: dict[int, int] = {}
        for p in used.tolist():
            bits = reach[p]
            more = fresh.get(id(bits))
            if more is None:
                more = fresh[id(bits)] = bits & beyond
            rest[p] = more
        touched = np.zeros(n_bin, np.bool_)
        touched[used] = [rest[p] != 0 for p in used.tolist()]
        hit = (child >= 0) & touched[child]
        totals: dict[int, int] = {s: 0 for s in self._source_excludes if among[s] and not state.dead[s]}
        for s, p in zip(parent[hit].tolist(), child[hit].tolist(), strict=True):
            totals[s] = totals.get(s, 0) | rest[p]
        excludes = self._source_excludes
        out.extend(s for s, total in totals.items() if bad(total) or (total | build) & excludes.get(s, 0))
        return np.array(sorted(out), dtype=np.int32)

    def _reach(self, state: Propagation, choice: Ints, among: Flags, known: list[int]) -> list[int]:
        """Bits reachable from each binary package of ``among``; those of the others are known."""
        model, n_bin = self.model, self.model.n_bin
        nodes = np.flatnonzero(among[:n_bin] & ~state.dead[:n_bin]).astype(np.int32)
        child = choice[model.requires.gather(nodes)]
        parent = np.repeat(nodes, model.requires.sizes(nodes))
        parent, child = parent[child >= 0], child[child >= 0]
        place = np.full(n_bin, -1, np.int32)
        place[nodes] = np.arange(len(nodes))
        inside = place[child] >= 0
        count, component = _components(place[parent[inside]], place[child[inside]], len(nodes))
        own = [0] * count
        label = component.tolist()
        for p, i in self.bit.items():
            if place[p] >= 0:
                own[label[place[p]]] |= 1 << i
        outside = ~inside
        for u, v in zip(place[parent[outside]].tolist(), child[outside].tolist(), strict=True):
            own[label[u]] |= known[v]
        a, b = component[place[parent[inside]]], component[place[child[inside]]]
        between = a != b
        heads, tails = a[between], b[between]
        by_head = np.argsort(heads, kind="stable")
        heads, tails = heads[by_head], tails[by_head]
        starts = np.searchsorted(heads, np.arange(count + 1)).tolist()
        tail = tails.tolist()
        for c in _topological(heads, tails, count):
            begin, end = starts[c], starts[c + 1]
            if begin != end:
                # Most reach what one of their choices reaches: share that number instead of making another.
                bits = own[c]
                for t in tail[begin:end]:
                    more = own[t]
                    if more and more is not bits:
                        both = bits | more
                        bits = more if both == more else bits if both == bits else both
                own[c] = bits
        out = list(known)
        for node, c in zip(nodes.tolist(), label, strict=True):
            out[node] = own[c]
        return out

    def _judge(self, base: int) -> Callable[[int], bool]:
        """Tells whether some bits together with those of ``base`` hold two that exclude each other."""
        beyond = ~base
        by_base = self._excluded(base)
        always = bool(base & by_base)
        known: dict[int, bool] = {}

        def bad(bits: int) -> bool:
            if always:
                return True
            rest = bits & beyond
            verdict = known.get(rest)
            if verdict is None:
                verdict = known[rest] = bool(rest & by_base or (rest | base) & self._excluded(rest))
            return verdict

        return bad

    def _excluded(self, bits: int) -> int:
        excluded = 0
        while bits:
            low = bits & -bits
            i = low.bit_length() - 1
            own = self._excludes.get(i)
            if own is None:
                others = set(self.model.conflicts[self.relevant[i]].tolist())
                own = self._excludes[i] = sum(1 << self.bit[q] for q in others)
            excluded |= own
            bits ^= low
        return excluded


_SMALL_GRAPH = 20_000


def _components(heads: Ints, tails: Ints, size: int) -> tuple[int, Ints]:
    """Strongly connected components of a graph; labels are no order, only names."""
    if not size:
        return 0, np.zeros(0, np.int32)
    if size <= _SMALL_GRAPH:
        return _tarjan(heads, tails, size)
    # SciPy takes longer to import than a second question may last, so only the first one pays for it.
    from scipy.sparse import csr_matrix  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    graph = csr_matrix((np.ones(len(heads), np.int8), (heads, tails)), shape=(size, size))
    count, label = connected_components(graph, directed=True, connection="strong")
    return int(count), label


def _tarjan(heads: Ints, tails: Ints, size: int) -> tuple[int, Ints]:
    """Tarjan's algorithm without recursion. Source: doi:10.1137/0201010."""
    order = np.argsort(heads, kind="stable")
    starts = np.searchsorted(heads[order], np.arange(size + 1)).tolist()
    edges = tails[order].tolist()
    index, low, label = [-1] * size, [0] * size, [-1] * size
    stack: list[int] = []
    count = number = 0
    for root in range(size):
        if index[root] >= 0:
            continue
        work = [(root, starts[root])]
        index[root] = low[root] = number
        number += 1
        stack.append(root)
        while work:
            node, at = work.pop()
            end = starts[node + 1]
            while at < end:
                other = edges[at]
                at += 1
                if index[other] < 0:
                    work.append((node, at))
                    index[other] = low[other] = number
                    number += 1
                    stack.append(other)
                    work.append((other, starts[other]))
                    break
                if label[other] < 0 and index[other] < low[node]:
                    low[node] = index[other]
            else:
                if low[node] == index[node]:
                    while True:
                        member = stack.pop()
                        label[member] = count
                        if member == node:
                            break
                    count += 1
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
    return count, np.array(label, dtype=np.int32)


def first_living(model: ArchiveModel, dead: Flags) -> Ints:
    """The first living candidate of each clause, or -1."""
    starts, values = model.candidates.starts, model.candidates.values
    out = np.full(len(starts) - 1, -1, np.int32)
    # How many living candidates come before each clause's own: where the first of them stands.
    alive = ~dead[values]
    before = np.zeros(len(values) + 1, np.int32)
    np.cumsum(alive, out=before[1:])
    begin = before[starts[:-1]]
    some = before[starts[1:]] > begin
    out[some] = values[alive][begin[some]]
    return out


def _topological(heads: Ints, tails: Ints, count: int) -> Iterable[int]:
    """Components with what they point to first."""
    if len(heads) == 0 or (heads > tails).all():
        return range(count)
    if (heads < tails).all():
        return range(count - 1, -1, -1)
    # The labels of the library are in topological order today; this keeps us right should that change.
    waiting = np.bincount(heads, minlength=count)
    by_tail = np.argsort(tails, kind="stable")
    sorted_tails, pointing = tails[by_tail], heads[by_tail]
    begin = np.searchsorted(sorted_tails, np.arange(count + 1))
    ready = np.flatnonzero(waiting == 0).tolist()
    out = []
    while ready:
        c = ready.pop()
        out.append(c)
        for h in pointing[begin[c] : begin[c + 1]].tolist():
            waiting[h] -= 1
            if not waiting[h]:
                ready.append(h)
    return out

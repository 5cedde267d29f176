"""Packages that cannot be installed together: the part of installability that needs a SAT solver.

Whether a set of packages can be installed together is NP-complete (Mancinelli et al. 2006). Nearly every
question is answered without a search: take for each clause its first living candidate; if the closure of
those choices holds no two packages that exclude each other, it is a witness. Only what has no such
witness (the suspects) goes to the solver.

The solver sees a package's clauses only once a model makes use of the package. Until then it knows fewer
constraints than there are, so "impossible" is final, and a model all of whose packages were told is an
installation.

A little over 500 lines: witnesses and solver share the tables of choices, and apart they would have to pass them.

Source: doi:10.1109/ASE.2006.49; MiniSat through python-sat.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from pysat.solvers import Solver

from preventable.studies.ports.fixpoint import BY_CONFLICT, Propagation
from preventable.studies.ports.model import ArchiveModel, Flags, Ints, Rows, ascending, distinct, rows_of


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
        self._bad: dict[int, bool] = {0: False}

    def survey(self, state: Propagation) -> Survey:
        """Look at every living node."""
        choice = _first_living(self.model, state.dead)
        everyone = np.ones(len(state.dead), dtype=np.bool_)
        reach = self._reach(state, choice, everyone, [0] * self.model.n_bin)
        return Survey(choice, reach, self._suspects(state, choice, everyone, reach))

    def resurvey(self, state: Propagation, before: Survey) -> Ints:
        """Suspects among the living nodes whose choices are not those of an earlier survey."""
        model = self.model
        choice = _first_living(model, state.dead)
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
            owner = np.repeat(inner, np.diff(state.offer_of.starts)[inner])
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
        bad = self._is_bad
        look = np.flatnonzero(~state.dead & among)
        # By identity first: thousands of packages share one number.
        verdict: dict[int, bool] = {}
        out = []
        for p in look[look < n_bin].tolist():
            bits = reach[p]
            known = verdict.get(id(bits))
            if known is None:
                known = verdict[id(bits)] = bad(bits | base)
            if known:
                out.append(p)
        sources = look[look >= n_bin]
        if bad(build):
            return np.array(out + sources.tolist(), dtype=np.int32)
        # Sources: only those that reach something relevant at all, or exclude something themselves.
        child = choice[model.requires.gather(sources)]
        parent = np.repeat(sources, np.diff(model.requires.starts)[sources])
        used = distinct(child[child >= 0], n_bin)
        touched = np.zeros(n_bin, np.bool_)
        touched[used] = [reach[p] != 0 for p in used.tolist()]
        hit = (child >= 0) & touched[child]
        totals: dict[int, int] = {s: build for s in self._source_excludes if among[s] and not state.dead[s]}
        for s, p in zip(parent[hit].tolist(), child[hit].tolist(), strict=True):
            totals[s] = totals.get(s, build) | reach[p]
        excludes = self._source_excludes
        out.extend(s for s, total in totals.items() if bad(total) or total & excludes.get(s, 0))
        return np.array(sorted(out), dtype=np.int32)

    def _reach(self, state: Propagation, choice: Ints, among: Flags, known: list[int]) -> list[int]:
        """Bits reachable from each binary package of ``among``; those of the others are known."""
        model, n_bin = self.model, self.model.n_bin
        nodes = np.flatnonzero(among[:n_bin] & ~state.dead[:n_bin]).astype(np.int32)
        child = choice[model.requires.gather(nodes)]
        parent = np.repeat(nodes, np.diff(model.requires.starts)[nodes])
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

    def _is_bad(self, bits: int) -> bool:
        known = self._bad.get(bits)
        if known is None:
            rest, excluded = bits, 0
            while rest:
                low = rest & -rest
                i = low.bit_length() - 1
                if i not in self._excludes:
                    others = set(self.model.conflicts[self.relevant[i]].tolist())
                    self._excludes[i] = sum(1 << self.bit[q] for q in others)
                excluded |= self._excludes[i]
                rest ^= low
            known = self._bad[bits] = bool(bits & excluded)
        return known


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


def _first_living(model: ArchiveModel, dead: Flags) -> Ints:
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


_MANY = 1_500


class _Tables:
    """The model's tables as lists, which are quicker to read item by item; worth it for many nodes."""

    def __init__(self, model: ArchiveModel) -> None:
        self._rows: list[tuple[list[int], list[int]]] = [
            (r.starts.tolist(), r.values.tolist()) for r in (model.requires, model.candidates)
        ]

    def requires(self, node: int) -> list[int]:
        starts, values = self._rows[0]
        return values[starts[node] : starts[node + 1]]

    def candidates(self, clause: int) -> list[int]:
        starts, values = self._rows[1]
        return values[starts[clause] : starts[clause + 1]]


class Installer:
    """Can this node be installed (built) in this state, conflicts and all?

    One solver serves all questions about one model: packages' clauses hold in every state, and what is
    gone in a state is an assumption. ``close`` frees the solver; it is a context manager.
    """

    def __init__(self, model: ArchiveModel) -> None:
        self.model = model
        self._solver = Solver(name="minisat-gh")
        self._told: set[int] = set()
        self._tables: _Tables | None = None
        self._var: dict[int, int] = {}
        self._node: list[int] = [-1]
        self._absent_of: Propagation | None = None
        self._absent: list[int] = []
        self._essential: dict[str, tuple[int, list[int]]] = {}
        for p in np.flatnonzero(model.bin_essential).tolist():
            self._essential.setdefault(model.bin_name[p], (self._variable(-2), []))[1].append(p)
        for switch, group in self._essential.values():
            self._solver.add_clause([-switch, *(self._variable(p) for p in group)])

    def __enter__(self) -> Installer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the solver's memory."""
        self._solver.delete()

    def _variable(self, node: int) -> int:
        if node >= 0 and node in self._var:
            return self._var[node]
        number = len(self._node)
        self._node.append(node)
        if node >= 0:
            self._var[node] = number
        return number

    def _tell(self, nodes: list[int]) -> None:
        """Add the clauses of nodes and of what their first alternatives bring along."""
        begin = len(self._node)
        todo = list(nodes)
        while todo:
            one = todo.pop()
            if one not in self._told:
                todo.extend(self._tell_one(one))
        # Whatever a model does not need shall stay out of it.
        if len(self._node) > begin:
            self._solver.set_phases([-v for v in range(begin, len(self._node))])

    def _tell_one(self, node: int) -> list[int]:
        model, own = self.model, self._variable(node)
        self._told.add(node)
        if len(self._told) == _MANY:
            self._tables = _Tables(model)
        likely: list[int] = []
        tables = self._tables
        clauses = tables.requires(node) if tables else model.requires[node].tolist()
        if node >= model.n_bin and model.build_essential >= 0:
            clauses.append(model.build_essential)
        add, variable = self._solver.add_clause, self._variable
        for clause in set(clauses):
            options = tables.candidates(clause) if tables else model.candidates[clause].tolist()
            add([-own, *map(variable, options)])
            likely.extend(options[:1])
        for q in model.conflicts[node].tolist():
            add([-own, -variable(q)])
        return likely

    def witness(self, node: int, state: Propagation) -> list[int] | None:
        """Packages, of those not gone, that install (build) the node; ``None`` if there is no such set."""
        model, gone = self.model, state.gone
        if node < model.n_bin and gone[node]:
            return None
        if node not in self._told:
            self._tell([node])
        if self._absent_of is not state or len(self._absent) != int(gone.sum()):
            self._absent_of, self._absent = state, np.flatnonzero(gone).tolist()
        absent = self._absent
        while True:
            fixed = [self._variable(node)]
            fixed.extend(switch for switch, group in self._essential.values() if not all(gone[p] for p in group))
            fixed.extend(-self._var[p] for p in absent if p in self._var)
            if not self._solver.solve(assumptions=fixed):
                return None
            names, n_bin, told = self._node, model.n_bin, self._told
            positive = [v for v in self._solver.get_model() or () if v > 0]
            used = [p for v in positive if 0 <= (p := names[v]) < n_bin]
            untold = [p for p in used if p not in told]
            if not untold:
                return used
            self._tell(untold)


class Baseline(msgspec.Struct, frozen=True):
    """A model's state before any question: what is broken, and a proof for all the rest."""

    state: Propagation
    survey: Survey
    proved: Ints
    """Nodes that have no witness by default choices but one found by the solver, ascending."""
    proofs: Rows
    """For each of them the packages of that witness."""


def start(model: ArchiveModel) -> Propagation:
    """What declared needs alone break before a question is asked."""
    need_of = model.requires.transposed(len(model.candidates))
    if model.build_essential >= 0:
        need_of = _with_build_essential(need_of, model)
    return Propagation(model, need_of, model.candidates.transposed(model.n_bin)).start()


def settle_baseline(model: ArchiveModel, witnesses: Witnesses, installer: Installer) -> Baseline:
    """Find everything that is broken before a question is asked."""
    state = start(model)
    survey = witnesses.survey(state)
    proved: list[int] = []
    proofs: list[list[int]] = []
    open_ = set(survey.suspects.tolist())
    # Sources first: what is installed for a build is thereby proved installable, too.
    for node in survey.suspects[::-1].tolist():
        if state.dead[node] or node not in open_:
            continue
        witness = installer.witness(node, state)
        if witness is None:
            state.kill(np.array([node], np.int32), BY_CONFLICT)
            continue
        for found in (node, *(open_.intersection(witness) - {node})):
            open_.discard(found)
            proved.append(found)
            proofs.append(witness)
    # A death by conflict makes others choose anew; the proofs already found stay proofs.
    done = set(proved)
    while True:
        again = [n for n in witnesses.resurvey(state, survey).tolist() if n not in done and not state.dead[n]]
        if not again:
            break
        for node in again:
            witness = None if state.dead[node] else installer.witness(node, state)
            if witness is not None:
                done.add(node)
                proved.append(node)
                proofs.append(witness)
            elif not state.dead[node]:
                state.kill(np.array([node], np.int32), BY_CONFLICT)
    order = np.argsort(np.array(proved, dtype=np.int32), kind="stable").tolist()
    return Baseline(
        state,
        survey,
        np.array([proved[i] for i in order], dtype=np.int32),
        rows_of([proofs[i] for i in order]),
    )


def _with_build_essential(need_of: Rows, model: ArchiveModel) -> Rows:
    """Every source needs build-essential, though no field says so."""
    sources = np.arange(model.n_bin, model.n_bin + model.n_src, dtype=np.int32)
    at, size = model.build_essential, np.diff(need_of.starts)
    values = np.insert(need_of.values, int(need_of.starts[at + 1]), sources)
    size[at] += len(sources)
    starts = np.zeros(len(size) + 1, np.int32)
    np.cumsum(size, out=starts[1:])
    return Rows(starts, values.astype(np.int32))


class Settler:
    """Keeps one scenario honest: what conflicts make impossible dies, everything else has a proof.

    A living node needs a look only if its default choices changed since the baseline, or if the witness
    that the solver found for it has lost a member since.
    """

    def __init__(self, baseline: Baseline, witnesses: Witnesses, installer: Installer) -> None:
        self.baseline = baseline
        self.witnesses = witnesses
        self.installer = installer
        self._fresh: dict[int, Ints] = {}
        self._settled = baseline.state.round
        self.asked = 0
        """How many times the solver was asked."""

    def settle(self, state: Propagation) -> None:
        """Bring a changed copy of the baseline's state up to date; changed in place."""
        if state.round == self._settled:
            return
        base = self.baseline
        owner = np.repeat(np.arange(len(base.proved)), np.diff(base.proofs.starts))
        while True:
            before = state.round
            lost = ascending(owner[state.dead[base.proofs.values]])
            suspects = set(base.proved[lost].tolist())
            intact = set(base.proved.tolist()) - suspects
            suspects.update(n for n in self.witnesses.resurvey(state, base.survey).tolist() if n not in intact)
            for node in sorted(suspects):
                if state.dead[node]:
                    continue
                proof = self._fresh.get(node)
                if proof is not None and not state.gone[proof].any():
                    continue
                self.asked += 1
                witness = self.installer.witness(node, state)
                if witness is None:
                    state.kill(np.array([node], np.int32), BY_CONFLICT)
                else:
                    self._fresh[node] = np.array(witness, dtype=np.int32)
            if state.round == before:
                self._settled = before
                return

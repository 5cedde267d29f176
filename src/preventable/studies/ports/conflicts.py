"""Packages that cannot be installed together: the part of installability that needs a SAT solver.

Whether a set of packages can be installed together is NP-complete (Mancinelli et al. 2006). Nearly every
question is answered without a search, by default choices and second ones (``witnesses``, ``second_choice``).
Only what has no such witness goes to the solver.

The solver sees a package's clauses only once a model makes use of the package. Until then it knows fewer
constraints than there are, so "impossible" is final, and a model all of whose packages were told is an
installation.

Source: doi:10.1109/ASE.2006.49; MiniSat through python-sat.
"""

from __future__ import annotations

import msgspec
import numpy as np
from pysat.solvers import Solver

from preventable.studies.ports.fixpoint import BY_CONFLICT, Propagation
from preventable.studies.ports.model import ArchiveModel
from preventable.studies.ports.rows import Ints, Rows, rows_of
from preventable.studies.ports.second_choice import second_choices
from preventable.studies.ports.witnesses import Survey, Witnesses

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
        self._absent: set[int] = set()
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
            self._absent_of, self._absent = state, set(np.flatnonzero(gone).tolist())
        absent = self._absent
        while True:
            fixed = [self._variable(node)]
            fixed.extend(switch for switch, group in self._essential.values() if not all(gone[p] for p in group))
            fixed.extend(-self._var[p] for p in sorted(self._var.keys() & absent))
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
    proofs: list[Ints] = []
    for node, witness in second_choices(model, state, survey.suspects):
        proved.append(node)
        proofs.append(witness)
    open_ = set(survey.suspects.tolist()).difference(proved)
    # Sources first: what is installed for a build is thereby proved installable, too.
    for node in survey.suspects[::-1].tolist():
        if state.dead[node] or node not in open_:
            continue
        solved = installer.witness(node, state)
        if solved is None:
            state.kill(np.array([node], np.int32), BY_CONFLICT)
            continue
        for found in (node, *(open_.intersection(solved) - {node})):
            open_.discard(found)
            proved.append(found)
            proofs.append(np.array(solved, dtype=np.int32))
    # A death by conflict makes others choose anew; the proofs already found stay proofs.
    done = set(proved)
    while True:
        again = [n for n in witnesses.resurvey(state, survey).tolist() if n not in done and not state.dead[n]]
        if not again:
            break
        for node in again:
            solved = None if state.dead[node] else installer.witness(node, state)
            if solved is not None:
                done.add(node)
                proved.append(node)
                proofs.append(np.array(solved, dtype=np.int32))
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
        members = np.zeros(len(base.proofs.values) + 1, np.int32)
        while True:
            before = state.round
            np.cumsum(state.dead[base.proofs.values], out=members[1:])
            lost = members[base.proofs.starts[1:]] > members[base.proofs.starts[:-1]]
            suspects = set(base.proved[lost & ~state.dead[base.proved]].tolist())
            intact = set(base.proved[~lost].tolist())
            suspects.update(n for n in self.witnesses.resurvey(state, base.survey).tolist() if n not in intact)
            for node in sorted(suspects):
                if state.dead[node] or (state.immune is not None and state.immune[node]):
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

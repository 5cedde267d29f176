"""The consequences of a loss, level by level, as a difference to the baseline.

    S(k)   newest sources that could be built before and cannot after k-1 rounds of loss
    B(k)   binary packages that could be installed before and cannot once the architecture-dependent
           binaries of S(k) are gone too

Level ``one`` is S(1), B(1): who loses the toolchain itself; ``two`` is one round on; ``full`` is the
round after which nothing changes. Architecture-independent binaries survive the loss of their source's
buildability here, since they are built elsewhere; what was broken before neither kills nor saves anything.
"""

from __future__ import annotations

import msgspec
import numpy as np

from preventable.studies.ports.conflicts import Baseline, Installer, Settler
from preventable.studies.ports.fixpoint import BY_CONFLICT, BY_ESSENTIAL, BY_REMOVAL, Propagation
from preventable.studies.ports.model import ArchiveModel
from preventable.studies.ports.rows import Flags, Ints
from preventable.studies.ports.witnesses import Witnesses


class Scenario(msgspec.Struct, frozen=True):
    """What is supposed to happen on one architecture."""

    removed: Ints
    """Binary packages that leave the archive: the toolchain under ``--remove``."""
    unbuildable: Ints
    """Source nodes that can no longer be built: packages that gain a build dependency they cannot have."""
    uninstallable: Ints
    """Binary packages that can no longer be installed: packages that gain such a dependency at run time."""
    because: str = ""
    """Said at the root of every chain that begins with ``unbuildable`` or ``uninstallable``."""


class Level(msgspec.Struct, frozen=True):
    """The state of things after a number of rounds."""

    name: str
    round: int
    sources: Ints
    """Newly unbuildable newest sources (nodes), ascending."""
    binaries: Ints
    """Newly uninstallable binary packages, ascending."""
    lost: Ints
    """Of these, those that left the archive."""


class Outcome(msgspec.Struct, frozen=True):
    """All levels of one scenario on one model, with the state needed to explain them."""

    levels: dict[str, Level]
    rounds: int
    state: Propagation
    scenario: Scenario
    fell: Ints
    """Node to the round in which it fell; 0 for what did not."""
    asked_solver: int


def play(
    model: ArchiveModel,
    baseline: Baseline,
    scenario: Scenario,
    witnesses: Witnesses | None,
    installer: Installer | None,
    *,
    immune: Flags | None = None,
) -> Outcome:
    """Play a scenario to its end.

    Args:
        witnesses, installer: give both to honour conflicts, neither for declared needs alone.
        immune: nodes that never fall, to see what would be saved.
    """
    state = baseline.state.copy()
    state.immune = immune
    settler = Settler(baseline, witnesses, installer) if witnesses and installer else None
    n_bin = model.n_bin
    countable = np.concatenate((np.ones(n_bin, np.bool_), model.src_newest)) & ~baseline.state.dead
    state.remove(scenario.removed)
    forced = np.concatenate((scenario.unbuildable, scenario.uninstallable)).astype(np.int32)
    state.kill(forced)
    countable[forced] = True
    levels: dict[str, Level] = {}
    fell = np.zeros(len(state.dead), np.int32)
    number = 0
    while True:
        number += 1
        if settler:
            settler.settle(state)
        sources = np.flatnonzero(state.dead[n_bin:] & countable[n_bin:]).astype(np.int32) + n_bin
        fresh = sources[fell[sources] == 0]
        if len(fresh):
            own = state.built_of.gather(fresh - n_bin)
            own = own[~state.gone[own]]
            if immune is not None:
                own = own[~immune[own]]
            state.remove(own)
            if settler:
                settler.settle(state)
        binaries = np.flatnonzero(state.dead[:n_bin] & countable[:n_bin]).astype(np.int32)
        fell[fresh] = number
        fell[binaries[fell[binaries] == 0]] = number
        lost = binaries[state.gone[binaries]]
        if number <= 2:
            levels[("one", "two")[number - 1]] = Level(("one", "two")[number - 1], number, sources, binaries, lost)
        later = np.flatnonzero(state.dead[n_bin:] & countable[n_bin:])
        if len(later) == len(sources):
            break
    levels["full"] = Level("full", number, sources, binaries, lost)
    levels.setdefault("two", Level("two", number, sources, binaries, lost))
    order = {name: levels[name] for name in ("one", "two", "full")}
    return Outcome(order, number, state, scenario, fell, settler.asked if settler else 0)


class Step(msgspec.Struct, frozen=True):
    """One step of a chain of reasons."""

    package: str
    """``src:NAME`` or the name of a binary package."""
    why: str


def chain(model: ArchiveModel, baseline: Baseline, outcome: Outcome, node: int) -> list[Step]:
    """Why a node fell, down to what was taken away.

    Every step names something that fell earlier than the step before it, so the chain ends.
    """
    state = outcome.state
    scenario = outcome.scenario
    removed = set(scenario.removed.tolist())
    forced = {*scenario.unbuildable.tolist(), *scenario.uninstallable.tolist()}
    steps: list[Step] = []
    seen: set[int] = set()
    current: int | None = node
    while current is not None and current not in seen:
        seen.add(current)
        label = model.label(current)
        if current in removed:
            steps.append(Step(label, "removed: the toolchain itself"))
            break
        if current in forced:
            steps.append(Step(label, scenario.because))
            break
        if not state.dead[current]:
            steps.append(Step(label, "not affected"))
            break
        if baseline.state.dead[current]:
            steps.append(Step(label, "broken before"))
            break
        why, current = _reason(model, baseline, state, current)
        steps.append(Step(label, why))
    return steps


def parents(model: ArchiveModel, baseline: Baseline, outcome: Outcome) -> Ints:
    """For each fallen node the one that it is put down to, else -1: a forest whose roots were taken away."""
    state, n_bin = outcome.state, model.n_bin
    up = np.full(len(state.dead), -1, np.int32)
    fallen = np.flatnonzero(outcome.fell)
    by_clause = fallen[state.cause[fallen] >= 0]
    # Of each clause that decided, the candidate that was lost last; of several the first.
    decided = np.zeros(len(model.candidates), np.bool_)
    decided[state.cause[by_clause]] = True
    clauses = np.flatnonzero(decided & (np.diff(model.candidates.starts) > 0)).astype(np.int32)
    deciding = np.full(len(model.candidates), -1, np.int32)
    if len(clauses):
        values = model.candidates.gather(clauses)
        score = np.where(baseline.state.dead[values], -1, state.when[values])
        size = model.candidates.sizes(clauses)
        most = np.maximum.reduceat(score, np.cumsum(size) - size)
        latest = np.flatnonzero(score == np.repeat(most, size))[::-1]
        deciding[np.repeat(clauses, size)[latest]] = np.where(score[latest] >= 0, values[latest], -1)
    up[by_clause] = deciding[state.cause[by_clause]]
    gone = fallen[(state.cause[fallen] == BY_REMOVAL) & (fallen < n_bin)]
    up[gone] = model.bin_source[gone]
    up[fallen[state.cause[fallen] == BY_ESSENTIAL]] = state.essential_lost
    scenario = outcome.scenario
    up[np.concatenate((scenario.removed, scenario.unbuildable, scenario.uninstallable))] = -1
    return up


def _reason(model: ArchiveModel, baseline: Baseline, state: Propagation, node: int) -> tuple[str, int | None]:
    cause = int(state.cause[node])
    if cause >= 0:
        text = model.clause_text[cause]
        verb = "depends on" if node < model.n_bin else "build-depends on"
        options = model.candidates[cause]
        options = options[~baseline.state.dead[options]]
        if not len(options):
            return f"{verb} {text}, which nothing offers", None
        # The alternative that was lost last is the one that decided.
        last = options[int(np.argmax(state.when[options]))]
        return f"{verb} {text}", int(last)
    if cause == BY_CONFLICT:
        return "what is left of its alternatives cannot be installed together", None
    if cause == BY_ESSENTIAL:
        whose = "every system" if node < model.n_bin else "every build"
        return f"needs Essential {model.label(state.essential_lost)}, as {whose} does", state.essential_lost
    source = int(model.bin_source[node])
    if source >= 0:
        return f"built from src:{model.bin_source_name[node]}, which can no longer be built", source
    return "gone", None


class Hub(msgspec.Struct, frozen=True):
    """A source package through which many others fall."""

    source: str
    sources_through: int
    """Fallen sources whose chain of reasons passes through it, all hubs above kept."""
    sources_left: int
    """Sources still lost in the end if this hub and all hubs above it stayed."""
    saved: int
    """How many fewer these are than one rung above."""


def hubs(
    model: ArchiveModel,
    baseline: Baseline,
    outcome: Outcome,
    *,
    count: int,
    roots: set[str],
    kept: Flags | None,
    scope: Flags | None = None,
) -> list[Hub]:
    """A ladder: the source through which most of the loss goes; with that kept, the next; and so on.

    Most of a collapse has several causes at once, so that keeping one hub alone may save nothing. By
    declared needs alone (conflicts are not asked again).

    Args:
        count: how many rungs.
        roots: sources to leave out: the toolchain's own and the packages asked about.
        kept: nodes that are supposed to stay from the start.
        scope: the nodes that are counted; all by default.
    """

    def counted(outcome: Outcome) -> Ints:
        sources = outcome.levels["full"].sources
        return sources if scope is None else sources[scope[sources]]

    n_bin = model.n_bin
    immune = np.zeros(n_bin + model.n_src, dtype=np.bool_) if kept is None else kept.copy()
    skip = np.zeros(model.n_src, dtype=np.bool_)
    skip[[i for i, name in enumerate(model.src_name) if name in roots]] = True
    out: list[Hub] = []
    left = counted(outcome)
    while len(out) < count and len(left) > 1:
        through = _through(model, baseline, outcome, left)
        through[skip] = 0
        best = int(np.argmax(through))
        if not through[best]:
            break
        skip[best] = True
        immune[best + n_bin] = True
        immune[np.flatnonzero(model.bin_source == best + n_bin)] = True
        outcome = play(model, baseline, outcome.scenario, None, None, immune=immune)
        before, left = left, counted(outcome)
        out.append(Hub(model.src_name[best], int(through[best]), len(left), len(before) - len(left)))
    return out


def _through(
    model: ArchiveModel, baseline: Baseline, outcome: Outcome, counted: Ints
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each source the number of the sources counted whose chain passes through it or what it builds."""
    n_bin = model.n_bin
    up, when = parents(model, baseline, outcome), outcome.state.when
    under = np.zeros(len(up), np.int64)
    weight = np.zeros(len(up), np.int64)
    weight[counted] = 1
    nodes = np.flatnonzero(up >= 0)
    nodes = nodes[np.argsort(-when[nodes], kind="stable")]
    # A parent died in an earlier round, so when a round is handed up its own counts are complete.
    for group in np.split(nodes, np.flatnonzero(np.diff(when[nodes])) + 1):
        np.add.at(under, up[group], under[group] + weight[group])
    through = under[n_bin:].copy()
    # A binary that fell by its own needs; one that fell with its source is counted there already.
    own = np.flatnonzero((up[:n_bin] >= 0) & (up[:n_bin] < n_bin) & (model.bin_source >= 0))
    np.add.at(through, model.bin_source[own] - n_bin, under[own])
    through[~model.src_newest] = 0
    return np.minimum(through, len(counted))

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

from preventable.studies.ports.conflicts import Baseline, Installer, Settler, Witnesses
from preventable.studies.ports.fixpoint import BY_CONFLICT, Propagation
from preventable.studies.ports.model import ArchiveModel, Flags, Ints


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
    first_round: dict[int, int]
    """Node to the round in which it fell."""
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
    by_source = np.argsort(model.bin_source, kind="stable")
    sorted_source = model.bin_source[by_source]
    state.remove(scenario.removed)
    forced = np.concatenate((scenario.unbuildable, scenario.uninstallable)).astype(np.int32)
    state.kill(forced)
    countable[forced] = True
    levels: dict[str, Level] = {}
    first_round: dict[int, int] = {}
    known = np.zeros(len(state.dead), dtype=np.bool_)
    number = 0
    while True:
        number += 1
        if settler:
            settler.settle(state)
        sources = np.flatnonzero(state.dead[n_bin:] & countable[n_bin:]).astype(np.int32) + n_bin
        fresh = sources[~known[sources]]
        low, high = np.searchsorted(sorted_source, fresh), np.searchsorted(sorted_source, fresh, side="right")
        if len(fresh):
            own = np.concatenate([by_source[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True)])
            own = own[~model.bin_all[own] & ~state.gone[own]].astype(np.int32)
            if immune is not None:
                own = own[~immune[own]]
            state.remove(own)
            if settler:
                settler.settle(state)
        binaries = np.flatnonzero(state.dead[:n_bin] & countable[:n_bin]).astype(np.int32)
        for node in (*fresh.tolist(), *binaries[~known[binaries]].tolist()):
            first_round[node] = number
        known[sources] = True
        known[binaries] = True
        lost = binaries[state.gone[binaries]]
        if number <= 2:
            levels[("one", "two")[number - 1]] = Level(("one", "two")[number - 1], number, sources, binaries, lost)
        later = np.flatnonzero(state.dead[n_bin:] & countable[n_bin:])
        if len(later) == len(sources):
            break
    levels["full"] = Level("full", number, sources, binaries, lost)
    levels.setdefault("two", Level("two", number, sources, binaries, lost))
    order = {name: levels[name] for name in ("one", "two", "full")}
    return Outcome(order, number, state, scenario, first_round, settler.asked if settler else 0)


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


def parents(model: ArchiveModel, baseline: Baseline, outcome: Outcome) -> dict[int, int]:
    """For each fallen node the one that it is put down to: a forest whose roots were taken away."""
    taken = {
        *outcome.scenario.removed.tolist(),
        *outcome.scenario.unbuildable.tolist(),
        *outcome.scenario.uninstallable.tolist(),
    }
    up: dict[int, int] = {}
    for node in outcome.first_round:
        if node not in taken:
            parent = _reason(model, baseline, outcome.state, node)[1]
            if parent is not None:
                up[node] = parent
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
    source = int(model.bin_source[node])
    if source >= 0:
        return f"built from src:{model.bin_source_name[node]}, which can no longer be built", source
    return "gone", None


class Hub(msgspec.Struct, frozen=True):
    """A source package through which many others fall."""

    source: str
    sources_through: int
    """Fallen sources whose chain of reasons passes through it."""
    sources_saved: int | None
    """Fallen sources that would stay buildable if its binaries stayed; ``None`` if not computed."""


def hubs(model: ArchiveModel, baseline: Baseline, outcome: Outcome, *, count: int, roots: set[str]) -> list[Hub]:
    """The sources through which most of the loss goes, with what keeping each would save.

    Args:
        count: how many.
        roots: sources to leave out: the toolchain's own and the packages asked about.
    """
    up = parents(model, baseline, outcome)
    n_bin = model.n_bin
    fallen = {int(s) for s in outcome.levels["full"].sources}
    through: dict[str, int] = {}
    under: dict[int, int] = {}
    # Latest deaths first, so that a node's count is complete before it is handed to its parent.
    when = outcome.state.when
    nodes = sorted(outcome.first_round, key=lambda n: (-int(when[n]), n))
    for node in nodes:
        weight = under.get(node, 0) + (node in fallen)
        parent = up.get(node)
        if parent is not None:
            under[parent] = under.get(parent, 0) + weight
    names: dict[str, list[int]] = {}
    for node in nodes:
        if node < n_bin and under.get(node) and up.get(node, n_bin) < n_bin:
            # A binary that fell by its own needs; one that fell with its source is counted there.
            through[model.bin_source_name[node]] = through.get(model.bin_source_name[node], 0) + under[node]
        elif node >= n_bin and under.get(node):
            name = model.src_name[node - n_bin]
            through[name] = through.get(name, 0) + under[node]
    for name in roots:
        through.pop(name, None)
    best = sorted(through.items(), key=lambda item: (-item[1], item[0]))[:count]
    for i, name in enumerate(model.bin_source_name):
        names.setdefault(name, []).append(i)
    out = []
    for name, passing in best:
        immune = np.zeros(n_bin + model.n_src, dtype=np.bool_)
        immune[names.get(name, [])] = True
        without = play(model, baseline, outcome.scenario, None, None, immune=immune)
        saved = len(fallen - {int(s) for s in without.levels["full"].sources})
        out.append(Hub(name, min(passing, len(fallen)), saved))
    return sorted(out, key=lambda h: (-(h.sources_saved or 0), -h.sources_through, h.source))

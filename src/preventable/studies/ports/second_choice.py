"""Second default choices: most suspects clash over a handful of pairs, and avoiding one of a pair helps.

A suspect's default choices hold two packages that exclude each other. All suspects choose anew together, with
one package of each clashing pair avoided wherever another candidate lives; whoever then has a closure without a
clash has a witness. A few turns, the other of each pair avoided in every second one, settle nine in ten; the
rest is for the solver.
"""

from __future__ import annotations

import msgspec
import numpy as np

from preventable.studies.ports.fixpoint import Propagation
from preventable.studies.ports.model import ArchiveModel
from preventable.studies.ports.rows import Flags, Ints, Rows, ascending, distinct
from preventable.studies.ports.witnesses import first_living

_TURNS = 5
_GROUP = 600
"""Suspects looked at together: one row of flags each."""


class _Closures(msgspec.Struct, frozen=True):
    """What each suspect reaches by some choices."""

    members: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    """Suspect by package (a column for each of ``packages``)."""
    packages: Ints
    place: Ints
    """Binary package to its column, or -1."""


def second_choices(model: ArchiveModel, state: Propagation, suspects: Ints) -> list[tuple[int, Ints]]:
    """Witnesses for as many suspects as second choices settle.

    Args:
        suspects: living nodes whose default choices hold two packages that exclude each other, ascending.
    Returns:
        list: a suspect and the packages of its witness, for those that have one.
    """
    out: list[tuple[int, Ints]] = []
    for begin in range(0, len(suspects), _GROUP):
        out.extend(_of_group(model, state, suspects[begin : begin + _GROUP]))
    return out


def _of_group(model: ArchiveModel, state: Propagation, suspects: Ints) -> list[tuple[int, Ints]]:
    default = first_living(model, state.dead)
    closures = _closures(model, state, suspects, default)
    clash, pairs = _clashes(model, suspects, closures)
    out: list[tuple[int, Ints]] = []
    for turn in range(_TURNS):
        if not clash.any():
            break
        suspects = suspects[clash]
        avoided = state.dead.copy()
        for one, other in pairs:
            yields, stays = (other, one) if turn % 2 else (one, other)
            if not avoided[stays]:
                avoided[yields] = True
        choice = first_living(model, avoided)
        choice = np.where(choice >= 0, choice, default)
        closures = _closures(model, state, suspects, choice)
        clash, pairs = _clashes(model, suspects, closures)
        for row in np.flatnonzero(~clash).tolist():
            out.append((int(suspects[row]), closures.packages[closures.members[row]]))
    return out


def _vital(model: ArchiveModel, state: Propagation) -> Ints:
    """The living packages marked Essential, one of each name."""
    names: dict[str, int] = {}
    for p in np.flatnonzero(model.bin_essential & ~state.dead[: model.n_bin]).tolist():
        names.setdefault(model.bin_name[p], p)
    return np.array(list(names.values()), dtype=np.int32)


def _children(model: ArchiveModel, nodes: Ints, choice: Ints) -> tuple[Ints, Ints]:
    """What nodes choose: the position of each in ``nodes``, and the chosen package."""
    child = choice[model.requires.gather(nodes)]
    parent = np.repeat(np.arange(len(nodes), dtype=np.int32), model.requires.sizes(nodes))
    chosen = child >= 0
    return parent[chosen], child[chosen]


def _closure(model: ArchiveModel, roots: Ints, choice: Ints) -> Flags:
    seen = np.zeros(model.n_bin, dtype=np.bool_)
    front = roots
    while len(front):
        seen[front] = True
        child = choice[model.requires.gather(front)]
        child = child[child >= 0]
        front = ascending(child[~seen[child]])
    return seen


def _closures(model: ArchiveModel, state: Propagation, suspects: Ints, choice: Ints) -> _Closures:
    n_bin = model.n_bin
    vital = _vital(model, state)
    installed = _closure(model, vital, choice)
    if model.build_essential >= 0:
        vital = np.append(vital, choice[model.build_essential])
    for_build = _closure(model, vital, choice)
    first_row, first = _children(model, suspects, choice)
    is_source = suspects >= n_bin
    own = np.flatnonzero(~is_source).astype(np.int32)
    roots = distinct(np.concatenate((first, suspects[own])), n_bin)
    packages = np.flatnonzero(_closure(model, roots, choice) | for_build).astype(np.int32)
    place = np.full(n_bin, -1, np.int32)
    place[packages] = np.arange(len(packages), dtype=np.int32)
    parent, child = _children(model, packages, choice)
    starts = np.zeros(len(packages) + 1, np.int32)
    np.cumsum(np.bincount(parent, minlength=len(packages)), out=starts[1:])
    chosen = Rows(starts, place[child])

    width = len(packages)
    members = np.zeros((len(suspects), width), np.bool_)
    members[is_source] = for_build[packages]
    members[~is_source] = installed[packages]
    flat = members.reshape(-1)
    order = np.empty(len(flat), np.int32)
    row = np.concatenate((first_row, own)).astype(np.int64)
    node: Ints = np.concatenate((place[first], place[suspects[own]]))
    while len(row):
        cell = row * width + node
        cell = cell[~flat[cell]]
        # Each cell once: the last to write its number there stays.
        number = np.arange(len(cell), dtype=np.int32)
        order[cell] = number
        cell = cell[order[cell] == number]
        flat[cell] = True
        row, node = np.divmod(cell, width)
        row = np.repeat(row, np.diff(starts)[node])
        node = chosen.gather(node)
    return _Closures(members, packages, place)


def _clashes(model: ArchiveModel, suspects: Ints, closures: _Closures) -> tuple[Flags, list[tuple[int, int]]]:
    """Who still holds a pair that excludes each other, and the pairs, the most frequent first."""
    packages, place, members = closures.packages, closures.place, closures.members
    left = np.repeat(np.arange(len(packages)), model.conflicts.sizes(packages))
    right = place[model.conflicts.gather(packages)]
    once = right > left
    left, right = left[once], right[once]
    hit = members[:, left] & members[:, right]
    clash: Flags = np.asarray(hit.any(axis=1))
    for row in np.flatnonzero(suspects >= model.n_bin).tolist():
        excluded = place[model.conflicts[suspects[row]]]
        clash[row] |= np.any(members[row, excluded[excluded >= 0]])
    count = hit.sum(axis=0)
    order = np.argsort(-count, kind="stable")
    order = order[count[order] > 0]
    pairs = zip(packages[left[order]].tolist(), packages[right[order]].tolist(), strict=True)
    return clash, list(pairs)

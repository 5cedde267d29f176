"""Second default choices: every witness is one, and what clashes whatever one chooses gets none."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from tests.unit.studies.debian_archive_fixture import binary, prepare, source

from preventable.studies.ports.conflicts import Installer, start
from preventable.studies.ports.model import ArchiveModel
from preventable.studies.ports.rows import stable_order
from preventable.studies.ports.second_choice import second_choices
from preventable.studies.ports.witnesses import Witnesses


def _is_witness(model: ArchiveModel, node: int, packages: set[int]) -> bool:
    """Closed under needs, free of conflicts, with everything Essential: checked one by one."""
    inside = packages | {node}
    met = all(packages & set(model.candidates[c].tolist()) for n in inside for c in model.requires[n].tolist())
    apart = all(not packages & set(model.conflicts[n].tolist()) for n in inside)
    essential = set(np.flatnonzero(model.bin_essential).tolist())
    return met and apart and essential <= packages and (node >= model.n_bin or node in packages)


def test_the_other_of_a_clashing_pair_is_taken_where_it_can_be(tmp_path: Path) -> None:
    packages = [
        binary("mta-a", Conflicts="mta-b"),
        binary("mta-b", Conflicts="mta-a"),
        binary("wants-any", "mta-a | mta-b"),
        binary("wants-b", "mta-b"),
        binary("wants-a", "mta-a"),
    ]
    sources = [source("free", "wants-any, wants-b"), source("stuck", "wants-a, wants-b")]
    model = prepare(tmp_path, sources, packages).model
    state = start(model)
    suspects = Witnesses(model).survey(state).suspects
    assert [model.label(s) for s in suspects.tolist()] == ["src:free", "src:stuck"]
    found = second_choices(model, state, suspects)
    assert [model.label(node) for node, _ in found] == ["src:free"]
    assert _is_witness(model, found[0][0], set(found[0][1].tolist()))


@pytest.mark.parametrize("seed", range(12))
def test_on_random_archives_every_second_choice_is_a_witness(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    names = [f"p{i}" for i in range(40)]
    packages = [binary("base", Essential="yes")]
    for name in names:
        needs = ", ".join(" | ".join(draw.sample(names, draw.randint(1, 3))) for _ in range(draw.randint(0, 2)))
        more = {"Conflicts": draw.choice(names)} if draw.random() < 0.3 else {}
        packages.append(binary(name, needs, **more))
    sources = [source(f"s{i}", ", ".join(" | ".join(draw.sample(names, 2)) for _ in range(3))) for i in range(30)]
    model = prepare(tmp_path, sources, packages).model
    state = start(model)
    suspects = Witnesses(model).survey(state).suspects
    found = second_choices(model, state, suspects)
    assert len(suspects)
    assert all(_is_witness(model, node, set(witness.tolist())) for node, witness in found)
    with Installer(model) as installer:
        assert all(installer.witness(node, state) is not None for node, _ in found)


@pytest.mark.parametrize("top", [3, 10**6, 2**62])
def test_the_order_is_that_of_a_stable_sort(top: int) -> None:
    keys = np.random.default_rng(5).integers(0, top, 2000)
    assert stable_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()
    assert stable_order(keys[:0]).tolist() == []

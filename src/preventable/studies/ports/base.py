"""What Essential and build-essential need: whoever takes some of it takes everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from preventable.studies.ports.bootstrap import closure, roots_of_everything
from preventable.studies.ports.conflicts import Baseline
from preventable.studies.ports.impact import Outcome
from preventable.studies.ports.model import ArchiveModel

_NAMED = 6


class BaseLoss(msgspec.Struct, frozen=True):
    """The part of the base that a loss takes."""

    sources: tuple[str, ...]
    """Lost sources that build something in the closure of build-essential and Essential, ascending."""
    round: int
    """The round that takes the first of them."""
    first: tuple[str, ...]
    """Those that fall in that round."""

    def said(self, architecture: str) -> str:
        """Which sources, when, and that everything follows."""
        return (
            f"on {architecture} round {self.round} takes {_some(self.first)}, which builds part of build-essential "
            "or Essential, and so everything falls"
        )


def base_loss(
    model: ArchiveModel, baseline: Baseline, names: Mapping[str, int], outcome: Outcome, roots: set[str]
) -> BaseLoss | None:
    """What a loss takes of the base, beside the tool itself and the packages asked about.

    Args:
        names: the newest source of each name.
        roots: sources that are lost by supposition.
    """
    lost = {int(s) for s in outcome.levels["full"].sources}
    if not lost:
        return None
    inside = closure(model, baseline, roots_of_everything(model))
    hit = {int(model.bin_source[i]) for i in inside} & lost
    sources = sorted({model.src_name[s - model.n_bin] for s in hit} - roots)
    if not sources:
        return None
    rounds = {s: int(outcome.fell[names[s]]) for s in sources}
    first = min(rounds.values())
    return BaseLoss(tuple(sources), first, tuple(s for s in sources if rounds[s] == first))


def overstates(tools: Sequence[Mapping[str, Any]], figures: str = "") -> str:
    """That a source counts whole, with an example that holds for Rust's toolchain only."""
    names = {n for t in tools for n in (*t["sources"], t["tool"].removeprefix("src:").removeprefix("bin:"))}
    what = f" {figures}" if figures else ""
    rust = " (GCC needs Rust for one front end)" if names & {"rustc", "cargo"} else ""
    return f"a source counts as lost when any of its binaries needs the toolchain, which overstates{what}{rust}"


def essential_notes(model: ArchiveModel, baseline: Baseline, outcome: Outcome) -> list[str]:
    """What the loss of Essential packages does to the counts, wherever it did something."""
    state, full = outcome.state, outcome.levels["full"]
    if state.essential_lost < 0:
        return []
    declared = baseline.state.copy()
    declared.demands_essential, declared.immune = False, state.immune
    declared.remove(np.flatnonzero(state.gone).astype(np.int32))
    declared.kill(outcome.scenario.uninstallable)
    own = int(declared.dead[full.binaries].sum())
    gone = sorted({model.bin_name[i] for i in full.lost.tolist() if model.bin_essential[i]})
    leave = f"; {len(gone)} Essential packages leave ({_some(gone)})" if gone else ""
    return [
        f"no system can be set up on {model.architecture}: round {int(outcome.fell[state.essential_lost])} takes the "
        f"Essential package {model.bin_name[state.essential_lost]}{leave}. Every system and every build needs what is "
        f"Essential, so that all else is counted as lost: of the {len(full.binaries):,} binary packages uninstallable "
        f"in the end {own:,} have left or declare a need that cannot be met, {len(full.binaries) - own:,} fall with "
        "Essential alone"
    ]


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:_NAMED])}{', …' if names[_NAMED:] else ''}"

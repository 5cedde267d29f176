"""Can a toolchain be built where it is missing, and what does its build need?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from preventable.studies.ports.conflicts import Baseline
from preventable.studies.ports.model import ArchiveModel
from preventable.studies.ports.terms import Names


def closure(model: ArchiveModel, baseline: Baseline, roots: Sequence[int]) -> set[int]:
    """Binary packages that come along with some, taking the first living alternative each time."""
    choice = baseline.survey.choice
    dead = baseline.state.dead
    seen = {r for r in roots if not dead[r]}
    todo = list(seen)
    while todo:
        node = todo.pop()
        for clause in model.requires[node].tolist():
            if len(choice):
                best = int(choice[clause])
            else:
                living = [c for c in model.candidates[clause].tolist() if not dead[c]]
                best = living[0] if living else -1
            if best >= 0 and best not in seen:
                seen.add(best)
                todo.append(best)
    return seen


def roots_of_everything(model: ArchiveModel) -> list[int]:
    roots: list[int] = np.flatnonzero(model.bin_essential).tolist()
    if model.build_essential >= 0:
        roots += model.candidates[model.build_essential].tolist()[:1]
    return roots


def bootstraps(model: ArchiveModel, baseline: Baseline, names: Names, name: str) -> list[dict[str, Any]]:
    """The toolchain's bootstrap; for a package of defaults also that of what it depends on.

    ``golang-go`` and ``default-jdk`` hold no compiler: they depend on the one that is. The first entry is the
    verdict on the tool; those with ``via`` are about what it depends on, were that missing, too. The base, which
    a port has before any tool, and what is built together with it are left out.
    """
    first = {**bootstrap(model, baseline, names, name), "about": "tool"}
    out = [first]
    plain = name.removeprefix("src:").removeprefix("bin:")
    if first["verdict"] != "yes":
        return out
    base = closure(model, baseline, roots_of_everything(model))
    own = {model.bin_source_name[i] for i in (*names.binaries(plain), *base)}
    for i in names.binaries(plain)[:1]:
        for clause in model.requires[i].tolist():
            living = [c for c in model.candidates[clause].tolist() if not baseline.state.dead[c]]
            if living and model.bin_source_name[living[0]] not in own:
                own.add(model.bin_source_name[living[0]])
                more = bootstrap(model, baseline, names, f"src:{model.bin_source_name[living[0]]}")
                out.append({**more, "tool": name, "about": "what it depends on", "via": model.bin_name[living[0]]})
    return out


_PROFILE = re.compile(r"<([^<>]+)>")


def bootstrap(model: ArchiveModel, baseline: Baseline, names: Names, name: str) -> dict[str, Any]:
    """Can the toolchain be built where it is missing: what of its own build dependencies needs itself?

    The toolchain's binaries are taken away, nothing else; each build dependency of its source that fails
    then is told with the build profile that drops it, if its text has one (``<!pkg.rustc.dlstage0>``).
    """
    out: dict[str, Any] = {"suite": model.suite, "arch": model.architecture, "tool": name}
    tool = names.tool(name)
    sources = [names.newest[s] for s in tool[0] if s in names.newest] if tool else []
    plain = name.removeprefix("src:").removeprefix("bin:")
    if not sources and plain in names.newest:
        sources = [names.newest[plain]]
    if not sources:
        return {
            **out,
            "verdict": "not available",
            "why": f"no source in the index builds {plain} for {model.architecture}",
            "blocked_by": [],
            "builds_with": [],
        }
    source = sources[0]
    state = baseline.state.copy()
    if tool:
        state.remove(np.array(sorted(tool[1]), dtype=np.int32))
    blocked = []
    for clause in dict.fromkeys(model.requires[source].tolist()):
        options = model.candidates[clause]
        if not state.dead[options].all():
            continue
        text = model.clause_text[clause]
        profiles = [_PROFILE.findall(part) for part in text.split("|")]
        drops = None
        if all(profiles) and all(g.startswith("!") and " " not in g for p in profiles for g in p):
            drops = sorted({g[1:] for p in profiles for g in p})
        before = bool(len(options)) and not baseline.state.dead[options].all()
        own = bool(tool) and set(options.tolist()) <= set(tool[1] if tool else [])
        blocked.append(
            {
                "clause": text,
                "kind": "itself" if own and before else "through others" if before else "missing today",
                "dropped_by_profile": drops,
            }
        )
    label = model.label(source)
    if not blocked:
        verdict, why = "yes", f"{label} can be built without an earlier build of itself"
    elif all(b["dropped_by_profile"] for b in blocked):
        used = sorted({p for b in blocked for p in b["dropped_by_profile"]})
        verdict, why = "with a build profile", f"{label} can be built with profile {' '.join(used)}"
    elif all(b["kind"] != "missing today" for b in blocked):
        verdict, why = (
            "needs itself",
            f"{label} needs an earlier build of itself: cross-build it, or bring a binary from elsewhere",
        )
    else:
        verdict, why = "no", f"{label} needs packages that {model.architecture} does not have"
    needed = [
        int(model.candidates[c][0])
        for c in model.requires[source].tolist()
        if len(model.candidates[c]) and not baseline.state.dead[model.candidates[c][0]]
    ]
    inside = closure(model, baseline, needed) if needed else set()
    cycle = sorted(
        {
            model.bin_source_name[i]
            for i in inside
            if model.bin_source[i] >= 0
            and state.dead[model.bin_source[i]]
            and not baseline.state.dead[model.bin_source[i]]
            and int(model.bin_source[i]) != source
        }
    )
    return {
        **out,
        "source": label,
        "version": model.src_version[source - model.n_bin],
        "verdict": verdict,
        "why": why,
        "blocked_by": blocked,
        "builds_with": sorted(
            {
                model.bin_source_name[i]
                for i in needed
                if model.bin_source_name[i] != model.src_name[source - model.n_bin]
            }
        ),
        "needs_it_to_be_rebuilt": cycle,
        "closure_binaries": len(inside),
    }

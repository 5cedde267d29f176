"""Where the archive stands now: who has a tool, who needs it, and by what path."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from preventable.studies.ports.base import base_loss, overstates
from preventable.studies.ports.bootstrap import bootstraps
from preventable.studies.ports.conflicts import Baseline, Installer
from preventable.studies.ports.fixpoint import Propagation
from preventable.studies.ports.impact import Outcome, Scenario, chain, play
from preventable.studies.ports.model import ArchiveModel
from preventable.studies.ports.rows import Ints
from preventable.studies.ports.terms import Answer, Names, Question, note_tool, tool_facts
from preventable.studies.ports.witnesses import Witnesses

_NONE: Ints = np.zeros(0, np.int32)


def tell_today(
    model: ArchiveModel,
    baseline: Baseline,
    names: Names,
    question: Question,
    answer: Answer,
    witnesses: Witnesses | None,
    installer: Installer | None,
) -> None:
    """Where the archive stands: who needs each tool now, directly, one step on, and in the end."""
    for name in (*question.packages, *question.only):
        (answer.known if names.nodes(name) else answer.unknown).append(name)
        if not names.nodes(name):
            answer.near.extend(names.near(name))
    for name in dict.fromkeys((*question.requires, *question.remove)):
        tool = names.tool(name)
        facts = tool_facts(model, baseline, names, name, tool)
        answer.tools.append(facts)
        note_tool(names, name, answer)
        removed = set(tool[1]) if tool else set()
        # Whoever needs the tool today may get it from a second toolchain that provides it.
        for other in names.providers(name.removeprefix("src:").removeprefix("bin:")):
            removed.update(names.built(model.bin_source_name[other]))
        alone = baseline.state.copy()
        alone.remove(np.array(sorted(removed), dtype=np.int32))
        scenario = Scenario(np.array(sorted(removed), dtype=np.int32), _NONE, _NONE)
        outcome = play(model, baseline, scenario, witnesses, installer)
        direct = _direct(model, baseline, removed)
        runs = np.flatnonzero(alone.dead[: model.n_bin] & ~baseline.state.dead[: model.n_bin])
        answer.today.append(
            {
                "suite": model.suite,
                "arch": model.architecture,
                "tool": name,
                "has_tool": facts["installable"],
                "versions": facts["versions"],
                "sources": answer.baseline["sources_newest"],
                "sources_direct": len(direct),
                "sources_need": len(outcome.levels["one"].sources),
                "sources_two": len(outcome.levels["two"].sources),
                "sources_full": len(outcome.levels["full"].sources),
                "binaries_need_at_run_time": len([i for i in runs.tolist() if i not in removed]),
            }
        )
        base = base_loss(model, baseline, names.newest, outcome, {model.bin_source_name[i] for i in removed})
        if base:
            answer.limits.append(
                f"if {name} were missing: {base.said(model.architecture)}; "
                + overstates([facts], "sources_two, sources_full and the paths through what these sources build")
            )
        answer.bootstrap.extend(bootstraps(model, baseline, names, name))
        for package in question.packages:
            if names.nodes(package):
                answer.needs.append(
                    _package_needs(model, baseline, names, package, name, removed, direct, alone, outcome)
                )


def _direct(model: ArchiveModel, baseline: Baseline, removed: set[int]) -> set[int]:
    """Newest sources with a build dependency that only the tool's own binaries meet."""
    flags = np.zeros(model.n_bin, dtype=np.bool_)
    flags[sorted(removed)] = True
    living = ~baseline.state.dead[model.candidates.values]
    row = np.repeat(np.arange(len(model.candidates)), np.diff(model.candidates.starts))
    any_tool = np.bincount(row[living & flags[model.candidates.values]], minlength=len(model.candidates)) > 0
    any_other = np.bincount(row[living & ~flags[model.candidates.values]], minlength=len(model.candidates)) > 0
    clauses = np.flatnonzero(any_tool & ~any_other).astype(np.int32)
    nodes = np.unique(baseline.state.need_of.gather(clauses))
    return {
        n
        for n in nodes.tolist()
        if n >= model.n_bin and model.src_newest[n - model.n_bin] and not baseline.state.dead[n]
    }


def _package_needs(
    model: ArchiveModel,
    baseline: Baseline,
    names: Names,
    package: str,
    tool: str,
    removed: set[int],
    direct: set[int],
    alone: Propagation,
    outcome: Outcome,
) -> dict[str, Any]:
    """Does a package need the tool to be built, or to run, and by what path?"""
    source = names.source(package)
    own = [i for i in names.nodes(package) if i < model.n_bin]
    named = [i for i in own if model.bin_name[i] == package.removeprefix("src:").removeprefix("bin:")]
    binaries = named or own
    first = {int(s) for s in outcome.levels["one"].sources}
    to_run = any(alone.dead[i] and not baseline.state.dead[i] for i in binaries)
    paths = []
    for node in ([source] if source is not None else []) + binaries:
        for clause in dict.fromkeys(model.requires[node].tolist()):
            options = model.candidates[clause]
            options = options[~baseline.state.dead[options]]
            if not len(options):
                continue
            through = [
                int(i) in removed or (int(model.bin_source[i]) in first and not model.bin_all[i]) or bool(alone.dead[i])
                for i in options
            ]
            if not all(through):
                continue
            best = int(options[0])
            what = "build-depends on" if node >= model.n_bin else "depends on"
            steps = [{"package": model.label(node), "why": f"{what} {model.clause_text[clause]}"}]
            steps += [msgspec.structs.asdict(s) for s in chain(model, baseline, outcome, best)]
            paths.append(
                {
                    "kind": "build" if node >= model.n_bin else "run",
                    "clause": model.clause_text[clause],
                    "built_with_tool": best not in removed and not bool(alone.dead[best]),
                    "chain": steps,
                }
            )
    dead_after = outcome.state.dead
    return {
        "suite": model.suite,
        "arch": model.architecture,
        "package": package,
        "version": model.src_version[source - model.n_bin] if source is not None else None,
        "tool": tool,
        "build_direct": source in direct,
        "build_needs": source in first,
        "run_needs": to_run,
        "run_needs_package_built_with_it": any(p["kind"] == "run" and p["built_with_tool"] for p in paths),
        "build_needs_package_built_with_it": any(p["kind"] == "build" and p["built_with_tool"] for p in paths),
        "lost_in_the_end": bool(source is not None and dead_after[source])
        or any(bool(dead_after[i]) for i in binaries),
        "paths": paths,
    }

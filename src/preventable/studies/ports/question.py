"""One question put to one architecture: resolve the names, play the scenario, tell the rows and reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from preventable.studies.ports.base import base_loss, essential_notes, overstates
from preventable.studies.ports.bootstrap import bootstraps
from preventable.studies.ports.conflicts import Baseline, Installer
from preventable.studies.ports.impact import Level, Outcome, Scenario, chain, hubs, play
from preventable.studies.ports.model import ArchiveModel
from preventable.studies.ports.rows import Flags
from preventable.studies.ports.storage import Prepared
from preventable.studies.ports.terms import Answer, Names, Question, maintainer_term, note_tool, tool_facts
from preventable.studies.ports.today import tell_today
from preventable.studies.ports.witnesses import Witnesses

_REASONS_MOST = 5000
_VITAL = ("required", "important", "essential")


def ask(prepared: Prepared, question: Question) -> Answer:
    """Answer a question for one architecture.

    Returns:
        Answer: names that this architecture lacks are in ``unknown``, not an error: another may have them.
    """
    model, baseline = prepared.model, prepared.baseline
    names = Names(model)
    answer = Answer(model.suite, model.architecture)
    answer.baseline = _baseline(model, baseline)
    answer.limits.extend(_limits(model))
    answer.limits.extend(prepared.notes)
    witnesses = installer = None
    if question.conflicts:
        witnesses, installer = Witnesses(model), Installer(model)
    try:
        if question.today:
            tell_today(model, baseline, names, question, answer, witnesses, installer)
        elif _possible(question, names, answer):
            _scenario(model, baseline, names, question, answer, witnesses, installer)
    finally:
        if installer:
            installer.close()
    return answer


def _possible(question: Question, names: Names, answer: Answer) -> bool:
    """Note every name that is not known here; a question with no subject left cannot be asked."""
    subjects = [*question.remove, *(question.packages if question.requires else ())]
    for name in (*question.remove, *question.packages, *question.only, *question.why):
        if names.nodes(name) or names.tool(name):
            answer.known.append(name)
        else:
            answer.unknown.append(name)
            answer.near.extend(names.near(name))
    for name in question.keep:
        (answer.unknown if names.source(name) is None else answer.known).append(name)
        if names.source(name) is None:
            answer.near.extend(names.near(name))
    for person in question.maintainers:
        some = any(person.lower() in people.lower() for people in names.model.src_people)
        (answer.known if some else answer.unknown).append(maintainer_term(person))
    for name in question.requires:
        note_tool(names, name, answer)
    left = [n for n in subjects if n not in answer.unknown]
    if subjects and not left:
        answer.limits.append(
            f"{answer.suite}:{answer.architecture} has no {', '.join(subjects)}: nothing can be lost there"
        )
        answer.rows = [_null_row(answer, level, 0) for level in ("one", "two", "full")]
    return bool(left)


def _null_row(answer: Answer, level: str, value: int | None) -> dict[str, Any]:
    many: list[str] | None = None if value is None else []
    return {
        "suite": answer.suite,
        "arch": answer.architecture,
        "level": level,
        "sources_unbuildable": value,
        "binaries_uninstallable": value,
        "essential": many,
        "required": many,
        "important": many,
    }


def _scenario(
    model: ArchiveModel,
    baseline: Baseline,
    names: Names,
    question: Question,
    answer: Answer,
    witnesses: Witnesses | None,
    installer: Installer | None,
) -> None:
    removed: list[int] = []
    roots: set[str] = set()
    for name in question.remove:
        tool = names.tool(name)
        answer.tools.append(tool_facts(model, baseline, names, name, tool))
        if tool:
            roots.update(tool[0])
            removed.extend(tool[1])
        others = [o for o in answer.tools[-1]["other_providers"] if o not in question.remove]
        if others:
            answer.limits.append(
                f"{model.suite}:{model.architecture}: {', '.join(others)} can stand in for {name} and was "
                f"left there; --remove {' --remove '.join(others[:3])} takes it away, too"
            )
    unbuildable: list[int] = []
    uninstallable: list[int] = []
    lacking: list[str] = []
    for name in question.requires:
        tool = names.tool(name)
        facts = tool_facts(model, baseline, names, name, tool)
        facts["treated_as_missing"] = model.architecture in question.without
        answer.tools.append(facts)
        if not facts["installable"] or facts["treated_as_missing"] or not _left(baseline, names, name, removed):
            lacking.append(name)
    if lacking:
        for name in question.packages:
            source = names.source(name)
            if question.dependency == "run":
                own = [i for i in names.nodes(name) if i < model.n_bin]
                uninstallable.extend(own)
                roots.update(model.bin_source_name[i] for i in own)
            elif source is not None:
                unbuildable.append(source)
                roots.add(model.src_name[source - model.n_bin])
                if baseline.state.dead[source]:
                    answer.limits.append(
                        f"src:{model.src_name[source - model.n_bin]} cannot be built on {model.architecture} "
                        "today either; its loss is counted all the same, since it is what was asked"
                    )
    elif question.requires and not removed:
        answer.limits.append(
            f"{model.architecture} has {', '.join(question.requires)}: nothing is lost there "
            f"(--without-toolchain {model.architecture} supposes that it had not)"
        )
    verb = "would need" if question.dependency == "run" else "would build-depend on"
    scenario = Scenario(
        np.array(sorted(set(removed)), dtype=np.int32),
        np.array(sorted(set(unbuildable)), dtype=np.int32),
        np.array(sorted(set(uninstallable)), dtype=np.int32),
        f"{verb} {', '.join(lacking)}, which {model.architecture} lacks",
    )
    kept = _kept(model, names, question.keep)
    outcome = play(model, baseline, scenario, witnesses, installer, immune=kept)
    scope = _scope(model, names, question)
    vital = np.array([p in _VITAL for p in model.bin_priority], dtype=np.bool_) | model.bin_essential
    answer.rows = [_row(model, level, scope, vital) for level in outcome.levels.values()]
    whole = "whole archive: " if scope is not None else ""
    answer.limits.extend(whole + note for note in essential_notes(model, baseline, outcome))
    base = base_loss(model, baseline, names.newest, outcome, roots)
    ladder = outcome
    if base:
        answer.limits.append(
            f"{whole}{base.said(model.architecture)}; {overstates(answer.tools)}: with_base_kept has the rows with "
            "the base kept"
        )
        kept = _kept(model, names, (*question.keep, *base.sources))
        ladder = play(model, baseline, scenario, witnesses, installer, immune=kept)
        answer.with_base_kept = [
            {**_row(model, level, scope, vital), "kept": list(base.sources)} for level in ladder.levels.values()
        ]
    if question.hubs:
        # Beside a lost base no single source saves anything, so the ladder starts with the base kept.
        answer.hubs = [
            {
                "suite": model.suite,
                "arch": model.architecture,
                **msgspec.structs.asdict(h),
                "base_kept": base is not None,
            }
            for h in hubs(model, baseline, ladder, count=question.hubs, roots=roots, kept=kept, scope=scope)
        ]
    if question.reasons or question.why:
        answer.reasons = _reasons(model, baseline, outcome, names, question, scope)
        if question.reasons:
            for row in answer.rows:
                row["reasons"] = [r for r in answer.reasons if r["level"] == row["level"] or row["level"] == "full"]
    for name in dict.fromkeys((*question.remove, *question.requires)):
        answer.bootstrap.extend(bootstraps(model, baseline, names, name))


def _left(baseline: Baseline, names: Names, name: str, removed: Sequence[int]) -> bool:
    """Does the tool, or a second toolchain that provides it, outlast the removal?"""
    if not removed:
        return True
    plain = name.removeprefix("src:").removeprefix("bin:")
    tool = names.tool(name)
    state = baseline.state.copy()
    state.remove(np.array(sorted(set(removed)), dtype=np.int32))
    able = (*(names.binaries(plain) or (tool[1] if tool else ())), *names.providers(plain))
    return any(not state.dead[i] for i in able)


def _kept(model: ArchiveModel, names: Names, keep: Sequence[str]) -> Flags | None:
    if not keep:
        return None
    nodes = [node for name in keep if (node := names.source(name)) is not None]
    immune = np.zeros(model.n_bin + model.n_src, dtype=np.bool_)
    immune[nodes] = True
    # A binary without a source has -1 there, which would read the last node.
    immune[: model.n_bin] = immune[model.bin_source] & (model.bin_source >= 0)
    return immune


def _scope(model: ArchiveModel, names: Names, question: Question) -> Flags | None:
    """The nodes that rows and reasons are about; ``None`` for all."""
    wanted = [*question.only, *(() if question.requires else question.packages)]
    if not wanted and not question.maintainers:
        return None
    scope = np.zeros(model.n_bin + model.n_src, dtype=np.bool_)
    for name in wanted:
        scope[names.nodes(name)] = True
    for person in question.maintainers:
        needle = person.lower()
        theirs = {model.src_name[i] for i, people in enumerate(model.src_people) if needle in people.lower()}
        scope[[i + model.n_bin for i, n in enumerate(model.src_name) if n in theirs]] = True
        scope[[i for i, n in enumerate(model.bin_source_name) if n in theirs]] = True
    return scope


def _row(model: ArchiveModel, level: Level, scope: Flags | None, vital: Flags) -> dict[str, Any]:
    sources, binaries, lost = level.sources, level.binaries, level.lost
    if scope is not None:
        sources, binaries, lost = sources[scope[sources]], binaries[scope[binaries]], lost[scope[lost]]
    sets: dict[str, set[str]] = {"essential": set(), "required": set(), "important": set()}
    for i in binaries[vital[binaries]].tolist():
        priority = model.bin_priority[i]
        if priority in sets:
            sets[priority].add(model.bin_name[i])
        if model.bin_essential[i]:
            sets["essential"].add(model.bin_name[i])
    return {
        "suite": model.suite,
        "arch": model.architecture,
        "level": level.name,
        "sources_unbuildable": len(sources),
        "binaries_uninstallable": len(binaries),
        "essential": sorted(sets["essential"]),
        "required": sorted(sets["required"]),
        "important": sorted(sets["important"]),
        "round": level.round,
        "binaries_lost": len(lost),
        "sources_arch_all_only": int((~model.src_any[sources - model.n_bin]).sum()),
    }


def _reasons(
    model: ArchiveModel,
    baseline: Baseline,
    outcome: Outcome,
    names: Names,
    question: Question,
    scope: Flags | None,
) -> list[dict[str, Any]]:
    if question.why:
        nodes = [n for name in question.why for n in names.nodes(name)]
    elif scope is not None:
        nodes = np.flatnonzero(scope).tolist()
    else:
        sources = outcome.levels["full"].sources.tolist()
        vital = [
            i
            for i in outcome.levels["full"].binaries.tolist()
            if model.bin_essential[i] or model.bin_priority[i] in ("required", "important")
        ]
        nodes = sorted([*vital, *sources], key=lambda n: (int(outcome.fell[n]), n < model.n_bin, n))
        nodes = nodes[:_REASONS_MOST]
    out = []
    for node in dict.fromkeys(nodes):
        number = int(outcome.fell[node]) or None
        broken = bool(baseline.state.dead[node]) and number is None
        steps = chain(model, baseline, outcome, node)
        out.append(
            {
                "suite": model.suite,
                "arch": model.architecture,
                "package": model.label(node),
                "kind": "binary" if node < model.n_bin else "source",
                "level": None if number is None else ("one", "two")[number - 1] if number <= 2 else "full",
                "round": number,
                "status": "broken before" if broken else "kept" if number is None else "lost",
                "chain": [msgspec.structs.asdict(s) for s in steps],
            }
        )
    return out


def _baseline(model: ArchiveModel, baseline: Baseline) -> dict[str, Any]:
    dead = baseline.state.dead
    return {
        "suite": model.suite,
        "arch": model.architecture,
        "sources": model.n_src,
        "sources_newest": int(model.src_newest.sum()),
        "sources_unbuildable": int(dead[model.n_bin :].sum()),
        "sources_newest_unbuildable": int((dead[model.n_bin :] & model.src_newest).sum()),
        "binaries": model.n_bin,
        "binaries_uninstallable": int(dead[: model.n_bin].sum()),
        "binaries_stale": int(model.bin_stale.sum()),
        "binaries_without_source": int((model.bin_source < 0).sum()),
    }


def _limits(model: ArchiveModel) -> list[str]:
    out = []
    # Without sources of arch:all only, their binary packages have none here, and that says nothing.
    told = ~model.bin_all if model.policy.arch_only else np.ones(model.n_bin, np.bool_)
    orphans = int((told & (model.bin_source < 0)).sum())
    if model.n_bin and orphans * 5 > model.n_bin:
        out.append(
            f"{orphans:,} of {model.n_bin:,} binary packages of {model.architecture} have no source in the "
            "index of sources: indices of different suites or dates may be mixed, or a component is missing"
        )
    if model.build_essential < 0:
        out.append(f"{model.suite}:{model.architecture} has no build-essential package: builds are judged without it")
    if not model.bin_essential.any():
        out.append(f"{model.suite}:{model.architecture} marks no package Essential")
    return out

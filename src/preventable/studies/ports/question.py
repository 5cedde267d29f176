"""One question put to one architecture: resolve the names, play the scenario, tell the rows and reasons."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from preventable.readers.debian_architecture import nearest
from preventable.studies.ports.conflicts import Baseline, Installer, Witnesses
from preventable.studies.ports.impact import (
    Level,
    Outcome,
    Scenario,
    chain,
    hubs,
    play,
)
from preventable.studies.ports.model import ArchiveModel, Flags, Ints
from preventable.studies.ports.storage import Prepared

_NONE: Ints = np.zeros(0, np.int32)
_REASONS_MOST = 5000


class Question(msgspec.Struct, frozen=True):
    """What is asked; the same for every architecture."""

    packages: tuple[str, ...] = ()
    """Who gains the dependency (with ``requires``); else whose fate is asked."""
    requires: tuple[str, ...] = ()
    """The tools that ``packages`` start to need."""
    remove: tuple[str, ...] = ()
    """Toolchains that are missing altogether."""
    without: tuple[str, ...] = ()
    """Architectures to treat as lacking the required tools, whatever their index says."""
    dependency: Literal["build", "run"] = "build"
    keep: tuple[str, ...] = ()
    """Sources that stay buildable whatever happens."""
    only: tuple[str, ...] = ()
    maintainers: tuple[str, ...] = ()
    reasons: bool = False
    why: tuple[str, ...] = ()
    hubs: int = 5
    conflicts: bool = True
    today: bool = False


class Answer(msgspec.Struct):
    """The answer for one suite on one architecture."""

    suite: str
    architecture: str
    rows: list[dict[str, Any]] = msgspec.field(default_factory=list)
    hubs: list[dict[str, Any]] = msgspec.field(default_factory=list)
    reasons: list[dict[str, Any]] = msgspec.field(default_factory=list)
    bootstrap: list[dict[str, Any]] = msgspec.field(default_factory=list)
    with_base_kept: list[dict[str, Any]] = msgspec.field(default_factory=list)
    today: list[dict[str, Any]] = msgspec.field(default_factory=list)
    needs: list[dict[str, Any]] = msgspec.field(default_factory=list)
    baseline: dict[str, Any] = msgspec.field(default_factory=dict)
    tools: list[dict[str, Any]] = msgspec.field(default_factory=list)
    limits: list[str] = msgspec.field(default_factory=list)
    unknown: list[str] = msgspec.field(default_factory=list)
    """Names asked for that this architecture does not have."""
    near: list[str] = msgspec.field(default_factory=list)
    known: list[str] = msgspec.field(default_factory=list)
    """Names asked for that it has."""


class Names:
    """Looks packages up by name: ``NAME``, ``src:NAME`` or ``bin:NAME``."""

    def __init__(self, model: ArchiveModel) -> None:
        self.model = model
        self.newest = {model.src_name[i]: i + model.n_bin for i in np.flatnonzero(model.src_newest).tolist()}
        self._binaries: dict[str, list[int]] = {}
        self._built: dict[str, list[int]] = {}

    def binaries(self, name: str) -> list[int]:
        """The binary packages of that name (several versions may be live)."""
        if name not in self._binaries:
            self._binaries[name] = [i for i, n in enumerate(self.model.bin_name) if n == name]
        return self._binaries[name]

    def built(self, source: str) -> list[int]:
        """The binary packages built from a source of that name."""
        if source not in self._built:
            self._built[source] = [i for i, n in enumerate(self.model.bin_source_name) if n == source]
        return self._built[source]

    def tool(self, name: str) -> tuple[list[str], list[int]] | None:
        """The sources of a toolchain and the binary packages that go with it.

        A binary package's name means its source and all that it builds; ``bin:NAME`` means that package
        alone; a name that is only provided means all who provide it.
        """
        if name.startswith("bin:"):
            own = self.binaries(name[4:])
            return (sorted({self.model.bin_source_name[i] for i in own}), own) if own else None
        plain = name.removeprefix("src:")
        if not name.startswith("src:") and self.binaries(plain):
            sources = sorted({self.model.bin_source_name[i] for i in self.binaries(plain)})
        elif self.built(plain):
            sources = [plain]
        else:
            return None
        return sources, sorted(i for s in sources for i in self.built(s))

    def source(self, name: str) -> int | None:
        """The newest source of that name, or the source of the binary of that name."""
        plain = name.removeprefix("src:").removeprefix("bin:")
        if not name.startswith("bin:") and plain in self.newest:
            return self.newest[plain]
        own = self.binaries(plain)
        if own and not name.startswith("src:"):
            return self.newest.get(self.model.bin_source_name[own[-1]])
        return None

    def nodes(self, name: str) -> list[int]:
        """The source and the binary packages that a name stands for."""
        plain = name.removeprefix("src:").removeprefix("bin:")
        if name.startswith("bin:"):
            return list(self.binaries(plain))
        found = [self.newest[plain]] if plain in self.newest else []
        found += self.built(plain)
        if not name.startswith("src:"):
            found += [i for i in self.binaries(plain) if i not in found]
        return found

    def near(self, name: str) -> list[str]:
        plain = name.removeprefix("src:").removeprefix("bin:")
        return nearest(plain, sorted({*self.model.bin_name, *self.newest, *self.model.bin_source_name}))

    def providers(self, name: str) -> list[int]:
        """Living packages that satisfy an unversioned dependency on a name that some clause mentions."""
        for clause, text in enumerate(self.model.clause_text):
            if text.split(" ", 1)[0].split(":", 1)[0] == name and "|" not in text and "(" not in text:
                own: list[int] = self.model.candidates[clause].tolist()
                if own:
                    return own
        return list(self.binaries(name))


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
    witnesses = installer = None
    if question.conflicts:
        witnesses, installer = Witnesses(model), Installer(model)
    try:
        if question.today:
            _today(model, baseline, names, question, answer, witnesses, installer)
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
        answer.tools.append(_tool_facts(model, baseline, names, name, tool))
        if tool:
            roots.update(tool[0])
            removed.extend(tool[1])
    unbuildable: list[int] = []
    uninstallable: list[int] = []
    lacking: list[str] = []
    for name in question.requires:
        tool = names.tool(name)
        facts = _tool_facts(model, baseline, names, name, tool)
        facts["treated_as_missing"] = model.architecture in question.without
        answer.tools.append(facts)
        if not facts["installable"] or facts["treated_as_missing"] or (tool and set(tool[1]) <= set(removed)):
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
    answer.rows = [_row(model, level, scope) for level in outcome.levels.values()]
    answer.limits.extend(_consequences(model, outcome))
    base = [s for s in _base_sources(model, baseline, outcome) if s not in roots]
    if base:
        first = min(outcome.first_round.get(names.newest[s], 0) for s in base)
        earliest = [s for s in base if outcome.first_round.get(names.newest[s], 0) == first]
        answer.limits.append(
            f"on {model.architecture} round {first} takes {', '.join(earliest)}, which builds part of "
            "build-essential or Essential, and so everything falls; a source counts as lost when any of its "
            "binaries needs the toolchain, which overstates (GCC needs Rust for one front end): "
            "with_base_kept has the rows with the base kept"
        )
        again = _kept(model, names, (*question.keep, *base))
        other = play(model, baseline, scenario, witnesses, installer, immune=again)
        answer.with_base_kept = [
            {**_row(model, level, scope), "kept": base} for level in other.levels.values()
        ]
    if question.hubs and len(outcome.levels["full"].sources) > 1:
        answer.hubs = [
            {"suite": model.suite, "arch": model.architecture, **msgspec.structs.asdict(h)}
            for h in hubs(model, baseline, outcome, count=question.hubs, roots=roots, kept=kept)
        ]
    if question.reasons or question.why:
        answer.reasons = _reasons(model, baseline, outcome, names, question, scope)
        if question.reasons:
            for row in answer.rows:
                row["reasons"] = [
                    r for r in answer.reasons if r["level"] == row["level"] or row["level"] == "full"
                ]
    for name in dict.fromkeys((*question.remove, *question.requires)):
        answer.bootstrap.extend(bootstraps(model, baseline, names, name))


def _tool_facts(
    model: ArchiveModel, baseline: Baseline, names: Names, name: str, tool: tuple[list[str], list[int]] | None
) -> dict[str, Any]:
    plain = name.removeprefix("src:").removeprefix("bin:")
    own = tool[1] if tool else []
    living = [i for i in own if not baseline.state.dead[i]]
    if names.binaries(plain):
        living = [i for i in names.binaries(plain) if not baseline.state.dead[i]]
    others = sorted(
        {
            model.bin_name[i]
            for i in names.providers(plain)
            if i not in set(own) and not baseline.state.dead[i]
        }
    )
    return {
        "suite": model.suite,
        "arch": model.architecture,
        "tool": name,
        "sources": tool[0] if tool else [],
        "binaries": len(own),
        "versions": sorted({model.bin_version[i] for i in living}),
        "installable": bool(living or others),
        "other_providers": others,
    }


def _kept(model: ArchiveModel, names: Names, keep: Sequence[str]) -> Flags | None:
    if not keep:
        return None
    immune = np.zeros(model.n_bin + model.n_src, dtype=np.bool_)
    for name in keep:
        source = names.source(name)
        if source is not None:
            immune[source] = True
            immune[names.built(model.src_name[source - model.n_bin])] = True
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


def _row(model: ArchiveModel, level: Level, scope: Flags | None) -> dict[str, Any]:
    sources, binaries, lost = level.sources, level.binaries, level.lost
    if scope is not None:
        sources, binaries, lost = sources[scope[sources]], binaries[scope[binaries]], lost[scope[lost]]
    sets: dict[str, set[str]] = {"essential": set(), "required": set(), "important": set()}
    for i in binaries.tolist():
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
        nodes = sorted([*vital, *sources], key=lambda n: (outcome.first_round[n], n < model.n_bin, n))
        nodes = nodes[:_REASONS_MOST]
    out = []
    for node in dict.fromkeys(nodes):
        number = outcome.first_round.get(node)
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
    orphans = int((model.bin_source < 0).sum())
    if model.n_bin and orphans * 5 > model.n_bin:
        out.append(
            f"{orphans:,} of {model.n_bin:,} binary packages of {model.architecture} have no source in the "
            "index of sources: indices of different suites or dates may be mixed, or a component is missing"
        )
    if model.build_essential < 0:
        out.append(
            f"{model.suite}:{model.architecture} has no build-essential package: builds are judged without it"
        )
    if not model.bin_essential.any():
        out.append(f"{model.suite}:{model.architecture} marks no package Essential")
    return out


def _consequences(model: ArchiveModel, outcome: Outcome) -> list[str]:
    gone = sorted({model.bin_name[i] for i in outcome.levels["full"].lost.tolist() if model.bin_essential[i]})
    if not gone:
        return []
    return [
        f"{len(gone)} Essential packages leave {model.architecture} "
        f"({', '.join(gone[:6])}{', …' if gone[6:] else ''}): no system can "
        "be set up there; the counts follow declared needs only"
    ]


def _base_sources(model: ArchiveModel, baseline: Baseline, outcome: Outcome) -> list[str]:
    """Lost sources that build something in the closure of build-essential and Essential."""
    lost = {int(s) for s in outcome.levels["full"].sources}
    if not lost:
        return []
    inside = closure(model, baseline, _roots_of_everything(model))
    hit = {int(model.bin_source[i]) for i in inside} & lost
    return sorted(model.src_name[s - model.n_bin] for s in hit)


def _roots_of_everything(model: ArchiveModel) -> list[int]:
    roots: list[int] = np.flatnonzero(model.bin_essential).tolist()
    if model.build_essential >= 0:
        roots += model.candidates[model.build_essential].tolist()[:1]
    return roots


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


def bootstraps(model: ArchiveModel, baseline: Baseline, names: Names, name: str) -> list[dict[str, Any]]:
    """The toolchain's bootstrap; for a package of defaults also that of what it depends on.

    ``golang-go`` and ``default-jdk`` hold no compiler: they depend on the one that is.
    """
    first = bootstrap(model, baseline, names, name)
    out = [first]
    plain = name.removeprefix("src:").removeprefix("bin:")
    if first["verdict"] != "yes":
        return out
    base = closure(model, baseline, _roots_of_everything(model))
    own = {model.bin_source_name[i] for i in names.binaries(plain)}
    for i in names.binaries(plain)[:1]:
        for clause in model.requires[i].tolist():
            living = [c for c in model.candidates[clause].tolist() if not baseline.state.dead[c]]
            if living and living[0] not in base and model.bin_source_name[living[0]] not in own:
                own.add(model.bin_source_name[living[0]])
                more = bootstrap(model, baseline, names, f"src:{model.bin_source_name[living[0]]}")
                out.append({**more, "tool": name, "via": model.bin_name[living[0]]})
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


def _today(
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
        facts = _tool_facts(model, baseline, names, name, tool)
        answer.tools.append(facts)
        if name not in answer.known and name not in answer.unknown:
            (answer.known if tool or facts["installable"] else answer.unknown).append(name)
            if not tool:
                answer.near.extend(names.near(name))
        removed = set(tool[1]) if tool else set()
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
    any_other = (
        np.bincount(row[living & ~flags[model.candidates.values]], minlength=len(model.candidates)) > 0
    )
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
    alone: Any,
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
                int(i) in removed
                or (int(model.bin_source[i]) in first and not model.bin_all[i])
                or bool(alone.dead[i])
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
        "build_needs_package_built_with_it": any(
            p["kind"] == "build" and p["built_with_tool"] for p in paths
        ),
        "lost_in_the_end": bool(source is not None and dead_after[source])
        or any(bool(dead_after[i]) for i in binaries),
        "paths": paths,
    }


def tally(rows: Sequence[dict[str, Any]], member: str) -> Counter[str]:
    """How often each value of a member occurs; for summaries."""
    return Counter(str(r[member]) for r in rows)

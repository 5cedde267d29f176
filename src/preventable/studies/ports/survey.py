"""A question over several suites and architectures, with the inputs named and the models cached."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from preventable.collector import collector_paused
from preventable.errors import InputError
from preventable.readers.debian import builds_for
from preventable.readers.debian_archive import Snapshot
from preventable.records import FailedRow
from preventable.studies.ports.model import Policy
from preventable.studies.ports.named import mentions, named_needs
from preventable.studies.ports.prepare import Workshop
from preventable.studies.ports.question import ask
from preventable.studies.ports.terms import Answer, Question

_WORTH_A_PROCESS_BYTES = 8_000_000
_ROWS_MOST = 200


class Findings(msgspec.Struct):
    """All answers, and the account of what was read."""

    answers: list[Answer] = msgspec.field(default_factory=list)
    failed: list[FailedRow] = msgspec.field(default_factory=list)
    warnings: list[FailedRow] = msgspec.field(default_factory=list)
    duplicate: int = 0

    def merge(self, other: Findings) -> None:
        self.answers.extend(other.answers)
        self.failed.extend(r for r in other.failed if r not in self.failed)
        self.warnings.extend(r for r in other.warnings if r not in self.warnings)
        self.duplicate += other.duplicate


class Job(msgspec.Struct, frozen=True):
    """Some architectures of one snapshot."""

    shop: int
    """Which of the workshops."""
    architectures: tuple[str, ...]


_inherited: list[tuple[Sequence[Workshop], Question]] = []
"""In a forked process: the workshops, with all that was read before the fork."""


def _inherit(shops: Sequence[Workshop], question: Question) -> None:
    gc.disable()
    _inherited.append((shops, question))


def _work_forked(job: Job) -> Findings:
    return work(job, *_inherited[-1])


def work(job: Job, shops: Sequence[Workshop], question: Question) -> Findings:
    """Answer for the architectures of one job, one after the other, over one pool of relations."""
    out = Findings()
    for prepared in shops[job.shop].prepare(job.architectures):
        out.answers.append(ask(prepared, question))
        out.failed.extend(r for r in prepared.failed if r not in out.failed)
        out.warnings.extend(r for r in prepared.warnings if r not in out.warnings)
        out.duplicate = max(out.duplicate, prepared.duplicate)
    return out


@collector_paused()
def survey(
    snapshots: Sequence[Snapshot],
    architectures: Sequence[str],
    policy: Policy,
    folder: Path | None,
    question: Question,
    *,
    strict: bool = False,
    workers: int | None = None,
    done: Callable[[int], None] = lambda _: None,
) -> Findings:
    """Put a question to every architecture of every snapshot.

    Args:
        architectures: which; all that a snapshot has, if empty.
        folder: the cache of models, or ``None``.
        workers: processes at most; by default one per core, and one only for small indices.
        done: told the number of architectures answered.

    Raises:
        InputError: no architecture was asked for, and no snapshot has an index of packages.
    """
    findings = Findings()
    jobs: list[Job] = []
    barren: list[Snapshot] = []
    shops = [Workshop(s, policy, folder, conflicts=question.conflicts, strict=strict) for s in snapshots]
    for number, snapshot in enumerate(snapshots):
        have = [a for a in snapshot.packages if a != "all"] or (
            ["all"] if "all" in snapshot.packages and not architectures else []
        )
        wanted = list(architectures) or [*have, *(a for a in question.without if a not in have)]
        if not wanted and not snapshot.missing:
            barren.append(snapshot)
        present = [a for a in wanted if a in snapshot.packages or ("all" in snapshot.packages and a in have)]
        size = sum(f.size for files in snapshot.packages.values() for f in files)
        count = min(workers or os.cpu_count() or 1, len(present))
        if size < _WORTH_A_PROCESS_BYTES:
            count = min(count, 1)
        for i in range(count):
            jobs.append(Job(number, tuple(present[i::count])))
        for arch in wanted:
            if arch not in present:
                snapshot.missing.setdefault(arch, f"no index of packages for {arch} was given")
    for snapshot in barren:
        reason = f"no architecture has an index of packages in {snapshot.suite}"
        hint = "Give Packages indices, or --arch ARCH to be answered from the index of sources alone"
        if len(barren) == len(snapshots):
            raise InputError(reason, hint=hint)
        findings.answers.append(Answer(snapshot.suite, "", limits=[f"{reason}: nothing was asked there. {hint}"]))
    several = len(jobs) > 1 and (workers or os.cpu_count() or 1) > 1
    if several and any(sum(f.size for f in s.sources) > _WORTH_A_PROCESS_BYTES for s in snapshots):
        import multiprocessing  # noqa: PLC0415  (slow: only for several architectures)
        from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

        import scipy.sparse.csgraph  # noqa: F401, PLC0415  (once, before the processes part)

        with warnings.catch_warnings():
            # NumPy's idle threads make newer Pythons warn about fork; the children start none of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            context = multiprocessing.get_context("fork")
            for i, shop in enumerate(shops):
                own = [j.architectures for j in jobs if j.shop == i]
                if len(own) > 1:
                    shop.warm(own[0][0])
            # This process works, too: what it alone still touches need not be copied.
            size = min(workers or os.cpu_count() or 1, len(jobs)) - 1
            with ProcessPoolExecutor(size, context, _inherit, (shops, question)) as pool:
                waiting = [pool.submit(_work_forked, job) for job in jobs[1:]]
                findings.merge(work(jobs[0], shops, question))
                done(len(jobs[0].architectures))
                for job, later in zip(jobs[1:], waiting, strict=True):
                    findings.merge(later.result())
                    done(len(job.architectures))
    else:
        for job in jobs:
            findings.merge(work(job, shops, question))
            done(len(job.architectures))
    for snapshot in snapshots:
        if snapshot.missing:
            findings.merge(_without_packages(snapshot, policy, question, findings.answers, strict=strict))
    order = {(s.suite, a): (i, j) for i, s in enumerate(snapshots) for j, a in enumerate(architectures)}
    suites = {s.suite: i for i, s in enumerate(snapshots)}
    findings.answers.sort(key=lambda a: (suites[a.suite], order.get((a.suite, a.architecture), (0, 0)), a.architecture))
    return findings


def _without_packages(
    snapshot: Snapshot, policy: Policy, question: Question, answers: Sequence[Answer], *, strict: bool
) -> Findings:
    """Answer from the index of sources alone, and say what it cannot tell."""
    out = Findings()
    shop = Workshop(snapshot, policy, None, strict=strict)
    sources = shop.source_packages()
    for index in shop.sources():
        out.failed.extend(index.failed)
        out.warnings.extend(index.warnings)
    known = {s.name for s in sources}
    tools = (*question.remove, *question.requires)
    tool_names = {t.removeprefix("src:").removeprefix("bin:") for t in tools}
    tool_names.update(b for a in answers for t in a.tools for b in t["binary_names"])
    from_tool = {s for a in answers for t in a.tools for s in t["sources"]}
    for arch, reason in sorted(snapshot.missing.items()):
        answer = Answer(snapshot.suite, arch)
        answer.limits.append(
            f"{snapshot.suite}:{arch}: {reason}; only the index of sources was used: which sources name the "
            "tool in a build dependency that holds there. What can be installed, and every further step, is "
            "unknown"
        )
        needs = named_needs(sources, shop.pool, arch, policy, tool_names)
        for level in ("one", "two", "full"):
            row: dict[str, Any] = {
                "suite": snapshot.suite,
                "arch": arch,
                "level": level,
                "sources_unbuildable": None,
                "binaries_uninstallable": None,
                "essential": None,
                "required": None,
                "important": None,
                "round": None,
                "binaries_lost": None,
                "sources_arch_all_only": None,
            }
            if level == "one":
                if question.requires and not question.remove:
                    row["sources_unbuildable"] = sum(1 for p in question.packages if p.removeprefix("src:") in known)
                elif question.remove:
                    row["sources_unbuildable"] = len(needs)
            answer.rows.append(row)
        for package in question.packages:
            plain = package.removeprefix("src:")
            if plain in known:
                answer.known.append(package)
            else:
                answer.unknown.append(package)
        answer.known.extend(t for t in tools)
        if question.today:
            answer.rows = []
            built_with = {
                p["chain"][1]["package"].removeprefix("src:")
                for a in answers
                for n in a.needs
                for p in n["paths"]
                if p["built_with_tool"]
            }
            for tool in tools:
                answer.today.append(
                    {
                        "suite": snapshot.suite,
                        "arch": arch,
                        "tool": tool,
                        "has_tool": None,
                        "versions": [],
                        "sources": len({s.name for s in sources if builds_for(s.architecture, arch)}),
                        "sources_direct": len(needs),
                        "sources_need": None,
                        "sources_two": None,
                        "sources_full": None,
                        "binaries_need_at_run_time": None,
                    }
                )
                for package in question.packages:
                    told = mentions(sources, shop.pool, arch, policy, package, tool_names | built_with)
                    answer.needs.append(
                        {
                            "suite": snapshot.suite,
                            "arch": arch,
                            "package": package,
                            "version": None,
                            "tool": tool,
                            "build_direct": any(name == package for name, _ in needs),
                            "build_needs": None,
                            "run_needs": None,
                            "run_needs_package_built_with_it": None,
                            "build_needs_package_built_with_it": bool(told["needs"]),
                            "lost_in_the_end": None,
                            "paths": [],
                            "named_in_sources": told,
                        }
                    )
        elif question.reasons:
            for row in answer.rows:
                row["reasons"] = (
                    [
                        {
                            "package": f"src:{name}",
                            "kind": "source",
                            "level": "one",
                            "chain": [{"package": f"src:{name}", "why": f"build-depends on {clause}"}],
                        }
                        for name, clause in needs
                    ][:_ROWS_MOST]
                    if row["level"] == "one"
                    else []
                )
        if from_tool:
            answer.tools.append(
                {
                    "suite": snapshot.suite,
                    "arch": arch,
                    "tool": ", ".join(tools),
                    "sources": sorted(from_tool),
                    "binaries": None,
                    "binary_names": sorted(tool_names),
                    "versions": [],
                    "installable": None,
                    "other_providers": [],
                }
            )
        out.answers.append(answer)
    return out

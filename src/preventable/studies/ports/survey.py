"""A question over several suites and architectures, with the inputs named and the models cached."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from preventable.collector import collector_paused
from preventable.errors import InputError
from preventable.readers.debian_archive import Snapshot
from preventable.records import FailedRow
from preventable.studies.ports.model import Policy
from preventable.studies.ports.prepare import Workshop
from preventable.studies.ports.question import ask
from preventable.studies.ports.sources_alone import answer_from_sources
from preventable.studies.ports.terms import Answer, Question

_WORTH_A_PROCESS_BYTES = 8_000_000


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
            findings.merge(_without_packages(snapshot, policy, question, strict=strict))
    order = {(s.suite, a): (i, j) for i, s in enumerate(snapshots) for j, a in enumerate(architectures)}
    suites = {s.suite: i for i, s in enumerate(snapshots)}
    findings.answers.sort(key=lambda a: (suites[a.suite], order.get((a.suite, a.architecture), (0, 0)), a.architecture))
    return findings


def _without_packages(snapshot: Snapshot, policy: Policy, question: Question, *, strict: bool) -> Findings:
    """Answer from the index of sources alone, and say what it cannot tell."""
    shop = Workshop(snapshot, policy, None, strict=strict)
    out = Findings(answer_from_sources(snapshot, policy, question, shop))
    for index in shop.sources():
        out.failed.extend(index.failed)
        out.warnings.extend(index.warnings)
    return out
